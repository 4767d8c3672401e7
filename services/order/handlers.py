"""What the order service does: one function per request, task and fact. Each may be called again with the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.common.http.idempotency import Answer, IdempotencyStore, KeyedRequest, once
from services.common.messaging.outbox import OutboxRecord
from services.common.runtime import telemetry
from services.common.runtime.retrying import retry_on_stale
from services.common.values import clock, ids
from services.common.values.caller import Caller
from services.common.values.clock import Clock
from services.common.values.errors import NotFound
from services.common.values.money import Money
from services.order import domain, messages
from services.order.domain import Address, Item, Order, Product, State, Step
from services.order.ports import Orders, Page, Part, Parts, Products

log = telemetry.logger(__name__)

Change = Callable[[Order], Order]


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A customer's wish."""

    customer_id: str
    items: tuple[Item, ...]
    payment_token: str
    address: Address
    expected_total: Money | None = None


class UnknownOrder(NotFound):
    """There is no such order, or it is another customer's."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"no order {order_id}")


def place_order(
    wish: PlaceOrder,
    request: KeyedRequest,
    present: Callable[[Order], Answer],
    *,
    orders: Orders,
    products: Products,
    idempotency: IdempotencyStore,
    now: Clock = clock.now,
) -> Answer:
    """Accepts an order, once per key of a request; answers what `present` makes of it, the same at every repeat.

    Raises:
        InFlight, KeyReused: see `idempotency.once`.
        UnknownProducts, MixedCurrencies, TooMany: when there can be no such order.
        TotalChanged: when it costs something else than expected.
    """

    def work() -> Answer:
        items = domain.merged(wish.items)
        known = products.find([item.sku for item in items])
        order = domain.place(
            ids.uuid7(), wish.customer_id, items, known, wish.address, now(), wish.expected_total
        )
        answer = present(order)
        orders.accept(order, wish.payment_token, messages.acceptance(order), request, answer)
        log.info("order_accepted", order_id=order.id, total=order.total.to_dict())
        return answer

    return once(idempotency, request, work)


def show_order(order_id: str, caller: Caller, *, orders: Orders) -> Order:
    """An order.

    Raises:
        UnknownOrder: when there is none of that id, or none that is the caller's to see.
    """
    order = orders.get(order_id)
    if order is None or not caller.may_see(order.customer_id):
        raise UnknownOrder(order_id)
    return order


def list_orders(customer_id: str, after: str | None, limit: int, *, orders: Orders) -> Page:
    """A customer's orders, newest first."""
    return orders.page(customer_id, after, limit)


def order_details(
    order_id: str, caller: Caller, proof: Mapping[str, str], *, orders: Orders, parts: Parts
) -> tuple[Order, Mapping[str, Part]]:
    """An order, and what the other services know of it.

    Args:
        order_id: of the order.
        caller: who asks.
        proof: headers that prove to the other services who asks.
        orders: where orders are kept.
        parts: asks the other services.

    Raises:
        UnknownOrder: when there is none of that id, or none that is the caller's to see.
    """
    return show_order(order_id, caller, orders=orders), parts.find(order_id, proof)


def cancel_order(order_id: str, caller: Caller, *, orders: Orders, now: Clock = clock.now) -> Order:
    """Has an order undone; the workflow finds out before it ships.

    Raises:
        UnknownOrder: when there is none of that id, or none that is the caller's to cancel.
        TooLateToCancel: when it can no longer be stopped.
    """

    def cancel(order: Order) -> Order:
        if not caller.may_change(order.customer_id):
            raise UnknownOrder(order_id)
        return order.cancel(now())

    return _change(order_id, cancel, orders)


def check_order(order_id: str, reserved_at: datetime, *, orders: Orders) -> State:
    """The task CheckOrder: the stock is reserved, and the order may be charged unless it was cancelled meanwhile.

    Raises:
        OrderCancelled: when the order is to be undone.
    """
    step = Step(State.RESERVED, reserved_at, domain.RESERVED_BECAUSE)
    return _change(order_id, lambda order: order.check().reached(step), orders).state


def turn_back_order(
    order_id: str, error: str, cause: str, *, orders: Orders, now: Clock = clock.now
) -> State:
    """The task StartCancelling: the workflow has begun to undo the order, because of `error`."""
    return _change(order_id, lambda order: order.turn_back(error, cause, now()), orders).state


def confirm_order(order_id: str, *, orders: Orders, now: Clock = clock.now) -> datetime:
    """The task ConfirmOrder; answers when the order was confirmed.

    Raises:
        OrderCancelled: when the order is to be undone.
    """
    confirmed_at = _change(order_id, lambda order: order.confirm(now()), orders).confirmed_at
    if confirmed_at is None:
        raise domain.Contradiction(f"order {order_id} was confirmed at no time")
    return confirmed_at


def complete_order(
    order_id: str,
    tracking_number: str,
    *,
    reserved_at: datetime,
    charged_at: datetime,
    booked_at: datetime,
    orders: Orders,
) -> State:
    """The task CompleteOrder: the parcel is booked."""
    return _change(
        order_id,
        lambda order: order.ship(
            tracking_number, reserved_at=reserved_at, charged_at=charged_at, booked_at=booked_at
        ),
        orders,
    ).state


def undo_order(
    order_id: str, error: str, cause: str, refunded: Money | None, *, orders: Orders, now: Clock = clock.now
) -> State:
    """The task CancelOrder: nothing is kept of the order any more."""

    def undo(order: Order) -> Order:
        # A payment that was never begun has no currency.
        given_back = refunded if refunded and refunded.amount else Money(0, order.total.currency)
        return order.undo(error, cause, given_back, now())

    return _change(order_id, undo, orders).state


def note_reserved(order_id: str, at: datetime, *, orders: Orders) -> None:
    """The fact that the order's stock is reserved."""
    _change(order_id, lambda order: order.reached(Step(State.RESERVED, at, domain.RESERVED_BECAUSE)), orders)


def note_paid(order_id: str, at: datetime, *, orders: Orders) -> None:
    """The fact that the order's payment was taken."""
    _change(order_id, lambda order: order.reached(Step(State.PAID, at, domain.PAID_BECAUSE)), orders)


def note_product(product: Product, *, products: Products) -> None:
    """The fact that a product is named and priced so."""
    if not products.put(product):
        log.info("older_product_ignored", sku=product.sku)


def _change(order_id: str, change: Change, orders: Orders) -> Order:
    """The order after a change that was made to its newest version, whoever else changes it meanwhile."""

    def make() -> Order:
        order = orders.get(order_id)
        if order is None:
            raise UnknownOrder(order_id)
        changed = change(order)
        return order if changed == order else orders.save(changed, _told(order, changed))

    return retry_on_stale(make, f"order {order_id}")


def _told(before: Order, after: Order) -> OutboxRecord | None:
    ended = after.state.is_end and not before.state.is_end
    return messages.end(after) if ended else None
