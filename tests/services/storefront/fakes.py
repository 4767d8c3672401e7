"""The ports of the storefront in memory. test_ports.py runs the same contract tests against the real adapters."""

import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.common.faults.switches import Fault, Switchboard
from services.common.http.streams import Stream
from services.common.values.errors import NotFound, RuleBroken, Unavailable
from services.common.values.money import Money
from services.storefront.domain import (
    AttentionItem,
    AttentionPage,
    DeadLetter,
    DeadLetters,
    Inventory,
    NewOrder,
    Order,
    OrderDetails,
    OrderLine,
    OrderPage,
    Product,
    ProductPage,
    Redriven,
    State,
    Step,
)
from services.storefront.ports import (
    Grant,
    NotPermitted,
    Refused,
    SignedOut,
    SignInRefused,
    TooLateToCancel,
    TotalChanged,
)

ATTENTION_LISTED = 20
TEA = Product("TE-001", "Darjeeling First Flush Loose Tea 100 g", "tea", Money(1490, "EUR"), 60)
CUP = Product("CU-001", "Espresso Cup 80 ml White Porcelain", "cups", Money(790, "EUR"), 3)
POT = Product("BR-010", "Cast-iron Teapot 0.8 l", "brewing", Money(4590, "EUR"), 0)


class MemoryCatalog:
    """Products in memory. `down`: whether the shop does not respond."""

    def __init__(self, *products: Product) -> None:
        self.products = {product.sku: product for product in products}
        self.down = False

    def search(self, words: str, category: str | None, cursor: str | None, limit: int) -> ProductPage:
        self.respond()
        if cursor is not None and cursor not in self.products:
            raise RuleBroken("this page of the catalog does not exist")
        found = [
            product
            for sku, product in sorted(self.products.items())
            if category in {None, product.category}
            and all(word.lower() in f"{product.name} {sku}".lower() for word in words.split())
            and (cursor is None or sku > cursor)
        ]
        return ProductPage(tuple(found[:limit]), found[limit - 1].sku if len(found) > limit else None)

    def product(self, sku: str) -> Product | None:
        self.respond()
        return self.products.get(sku)

    def inventory(self, sku: str) -> Inventory | None:
        product = self.product(sku)
        return None if product is None else Inventory(sku, product.available, 0, 0)

    def respond(self) -> None:
        """Raises an exception while the shop does not respond."""
        if self.down:
            raise Unavailable("the shop does not respond")


@dataclass
class MemoryOrders:
    """Orders in memory.

    Args:
        catalog: products that can be ordered.
        tokens: valid access token -> subject of its user.
        lost: number of answers to an order that get lost, although the shop has accepted it.
        charged: ID of an order -> charged amount.
        refunded: ID of an order -> refunded amount.
        missing: parts of all orders that cannot be loaded.
    """

    catalog: MemoryCatalog
    tokens: dict[str, str]
    lost: int = 0
    charged: dict[str, Money] = field(default_factory=dict)
    refunded: dict[str, Money] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    placed: dict[tuple[str, str], tuple[NewOrder, str]] = field(default_factory=dict)
    orders: dict[str, tuple[str, Order]] = field(default_factory=dict)

    def place(self, token: str, order: NewOrder) -> str:
        subject = self.subject(token)
        known = self.placed.get((subject, order.key))
        if known is not None:
            if known[0] != order:
                raise Refused("this Idempotency-Key was used for a different request")
            return known[1]
        products = {sku: self.catalog.products.get(sku) for sku in order.quantities}
        lines = [
            OrderLine(sku, product.name, order.quantities[sku], product.price)
            for sku, product in products.items()
            if product is not None
        ]
        if len(lines) != len(products):
            raise Refused("no such product")
        total = Money(sum(line.price.amount * line.quantity for line in lines), "EUR")
        if total != order.total:
            raise TotalChanged(total)
        placed = Order(
            str(uuid.uuid4()),
            State.PENDING,
            tuple(lines),
            total,
            datetime.now(UTC),
            (Step(State.PENDING, datetime.now(UTC), "order accepted"),),
            order.address,
        )
        self.placed[subject, order.key] = order, placed.id
        self.orders[placed.id] = subject, placed
        if self.lost:
            self.lost -= 1
            raise Unavailable("the shop does not respond")
        return placed.id

    def page(self, token: str, cursor: str | None) -> OrderPage:
        subject = self.subject(token)
        if cursor is not None:
            raise RuleBroken("this page of orders does not exist")
        mine = [
            replace(order, timeline=(), address=None)
            for owner, order in self.orders.values()
            if owner == subject
        ]
        return OrderPage(tuple(sorted(mine, key=lambda order: order.created_at, reverse=True)))

    def find(self, token: str, order_id: str) -> Order | None:
        owner, order = self.orders.get(order_id, ("", None))
        return order if owner == self.subject(token) else None

    def details(self, token: str, order_id: str) -> OrderDetails | None:
        order = self.find(token, order_id)
        if order is None:
            return None
        return OrderDetails(order, self.charged.get(order_id), self.refunded.get(order_id), self.missing)

    def cancel(self, token: str, order_id: str) -> None:
        order = self.find(token, order_id)
        if order is None:
            raise NotFound("the order does not exist")
        if order.state in {State.SHIPPED, State.REJECTED}:
            raise TooLateToCancel("the order can no longer be cancelled")
        if not order.state.is_undone:
            self.moves(order_id, State.CANCELLING, "cancelled by the customer")

    def moves(self, order_id: str, state: State, cause: str, at: datetime | None = None) -> None:
        """The order reaches a state, now or at another time."""
        owner, order = self.orders[order_id]
        step = Step(state, at or datetime.now(UTC), cause)
        self.orders[order_id] = owner, replace(order, state=state, timeline=(*order.timeline, step))

    def subject(self, token: str) -> str:
        """The user of a valid access token."""
        self.catalog.respond()
        if token not in self.tokens:
            raise SignedOut
        return self.tokens[token]


