"""The metrics of orders."""

from typing import Final

from services.common.telemetry import tracing
from services.common.telemetry.metrics import BY_SERVICE, LONG, counter, histogram
from services.order.domain import Order

ACCEPTED = counter("orders_accepted_total", "Orders accepted.", dimensions=BY_SERVICE)
ENDED = counter(
    "orders_ended_total",
    "Orders that reached a final state: `shipped`, `rejected` or `cancelled`.",
    ["outcome"],
    dimensions=(("outcome",),),
)
DURATION = histogram(
    "order_duration_seconds",
    "Time from the acceptance of an order to its final state.",
    ["outcome"],
    dimensions=(("outcome",),),
    buckets=LONG,
)
# The objective in manifests/slo.yaml.
LATE_SECONDS: Final = 60.0
LATE = counter(
    "orders_late_total",
    "Orders that reached a final state more than a minute after their acceptance.",
    ["outcome"],
    dimensions=(("outcome",),),
)
STATE_DURATION = histogram(
    "order_state_duration_seconds",
    "Time that an order spent in a state before the next one, observed when the order ends.",
    ["state"],
    dimensions=(("state",),),
    buckets=LONG,
)


def note_end(order: Order) -> None:
    """Counts an order that has just reached its final state, with the times in its timeline."""
    outcome = order.state.value.lower()
    ENDED.labels(outcome).inc()
    first, last = order.timeline[0], order.timeline[-1]
    took = max(0.0, (last.at - first.at).total_seconds())
    LATE.labels(outcome).inc(int(took > LATE_SECONDS))
    DURATION.labels(outcome).observe(took, tracing.exemplar())
    for before, after in zip(order.timeline, order.timeline[1:], strict=False):
        seconds = (after.at - before.at).total_seconds()
        STATE_DURATION.labels(before.state.value.lower()).observe(max(0.0, seconds))
