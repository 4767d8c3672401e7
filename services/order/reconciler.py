"""Finds orders that make no progress or are inconsistent with the other services, and resumes or reports them.

Run it every few minutes: `python -m services.order.reconciler`, or `handler` as an AWS Lambda function. It exits with status
1 if an order needs an operator, and with status 2 if the run failed, for example because AWS is unavailable. Concurrent runs
are safe. A run ends before its time limit and checks the orders in random order, so that runs that are cut short skip
different orders.

Every run, including a failed one, logs metrics in the CloudWatch embedded metric format: the number of orders that stand
still, were resumed, are inconsistent or were not reached, and the age of the oldest unpublished event.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from services.common.aws import clients
from services.common.aws.outbox import DynamoOutbox
from services.common.telemetry import emf, exporting, invocation, logs, tracing
from services.common.values import clock
from services.common.values.clock import Clock
from services.order import app, reconciliation
from services.order.config import Settings
from services.order.findings import DynamoFindings
from services.order.ports import Orders
from services.order.reconciliation import Finding, FindingKind, Verdict
from services.order.related_states import RelatedStates
from services.order.watchlist import Watchlist
from services.order.workflow import Executions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logs.logger(__name__)
# Younger orders are still in progress. Most orders have ended by this age, so each is checked only once.
YOUNGEST = timedelta(minutes=5)
# The function and the Job are stopped after 240 seconds, which include the start and up to 40 seconds of retries of a call.
BUDGET = timedelta(seconds=180)
NEEDS_AN_OPERATOR, FAILED = 1, 2
MISSING = "the row of the order is missing: restore it, or delete its WATCH# row"
UNREADABLE = "a row cannot be read: see order_not_reconciled in the log of the reconciler"


class ReconcilerSettings(Settings, emf.MetricsSettings):
    """The settings of the order service, and the names of the other services' tables."""

    events_queue_url: str = Field("", description="not used: the reconciler subscribes to no events")
    tasks_queue_url: str = Field("", description="not used: the reconciler handles no tasks")
    events_topic_arn: str = Field("", description="not used: the reconciler publishes no events")
    tokens_table: str = Field("", description="not used: the reconciler accepts no orders")
    payment_table: str = Field(description="name of the payment service's DynamoDB table")
    product_table: str = Field(description="name of the product service's DynamoDB table")
    shipping_table: str = Field(description="name of the shipping service's DynamoDB table")
    youngest_seconds: float = Field(
        YOUNGEST.total_seconds(), ge=0, description="minimum age in seconds of the orders to check"
    )
    budget_seconds: float = Field(
        BUDGET.total_seconds(), gt=0, description="seconds after which a run starts no further check"
    )


@dataclass(slots=True)
class Found:
    """The result of a run: numbers of orders, and seconds. None: not measured."""

    OrdersWatched: int = 0
    OrdersStandingStill: int = 0
    OrdersResumed: int = 0
    OrdersDisagreeing: int = 0
    OrdersNotReached: int = 0
    OutboxAgeSeconds: float | None = None
    RunsFailed: int = 0

    @property
    def is_well(self) -> bool:
        """Whether no order needs an operator."""
        return not (self.OrdersStandingStill or self.OrdersDisagreeing)


