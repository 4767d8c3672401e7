"""The port of the handler: the storage of sales figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from services.sales.domain import Addition, Known


@dataclass(frozen=True, slots=True)
class Summary:
    """The sales of a day in one currency.

    Args:
        day: day in UTC.
        currency: ISO 4217 code.
        amounts: "orders", "units" and "ordered" (minor units) of the orders accepted on the day; "shipped" and "revenue"
            of the orders shipped; "cancelled", "rejected" and "refunded". A missing amount is 0.
        sold: SKU -> number of shipped pieces, in descending order.
    """

    day: date
    currency: str
    amounts: Mapping[str, int]
    sold: Mapping[str, int]


class Sales(Protocol):
    """The storage of sales figures."""

    def known(self, order_id: str) -> Known:
        """The counted events of an order."""

    def save(self, known: Known, additions: Sequence[Addition]) -> None:
        """Writes the record of an order and the additions in one transaction.

        Raises:
            Stale: the record was written since it was read.
        """

    def day(self, day: date) -> list[Summary]:
        """The sales of a day, by currency."""
