"""Finds orders that do not go on, or with which the other services disagree, and resumes or reports them.

Run it every few minutes: `python -m services.order.reconciler`, or `handler` as a function of AWS Lambda. It ends with
status 1 when an order needs an operator, and with status 2 when it failed: AWS being away says nothing of an order. Two
runs at once do no harm. It stops by itself before it is stopped, and looks at the orders in random order, so that a run
that is cut short leaves out different ones each time.

Every run prints a metric in CloudWatch's embedded format, also one that fails: orders that stand still, that were resumed,
that disagree, that were not reached, and the age of the oldest fact that waits to be told.
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
from services.common.runtime import telemetry
from services.common.values import clock
from services.common.values.clock import Clock
from services.order import app, reconciliation
from services.order.config import Settings
from services.order.ports import Orders
from services.order.reconciliation import Verdict
from services.order.watch import Executions, Watchlist, Witnesses

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = telemetry.logger(__name__)
NAMESPACE = "Shop"
# Younger orders are still in progress. Most orders have ended by this age, so each is checked only once.
YOUNGEST = timedelta(minutes=5)
# Function and Job are stopped after 240 seconds, of which the start takes some, and a call to AWS that is repeated 40.
BUDGET = timedelta(seconds=180)
NEEDS_AN_OPERATOR, FAILED = 1, 2


class ReconcilerSettings(Settings):
    """The order service's settings, and the tables that it compares with its own."""

    events_queue_url: str = Field("", description="the reconciler follows no facts")
    tasks_queue_url: str = Field("", description="the reconciler takes no tasks")
    events_topic_arn: str = Field("", description="the reconciler publishes no facts")
    tokens_table: str = Field("", description="the reconciler accepts no orders")
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
    """What a run found: how many orders of each kind, and seconds; None for what it could not measure."""

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
    """Looks at orders.

    Args:
        orders: where they are.
        watchlist: which to look at.
        witnesses: what the other services say of them.
        executions: of their workflow.
        now: the time.
        elapsed: seconds since any moment.
    """

    def __init__(
        self,
        orders: Orders,
        watchlist: Watchlist,
        witnesses: Witnesses,
        executions: Executions,
        now: Clock = clock.now,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._watchlist = watchlist
        self._witnesses = witnesses
        self._executions = executions
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
        watched = list(self._watchlist.placed_before(self._now() - youngest))
        random.shuffle(watched)
        for order_id in watched:
            if self._elapsed() >= end:
                found.OrdersNotReached = len(watched) - found.OrdersWatched
                log.warning("run_cut_short", orders_not_reached=found.OrdersNotReached)
                return
            found.OrdersWatched += 1
            with telemetry.traced(None, order_id=order_id):
                try:
                    self._look(order_id, found)
                except Exception as error:
                    if clients.is_temporary(error):
                        raise
                    # A failed check of one order does not prevent the checks of the others.
                    log.exception("order_not_reconciled")
                    found.OrdersDisagreeing += 1

    def _look(self, order_id: str, found: Found) -> None:
        order = self._orders.get(order_id)
        if order is None:
            log.error(
                "order_disagrees", reason="the order's row is gone: restore it, or remove its row WATCH#"
            )
            found.OrdersDisagreeing += 1
            return
        # The execution first: what it did before it ended is seen by the reads after.
        execution = self._executions.latest(order_id)
        states = self._witnesses.states(order_id)
        order = self._orders.get(order_id) or order
        judgement = reconciliation.judge(order, execution, states, self._now())
        match judgement.verdict:
            case Verdict.AGREED:
                self._watchlist.remove(order_id)
            case Verdict.RESUME if execution is not None:
                self._executions.resume(order_id, execution)
                log.warning("order_resumed", reason=judgement.reason, execution=execution.number + 1)
                found.OrdersResumed += 1
            case Verdict.STANDING_STILL:
                log.warning("order_stands_still", reason=judgement.reason)
                found.OrdersStandingStill += 1
            case Verdict.REPORT:
                log.error("order_disagrees", reason=judgement.reason)
                found.OrdersDisagreeing += 1


def reconcile(settings: ReconcilerSettings) -> Found:
    """One run, told as a metric however it ends.

    Raises:
        Exception: what made the run fail.
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
        Witnesses(client, tables),
        workflow,
    )
    found = Found()
    try:
        # First, as it takes a moment and the orders may take all the time that there is.
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
        _tell(found, settings.state_machine_arn.rsplit(":", 1)[-1])
    return found


def _tell(found: Found, workflow: str) -> None:
    values = {name: value for name, value in asdict(found).items() if value is not None}
    metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"} for name in values]
    described = {"Namespace": NAMESPACE, "Dimensions": [["Workflow"]], "Metrics": metrics}
    embedded = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]}
    log.info("reconciled", Workflow=workflow, _aws=embedded, **values)


@cache
def _settings() -> ReconcilerSettings:
    settings = ReconcilerSettings.load()
    telemetry.configure(settings.service, settings.log_level)
    return settings


def handler(_event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """What Lambda calls by its schedule. A run that fails is an error of the function."""
    return asdict(reconcile(_settings()))


def main() -> None:
    """Runs the command.

    Raises:
        SystemExit: with status 1 when an order needs an operator, and 2 when the run failed.
    """
    settings = _settings()
    try:
        found = reconcile(settings)
    except Exception as error:
        log.exception("reconciler_failed")
        raise SystemExit(FAILED) from error
    if not found.is_well:
        raise SystemExit(NEEDS_AN_OPERATOR)


if __name__ == "__main__":
    main()
