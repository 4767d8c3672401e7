"""The spans of an order as a text, and the expected ones: for the shop as processes and on the node. Pure.

A span is a line: its service, its name, the number of the delivery of its message unless it is the first, and `!` if it
failed. The spans below it are indented, in alphabetical order, because
several of them overlap. Calls of AWS are left out, apart from the start of the workflow: their number depends on concurrent
writes of an order, which are retried.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

START: Final = "SFN.StartExecution"
PLACED: Final = "POST /orders"


@dataclass(frozen=True)
class SpanRecord:
    """A span, as a collector receives it.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: the same of its parent, or an empty string.
        service: the resource attribute service.name.
        name: its name.
        kind: server, client, producer, consumer or internal.
        failed: whether its status is an error.
        attributes: its attributes.
        links: (trace ID, span ID) of each link.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    failed: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()

    @property
    def is_call(self) -> bool:
        """Whether it is a call of AWS that the text leaves out."""
        return self.attributes.get("rpc.system") == "aws-api" and self.name != START


def text(spans: Iterable[SpanRecord]) -> str:
    """The tree of spans. A span whose parent is not among them is a root."""
    shown = {span.span_id: span for span in spans if not span.is_call}
    below: dict[str, list[SpanRecord]] = defaultdict(list)
    for span in shown.values():
        below[span.parent_id if span.parent_id in shown else ""].append(span)

    def lines(parent: str, depth: int) -> list[str]:
        found = sorted((_line(span), lines(span.span_id, depth + 1)) for span in below[parent])
        return [line for head, tail in found for line in ("  " * depth + head, *tail)]

    return "\n".join(lines("", 0))


def _line(span: SpanRecord) -> str:
    delivery = span.attributes.get("shop.message.deliveries", 1)
    again = f" (delivery {delivery})" if delivery != 1 else ""
    return f"{span.service} {span.name}{again}{' !' if span.failed else ''}"


def of_order(spans: Iterable[SpanRecord], order_id: str) -> list[SpanRecord]:
    """The spans of the trace in which an order was placed."""
    everything = list(spans)
    traces = {
        span.trace_id
        for span in everything
        if span.name == PLACED and span.attributes.get("shop.order.id") == order_id
    }
    return [span for span in everything if span.trace_id in traces]


SHIPPED: Final = """\
order POST /orders
  order publish shop.order.accepted.v1
  order relay
    order SFN.StartExecution
      order process CheckOrder
      order process CompleteOrder
        order publish shop.order.shipped.v1
        order relay
      order process ConfirmOrder
      payment process ChargePayment
        payment call payment-provider
        payment publish shop.payment.charged.v1
        payment relay
      product process CommitStock
        product publish shop.stock.committed.v1
        product relay
      product process ReserveStock
        product publish shop.stock.reserved.v1
        product relay
      shipping process CreateShipment
        shipping call carrier
        shipping publish shop.shipment.booked.v1
        shipping relay"""
"""An order that is paid and shipped."""

REDELIVERED: Final = SHIPPED.replace("process ChargePayment", "process ChargePayment (delivery 2)")
"""The same, if a consumer has received the task ChargePayment before and disappeared."""

DECLINED: Final = """\
order POST /orders
  order publish shop.order.accepted.v1
  order relay
    order SFN.StartExecution
      order process CancelOrder
        order publish shop.order.rejected.v1
        order relay
      order process CheckOrder
      payment process ChargePayment
        payment call payment-provider !
        payment publish shop.payment.declined.v1
        payment relay
      product process ReleaseStock
        product publish shop.stock.released.v1
        product relay
      product process ReserveStock
        product publish shop.stock.reserved.v1
        product relay"""
"""An order with the token tok_decline."""

COMPENSATED: Final = """\
order POST /orders
  order publish shop.order.accepted.v1
  order relay
    order SFN.StartExecution
      order process CancelOrder
        order publish shop.order.cancelled.v1
        order relay
      order process CheckOrder
      order process ConfirmOrder
      order process StartCancelling
      payment process ChargePayment
        payment call payment-provider
        payment publish shop.payment.charged.v1
        payment relay
      payment process RefundPayment
        payment call payment-provider
        payment publish shop.payment.refunded.v1
        payment relay
      product process ReleaseStock
        product publish shop.stock.released.v1
        product relay
      product process ReserveStock
        product publish shop.stock.reserved.v1
        product relay
      shipping process CreateShipment
        shipping call carrier !
        shipping publish shop.shipment.refused.v1
        shipping relay"""
"""An order with the postal code 00000: it is charged, no carrier takes it, and it is refunded."""

ENDINGS: Final = {
    "shipped": ("tok_approve", "10115", SHIPPED),
    "declined": ("tok_decline", "10115", DECLINED),
    "compensated": ("tok_approve", "00000", COMPENSATED),
}
"""The payment token and the postal code that lead to each ending of an order, with the trace."""
