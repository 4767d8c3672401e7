"""The content of the pages, and the rules of the basket, without I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.common.values.money import Money

LARGEST_QUANTITY = 99
MOST_LINES = 50


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalog. `available`: number of pieces that can be ordered."""

    sku: str
    name: str
    category: str
    price: Money
    available: int


@dataclass(frozen=True, slots=True)
class ProductPage:
    """A page of products. `next`: cursor of the next page; None on the last page."""

    products: tuple[Product, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The stock of a product, in pieces."""

    sku: str
    available: int
    reserved: int
    sold: int


class BasketFull(Exception):
    """The basket already contains as many different products as an order can."""


@dataclass(frozen=True, slots=True)
class Basket:
    """The products that a visitor intends to order.

    Args:
        id: key of the order that is placed from this basket, so that one basket places one order.
        quantities: SKU -> number of pieces.
    """

    id: str
    quantities: Mapping[str, int] = field(default_factory=dict)

    @property
    def pieces(self) -> int:
        """The number of all pieces."""
        return sum(self.quantities.values())

    def set(self, sku: str, quantity: int) -> "Basket":
        """The basket with a quantity of a product, which is limited to 99. The quantity 0 removes the product.

        Raises:
            BasketFull: there are too many different products.
        """
        quantities = {**self.quantities, sku: min(quantity, LARGEST_QUANTITY)}
        if quantity <= 0:
            del quantities[sku]
        if len(quantities) > MOST_LINES:
            raise BasketFull
        return Basket(self.id, quantities)

    def add(self, sku: str, quantity: int) -> "Basket":
        """The basket with more pieces of a product.

        Raises:
            BasketFull: there are too many different products.
        """
        return self.set(sku, self.quantities.get(sku, 0) + quantity)

    def merge(self, others: Mapping[str, int]) -> "Basket":
        """The basket with the pieces of another one. Products that no longer fit are left out."""
        basket = self
        for sku, quantity in others.items():
            if sku in basket.quantities or len(basket.quantities) < MOST_LINES:
                basket = basket.add(sku, quantity)
        return basket


@dataclass(frozen=True, slots=True)
class Line:
    """A product and the number of its pieces, at the price of the shop."""

    product: Product
    quantity: int

    @property
    def total(self) -> Money:
        """The price of all pieces."""
        return self.product.price * self.quantity

    @property
    def is_short(self) -> bool:
        """Whether the shop has fewer pieces."""
        return self.product.available < self.quantity


@dataclass(frozen=True, slots=True)
class Quote:
    """A basket at the prices of the shop.

    Args:
        lines: products that the shop sells.
        gone: SKUs that the shop no longer sells.
    """

    lines: tuple[Line, ...]
    gone: tuple[str, ...] = ()

    @property
    def total(self) -> Money | None:
        """The sum; None without lines, or for prices in different currencies."""
        currencies = {line.product.price.currency for line in self.lines}
        if len(currencies) != 1:
            return None
        return Money(sum(line.total.amount for line in self.lines), currencies.pop())

    @property
    def can_be_ordered(self) -> bool:
        """Whether the shop would accept it now, as far as is known."""
        return self.total is not None and not self.gone and not any(line.is_short for line in self.lines)


def quote(quantities: Mapping[str, int], products: Iterable[Product | None]) -> Quote:
    """The prices of a basket.

    Args:
        quantities: SKU -> number of pieces.
        products: the product of each SKU, in the same order; None if the shop does not sell it.
    """
    found = list(zip(quantities.items(), products, strict=True))
    return Quote(
        tuple(Line(product, quantity) for (_, quantity), product in found if product is not None),
        tuple(sku for (sku, _), product in found if product is None),
    )


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """The shipping address. Its `repr` is empty: errors may be logged."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to place.

    Args:
        key: Idempotency-Key.
        quantities: SKU -> number of pieces.
        total: total that the customer was shown.
        address: shipping address.
        payment_token: token of the payment provider.
    """

    key: str
    quantities: Mapping[str, int]
    total: Money
    address: Address
    payment_token: str = field(repr=False)


class State(StrEnum):
    """The state of an order, as in the API."""

    PENDING = "PENDING"
    RESERVED = "RESERVED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    CANCELLING = "CANCELLING"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether the order does not change any more."""
        return self in {State.SHIPPED, State.REJECTED, State.CANCELLED}

    @property
    def is_undone(self) -> bool:
        """Whether the order is being undone, or was undone."""
        return self in {State.CANCELLING, State.REJECTED, State.CANCELLED}

    @property
    def can_be_cancelled(self) -> bool:
        """Whether a customer may ask to cancel the order. The shop may still refuse."""
        return self in {State.PENDING, State.RESERVED, State.PAID}


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An ordered product, with its name and price at the time of the order."""

    sku: str
    name: str
    quantity: int
    price: Money


@dataclass(frozen=True, slots=True)
class Step:
    """A state that an order reached."""

    state: State
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order.

    Args:
        id: ID of the order.
        state: current state.
        lines: ordered products.
        total: sum of all lines.
        created_at: time at which the shop accepted the order.
        timeline: states that it reached; empty in a list of orders.
        address: shipping address; None in a list of orders.
        tracking_number: number of the parcel, once it is shipped.
    """

    id: str
    state: State
    lines: tuple[OrderLine, ...]
    total: Money
    created_at: datetime
    timeline: tuple[Step, ...] = ()
    address: Address | None = None
    tracking_number: str | None = None

    @property
    def version(self) -> str:
        """A text that changes with every visible change of the order."""
        return f"{self.state}.{len(self.timeline)}"


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of orders, newest first. `next`: cursor of the next page; None on the last page."""

    orders: tuple[Order, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """An order with its payment.

    Args:
        order: the order.
        charged: charged amount; None if it is unknown or there is no payment yet.
        refunded: refunded amount; None if it is unknown or there is no payment yet.
        missing: "payment" and "shipment", if the shop could not load them.
    """

    order: Order
    charged: Money | None = None
    refunded: Money | None = None
    missing: frozenset[str] = frozenset()


SERVICES = ("order", "payment", "product", "shipping")
"""The services with dead letters."""


class Finding(StrEnum):
    """Why an order needs attention, as in the API."""

    STANDING_STILL = "STANDING_STILL"
    DISAGREEING = "DISAGREEING"


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """An order that needs attention.

    Args:
        order_id: ID of the order.
        finding: why it needs attention.
        reason: explanation of the shop, in English.
        since: time at which the shop first found the order.
        state: current state; None if the shop cannot read the order.
    """

    order_id: str
    finding: Finding
    reason: str
    since: datetime
    state: State | None


@dataclass(frozen=True, slots=True)
class AttentionPage:
    """A page of the orders that need attention, oldest first.

    Args:
        items: orders of this page.
        next: cursor of the next page; None on the last page.
        checked_at: time of the latest check of all orders; None if there was none.
    """

    items: tuple[AttentionItem, ...]
    next: str | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a service could not handle.

    Args:
        id: ID of the message.
        queue: name of the queue from which it comes.
        kind: task or type of event.
        order_id: ID of an order, as the message has it; None without one.
        sent_at: time at which it was sent.
        deliveries: number of deliveries.
        cause: explanation of the shop, in English.
        body: beginning of the content, without tokens.
    """

    id: str
    queue: str
    kind: str
    order_id: str | None
    sent_at: datetime
    deliveries: int
    cause: str
    body: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Dead letters of a service, oldest first, and the approximate number of all."""

    letters: tuple[DeadLetter, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of redriving: numbers of messages that were sent again, and that were not found."""

    sent: int
    missing: int