class Reconciler:
    """Checks orders.

    Args:
        orders: storage of orders.
        watchlist: the orders to check.
        related_states: states of their payments, stock and shipments.
        executions: executions of their workflow.
        findings: the orders that need attention, for staff.
        now: current time.
        elapsed: monotonic clock, in seconds.
    """

    def __init__(
        self,
        orders: Orders,
        watchlist: Watchlist,
        related_states: RelatedStates,
        executions: Executions,
        findings: DynamoFindings,
        now: Clock = clock.now,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._watchlist = watchlist
        self._witnesses = related_states
        self._executions = executions
        self._findings = findings
        self._now = now
        self._elapsed = elapsed

    def run(self, found: Found, youngest: timedelta = YOUNGEST, budget: timedelta = BUDGET) -> None:
        """Checks the orders that are at least this old and not known to be finished.

        Args:
            found: the result, updated after each order, so that it is complete up to the point where a run fails.
            youngest: the minimum age of the orders to check.
            budget: the time after which no further check starts; the remaining orders are counted as not reached.

        Raises:
            ClientError, BotoCoreError: AWS is unavailable, which no order causes; see `clients.is_temporary`.
        """
        end = self._elapsed() + budget.total_seconds()
        started = self._now()
        known = self._findings.all()
        watched = list(self._watchlist.placed_before(started - youngest))
        random.shuffle(watched)
        for order_id in watched:
            if self._elapsed() >= end:
                found.OrdersNotReached = len(watched) - found.OrdersWatched
                log.warning("run_cut_short", orders_not_reached=found.OrdersNotReached)
                return
            found.OrdersWatched += 1
            with tracing.traced("reconcile", attributes=tracing.of_order(order_id), order_id=order_id):
                try:
                    finding = self._look(order_id, found)
                except Exception as error:
                    if clients.is_temporary(error):
                        raise
                    # A failed check of one order does not prevent the checks of the others.
                    log.exception("order_not_reconciled")
                    found.OrdersDisagreeing += 1
                    finding = FindingKind.DISAGREEING, UNREADABLE
                self._note(order_id, finding, known.get(order_id))
        for order_id in known.keys() - set(watched):
            self._findings.remove(order_id)
        self._findings.note_run(started)

    def _note(self, order_id: str, found: tuple[FindingKind, str] | None, known: Finding | None) -> None:
        """Writes the result of a check, if it is not that of the previous check."""
        if found is None:
            if known is not None:
                self._findings.remove(order_id)
            return
        finding = Finding(order_id, *found, since=known.since if known else self._now())
        if finding != known:
            self._findings.put(finding)

    def _look(self, order_id: str, found: Found) -> tuple[FindingKind, str] | None:
        """Checks an order. Returns what an operator has to know about it."""
        order = self._orders.get(order_id)
        if order is None:
            log.error("order_disagrees", reason=MISSING)
            found.OrdersDisagreeing += 1
            return FindingKind.DISAGREEING, MISSING
        # The execution is read first, so that the later reads see everything that it did before it ended.
        execution = self._executions.latest(order_id)
        states = self._witnesses.states(order_id)
        order = self._orders.get(order_id) or order
        judgment = reconciliation.judge(order, execution, states, self._now())
        match judgment.verdict:
            case Verdict.AGREED:
                self._watchlist.remove(order_id)
            case Verdict.RESUME if execution is not None:
                # The next run resumes an order whose execution has only just ended.
                if self._executions.resume(order_id, execution):
                    log.warning("order_resumed", reason=judgment.reason, execution=execution.number + 1)
                    found.OrdersResumed += 1
            case Verdict.STANDING_STILL:
                log.warning("order_stands_still", reason=judgment.reason)
                found.OrdersStandingStill += 1
                return FindingKind.STANDING_STILL, judgment.reason
            case Verdict.REPORT:
                log.error("order_disagrees", reason=judgment.reason)
                found.OrdersDisagreeing += 1
                return FindingKind.DISAGREEING, judgment.reason
        return None


def reconcile(settings: ReconcilerSettings) -> Found:
    """One run. Logs its metrics even if it fails.

    Raises:
        Exception: the run failed.
    """
    client: DynamoDBClient = clients.client("dynamodb", settings)
    tables = {
        "payment": settings.payment_table,
        "stock": settings.product_table,
        "shipment": settings.shipping_table,
    }
    workflow = Executions(clients.client("stepfunctions", settings), settings.state_machine_arn)
    reconciler = Reconciler(
        app.storage(settings).orders,
        Watchlist(client, settings.table),
        RelatedStates(client, tables),
        workflow,
        DynamoFindings(client, settings.table),
    )
    found = Found()
    try:
        # Measured first: it is fast, and checking the orders may use up all the time.
        found.OutboxAgeSeconds = max(
            DynamoOutbox(client, table).oldest() for table in (settings.table, *tables.values())
        )
        reconciler.run(
            found,
            timedelta(seconds=settings.youngest_seconds),
            timedelta(seconds=settings.budget_seconds),
        )
    except Exception:
        found.RunsFailed = 1
        raise
    finally:
        _tell(found, settings.metrics_namespace, settings.state_machine_arn.rsplit(":", 1)[-1])
    return found


def _tell(found: Found, namespace: str, workflow: str) -> None:
    values = {name: value for name, value in asdict(found).items() if value is not None}
    metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"} for name in values]
    described = {"Namespace": namespace, "Dimensions": [["Workflow"]], "Metrics": metrics}
    embedded = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]}
    log.info("reconciled", Workflow=workflow, _aws=embedded, **values)


@cache
def _settings() -> ReconcilerSettings:
    settings = ReconcilerSettings.load()
    logs.configure(settings.service, settings.log_level)
    return settings


@emf.reported(ReconcilerSettings.service)
@invocation.traced(ReconcilerSettings.service, "timer")
def handler(_event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """The entry point of the Lambda function. A failed run is an error of the function."""
    return asdict(reconcile(_settings()))


def main() -> None:
    """Runs the command.

    Raises:
        SystemExit: status 1 if an order needs an operator, 2 if the run failed.
    """
    settings = _settings()
    exporting.start(settings.service)
    try:
        found = reconcile(settings)
    except Exception as error:
        log.exception("reconciler_failed")
        raise SystemExit(FAILED) from error
    finally:
        exporting.stop()
    if not found.is_well:
        raise SystemExit(NEEDS_AN_OPERATOR)


if __name__ == "__main__":
    main()
