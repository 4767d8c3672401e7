"""The money and the stock of the shop: what must be equal. Pure.

Money: charged - refunded = the value of what was shipped. Stock: available + reserved + sold is constant, unless stock is added.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.cli.ui.views.saga import Records

Document = Mapping[str, Any]

_UNKNOWN: Final = "XXX"


@dataclass(frozen=True)
class Money:
    """The money of an order, or of several in one currency.

    Args:
        charged: in minor units.
        refunded: in minor units.
        shipped: value of what was shipped, in minor units.
        currency: ISO 4217 code.
        settled: whether all orders are in a final state, so that the line must be equal.
    """

    charged: int
    refunded: int
    shipped: int
    currency: str
    settled: bool

    @property
    def is_equal(self) -> bool:
        """Whether charged - refunded = shipped."""
        return self.charged - self.refunded == self.shipped

    @property
    def verdict(self) -> str:
        """Equal, not equal, or in progress."""
        if not self.settled:
            return "in progress"
        return "equal" if self.is_equal else "not equal"


def of_order(records: Records) -> Money | None:
    """The money of an order; None if its payment could not be loaded."""
    if "payment" in records.missing:
        return None
    total, payment = records.order["total"], records.payment or {}
    return Money(
        int((payment.get("charged") or {}).get("amount", 0)),
        int((payment.get("refunded") or {}).get("amount", 0)),
        int(total["amount"]) if records.order["state"] == "SHIPPED" else 0,
        str(total["currency"]),
        records.is_over,
    )


def total(lines: Iterable[Money]) -> list[Money]:
    """The sum of each currency. Orders in progress are left out."""
    sums: dict[str, Money] = {}
    for each in lines:
        if each.settled and each.currency != _UNKNOWN:
            known = sums.get(each.currency, Money(0, 0, 0, each.currency, settled=True))
            sums[each.currency] = Money(
                known.charged + each.charged,
                known.refunded + each.refunded,
                known.shipped + each.shipped,
                each.currency,
                settled=True,
            )
    return [sums[each] for each in sorted(sums)]


@dataclass(frozen=True)
class Stock:
    """The stock of a product.

    Args:
        sku: SKU of the product.
        name: name of the product.
        available: number of pieces that can be ordered.
        reserved: number of pieces that are reserved.
        sold: number of pieces that were sold.
        start: the sum of the three when these pages first saw the product.
    """

    sku: str
    name: str
    available: int
    reserved: int
    sold: int
    start: int

    @property
    def difference(self) -> int:
        """How much the sum has changed since: stock that was added, or lost."""
        return self.available + self.reserved + self.sold - self.start


def stock(
    products: Sequence[Document], inventories: Mapping[str, Document], start: Mapping[str, int]
) -> list[Stock]:
    """The stock of the products with a known inventory."""
    return [
        Stock(
            each["sku"],
            str(each["name"]),
            int(found["available"]),
            int(found["reserved"]),
            int(found["sold"]),
            start.get(each["sku"], in_all(found)),
        )
        for each in products
        if (found := inventories.get(each["sku"])) is not None
    ]


def in_all(inventory: Document) -> int:
    """The number of pieces that there are or were."""
    return int(inventory["available"]) + int(inventory["reserved"]) + int(inventory["sold"])
