"""The use cases of the order service: one idempotent function for each request, task and event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.common.http.idempotency import Answer, IdempotencyStore, KeyedRequest, once
from services.common.messaging.outbox import OutboxRecord
from services.common.runtime.retrying import retry_on_stale
from services.common.telemetry import logs
from services.common.values import clock, ids
from services.common.values.caller import Caller
from services.common.values.clock import Clock
from services.common.values.errors import NotFound
from services.common.values.ids import shown
from services.common.values.money import Money
from services.order import domain, messages, metrics
from services.order.domain import Address, Item, Order, Product, State, Step
from services.order.ports import (
    FindingPage,
    Findings,
    Orders,
    Page,
    Products,
    RelatedResource,
    RelatedResources,
)

log = logs.logger(__name__)

Change = Callable[[Order], Order]


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """The command to place an order."""

    customer_id: str
    items: tuple[Item, ...]
    payment_token: str
    address: Address
    expected_total: Money | None = None


class UnknownOrder(NotFound):
    """The order does not exist, or belongs to another customer."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {shown(order_id)} not found")


def place_order(
    command: PlaceOrder,
    request: KeyedRequest,
    present: Callable[[Order], Answer],
    *,
    orders: Orders,
    products: Products,
    idempotency: IdempotencyStore,
    now: Clock = clock.now,
) -> Answer:
    """Accepts an order once per Idempotency-Key. Returns the result of `present`, which is the same for every retry.

    Raises:
        InFlight, KeyReused: see `idempotency.once`.
        UnknownProducts, MixedCurrencies, TooMany: the order is invalid.
        TotalChanged: the total differs from the expected one.
    """

    def work() -> Answer:
        items = domain.merged(command.items)
        known = products.find([item.sku for item in items])
        order = domain.place(
            ids.uuid7(), command.customer_id, items, known, command.address, now(), command.expected_total
        )
        answer = present(order)
        orders.accept(order, command.payment_token, messages.acceptance(order), request, answer)
        metrics.ACCEPTED.inc()
        log.info("order_accepted", order_id=order.id, total=order.total.to_dict())
        return answer

    return once(idempotency, request, work)


def show_order(order_id: str, caller: Caller, *, orders: Orders) -> Order:
    """An order.

    Raises:
        UnknownOrder: it does not exist, or the caller may not see it.
    """
    order = orders.get(order_id)
    if order is None or not caller.may_see(order.customer_id):
        raise UnknownOrder(order_id)
    return order


def list_orders(customer_id: str, after: str | None, limit: int, *, orders: Orders) -> Page:
    """A customer's orders, newest first."""
    return orders.page(customer_id, after, limit)


def orders_needing_attention(
    after: str | None, limit: int, *, orders: Orders, findings: Findings
) -> tuple[FindingPage, Mapping[str, Order]]:
    """The orders that need attention, and their rows by ID as far as they can be read."""
    page = findings.page(after, limit)
    return page, orders.find_all([finding.order_id for finding in page.findings])


def order_details(
    order_id: str,
    caller: Caller,
    proof: Mapping[str, str],
    *,
    orders: Orders,
    related_resources: RelatedResources,
) -> tuple[Order, Mapping[str, RelatedResource]]:
    """An order and its related resources.

    Args:
        order_id: ID of the order.
        caller: sender of the request.
        proof: headers that authenticate the caller at the other services.
        orders: storage of orders.
        related_resources: loads the payment and the shipment.

    Raises:
        UnknownOrder: the order does not exist, or the caller may not see it.
    """
    return show_order(order_id, caller, orders=orders), related_resources.find(order_id, proof)


def cancel_order(order_id: str, caller: Caller, *, orders: Orders, now: Clock = clock.now) -> Order:
    """Cancels an order. A queued charge is refused, and the workflow undoes the order instead of shipping it.

    Raises:
        UnknownOrder: the order does not exist, or the caller may not cancel it.
        TooLateToCancel: the order can no longer be cancelled.
    """

    def cancel(order: Order) -> Order:
        if not caller.may_change(order.customer_id):
            raise UnknownOrder(order_id)
        return order.cancel(now())

    return _change(order_id, cancel, orders)


def check_order(order_id: str, reserved_at: datetime, *, orders: Orders) -> State:
    """The task CheckOrder: the stock is reserved, and the order may be charged unless it was cancelled.

    Raises:
        OrderCancelled: the order is being undone, or was undone.
    """
    step = Step(State.RESERVED, reserved_at, domain.RESERVED_BECAUSE)
    return _change(order_id, lambda order: order.check().reached(step), orders).state


def turn_back_order(
    order_id: str, error: str, cause: str, *, orders: Orders, now: Clock = clock.now
) -> State:
    """The task StartCancelling: the workflow began to undo the order because of `error`."""
    return _change(order_id, lambda order: order.turn_back(error, cause, now()), orders).state


def confirm_order(
    order_id: str, charged_at: datetime | None, *, orders: Orders, now: Clock = clock.now
) -> datetime:
    """The task ConfirmOrder. Adds the step PAID if the time of the charge is known. Returns the time of the confirmation.

    Raises:
        OrderCancelled: the order is being undone, or was undone.
    """

    def confirm(order: Order) -> Order:
        confirmed = order.confirm(now())
        if charged_at is None:
            return confirmed
        return confirmed.reached(Step(State.PAID, charged_at, domain.PAID_BECAUSE))

    confirmed_at = _change(order_id, confirm, orders).confirmed_at
    if confirmed_at is None:
        raise domain.Contradiction(f"order {order_id} has no time of confirmation")
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
    """The task CompleteOrder: the shipment is booked."""
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
    """The task CancelOrder: the order is undone."""

    def undo(order: Order) -> Order:
        # The payment service does not know the currency of a charge that never started.
        given_back = refunded if refunded and refunded.amount else Money(0, order.total.currency)
        return order.undo(error, cause, given_back, now())

    return _change(order_id, undo, orders).state


def note_product(product: Product, *, products: Products) -> None:
    """Stores the name and the price of a product unless a later version is known."""
    if not products.put(product):
        log.info("older_product_ignored", sku=product.sku)


def _change(order_id: str, change: Change, orders: Orders) -> Order:
    """The order after `change`, which is applied again if the order is written concurrently."""

    def make() -> Order:
        order = orders.get(order_id)
        if order is None:
            raise UnknownOrder(order_id)
        changed = change(order)
        if changed == order:
            return order
        # A payment token is removed once: when the order starts to be undone.
        write = orders.withdraw if changed.is_undone and not order.is_undone else orders.save
        saved = write(changed, _outbox_record(order, changed))
        if _has_ended(order, changed):
            metrics.note_end(changed)
        return saved

    return retry_on_stale(make, f"order {order_id}")


def _outbox_record(before: Order, after: Order) -> OutboxRecord | None:
    return messages.end(after) if _has_ended(before, after) else None


def _has_ended(before: Order, after: Order) -> bool:
    return after.state.is_end and not before.state.is_end
