"""Finds orders that do not go on, or with which the other services disagree, and resumes or reports them.

Run it every few minutes: `python -m services.order.reconciler`, or `handler` as a function of AWS Lambda. It ends with
status 1 when an order needs an operator. Two runs at once do no harm. Its last line is a metric in CloudWatch's embedded
format: orders that stand still, that were resumed, that disagree, and the age of the oldest fact that waits to be told.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from services.common import aws, clock, telemetry
from services.common.clock import Clock
from services.order import app, reconciliation
from services.order.config import Settings
from services.order.ports import Orders
from services.order.reconciliation import Verdict
from services.order.watch import Executions, Watchlist, Witnesses, oldest_fact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = telemetry.logger(__name__)
NAMESPACE = "Shop"
# A younger order is on its way; most have ended by then, and are looked at once.
YOUNGEST = timedelta(minutes=5)


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
        YOUNGEST.total_seconds(), ge=0, description="age from which on orders are looked at"
    )


@dataclass(slots=True)
class Found:
    """What a run found: how many orders of each kind, and seconds."""

    OrdersWatched: int = 0
    OrdersStandingStill: int = 0
    OrdersResumed: int = 0
    OrdersDisagreeing: int = 0
    OutboxAgeSeconds: float = 0.0

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
    """

    def __init__(
        self,
        orders: Orders,
        watchlist: Watchlist,
        witnesses: Witnesses,
        executions: Executions,
        now: Clock = clock.now,
    ) -> None:
        self._orders = orders
        self._watchlist = watchlist
        self._witnesses = witnesses
        self._executions = executions
        self._now = now

    def run(self, youngest: timedelta = YOUNGEST) -> Found:
        """Looks at every order that was placed so long ago or longer, and is not known to be done with."""
        found = Found()
        for order_id in self._watchlist.placed_before(self._now() - youngest):
            found.OrdersWatched += 1
            with telemetry.traced(None, order_id=order_id):
                try:
                    self._look(order_id, found)
                except Exception:
                    # An order that cannot be looked at keeps no other from it.
                    log.exception("order_not_reconciled")
                    found.OrdersDisagreeing += 1
        return found

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
    """One run, told as a metric."""
    client: DynamoDBClient = aws.client("dynamodb", settings)
    tables = {
        "payment": settings.payment_table,
        "stock": settings.product_table,
        "shipment": settings.shipping_table,
    }
    workflow = Executions(aws.client("stepfunctions", settings), settings.state_machine_arn)
    reconciler = Reconciler(
        app.storage(settings).orders,
        Watchlist(client, settings.table),
        Witnesses(client, tables),
        workflow,
    )
    found = reconciler.run(timedelta(seconds=settings.youngest_seconds))
    found.OutboxAgeSeconds = max(oldest_fact(client, table) for table in (settings.table, *tables.values()))
    _tell(found, settings.state_machine_arn.rsplit(":", 1)[-1])
    return found


def _tell(found: Found, workflow: str) -> None:
    values = asdict(found)
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
    """What Lambda calls by its schedule."""
    return asdict(reconcile(_settings()))


def main() -> None:
    """Runs the command.

    Raises:
        SystemExit: with status 1 when an order needs an operator.
    """
    if not reconcile(_settings()).is_well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
