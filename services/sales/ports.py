"""What the sales view needs from the outside, as its handler sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from services.sales.domain import Addition, Known


@dataclass(frozen=True, slots=True)
class Summary:
    """One day's sales in one currency.

    Args:
        day: in UTC.
        currency: ISO 4217 code.
        amounts: "orders", "units" and "ordered" (minor units) of the orders accepted that day; "shipped" and "revenue"
            of those shipped; "cancelled", "rejected" and "refunded". What is missing is 0.
        sold: SKU -> pieces shipped, the most first.
    """

    day: date
    currency: str
    amounts: Mapping[str, int]
    sold: Mapping[str, int]


class Sales(Protocol):
    """The view."""

    def known(self, order_id: str) -> Known:
        """What was counted of an order."""

    def save(self, known: Known, additions: Sequence[Addition]) -> None:
        """Writes both or neither.

        Raises:
            Stale: when the order was written since it was read.
        """

    def day(self, day: date) -> list[Summary]:
        """A day's sales, by currency."""