class MemorySwitches:
    """The fault switchboard of a demo in memory. `tokens`: valid access tokens; None if all are."""

    def __init__(self, switchboard: Switchboard, tokens: frozenset[str] | None = None) -> None:
        self._switchboard = switchboard
        self._tokens = tokens

    def on(self) -> frozenset[Fault]:
        return self._switchboard.on()

    def turn_on(self, token: str, fault: Fault) -> None:
        self._check(token)
        self._switchboard.turn_on(fault)

    def turn_off(self, token: str, fault: Fault) -> None:
        self._check(token)
        self._switchboard.turn_off(fault)

    def undo_all(self, token: str) -> None:
        self._check(token)
        self._switchboard.turn_off(*Fault)

    def _check(self, token: str) -> None:
        if self._tokens is not None and token not in self._tokens:
            raise SignedOut


class MemoryStaff:
    """Dead letters and orders that need attention, in memory.

    Args:
        orders: orders, with the valid access tokens. Only the user `ops` is staff.
    """

    def __init__(self, orders: MemoryOrders) -> None:
        self._orders = orders
        self.items: list[AttentionItem] = []
        self.checked_at: datetime | None = None
        self.letters: dict[str, list[DeadLetter]] = {}
        self.read_by_others: dict[str, int] = {}
        self.down: set[str] = set()

    def attention(self, token: str, cursor: str | None) -> AttentionPage:
        self._respond(token, "order")
        rest = [each for each in self.items if cursor is None or each.order_id > cursor]
        if cursor is not None and all(each.order_id != cursor for each in self.items):
            raise RuleBroken("this page of orders does not exist")
        last = rest[ATTENTION_LISTED - 1].order_id if len(rest) > ATTENTION_LISTED else None
        return AttentionPage(tuple(rest[:ATTENTION_LISTED]), last, self.checked_at)

    def dead_letters(self, token: str, service: str) -> DeadLetters:
        self._respond(token, service)
        found = self.letters.get(service, [])
        return DeadLetters(tuple(found), len(found) + self.read_by_others.get(service, 0))

    def redrive(self, token: str, service: str, letter_id: str | None) -> Redriven:
        self._respond(token, service)
        found = self.letters.get(service, [])
        sent = [each for each in found if letter_id in {None, each.id}]
        self.letters[service] = [each for each in found if each not in sent]
        return Redriven(len(sent), int(letter_id is not None and not sent))

    def _respond(self, token: str, service: str) -> None:
        if self._orders.subject(token) != "ops":
            raise NotPermitted
        if service in self.down:
            raise Unavailable("the shop does not respond")


class MemorySignIn:
    """A user pool in which the code of a sign-in is the name of the user."""

    def __init__(self, orders: MemoryOrders) -> None:
        self._orders = orders
        self.seconds = 3600

    def url(self, state: str, verifier: str, *, staff: bool) -> str:  # noqa: ARG002 - as ports.SignIn.url
        return f"https://sign-in.example.com/?state={state}&staff={staff}"

    def leave_url(self, *, staff: bool) -> str:
        return f"https://sign-in.example.com/leave?staff={staff}"

    def redeem(self, code: str, verifier: str, *, staff: bool) -> Grant:  # noqa: ARG002 - as ports.SignIn.redeem
        if code == "invalid":
            raise SignInRefused
        token = f"token-{code}-{uuid.uuid4()}"
        self._orders.tokens[token] = code
        scopes = {"orders:read", "orders:write"} | ({"ops:read", "ops:write"} if staff else set())
        groups = frozenset({"ops"}) if code == "ops" else frozenset[str]()
        return Grant(token, code, code, int(time.time()) + self.seconds, frozenset(scopes), groups)


class Connection:
    """The connection of a web server that offers a stream. `text`: the events that were sent, without the framing of HTTP."""

    def __init__(self) -> None:
        self.stream = Stream(lambda: None)
        self._sent = b""

    def offer(self) -> Stream:
        return self.stream

    @property
    def text(self) -> str:
        self._sent += self.stream.take()[0]
        rest, content = self._sent, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            content += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return content.decode()
