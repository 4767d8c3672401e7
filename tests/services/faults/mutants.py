"""Runs a process of the shop with a defect, to show that the audit detects it.

    python tests/services/faults/mutants.py charge-twice services.payment.consumer
    python tests/services/faults/mutants.py never-agree tests.services.faults.functions reconciler

Every defect is one that a change of the code could introduce unnoticed. No product code refers to this file.
"""

import itertools
import runpy
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from services.common.aws import dynamo
from services.common.messaging.consumer import Consumer, Handler, Message
from services.common.messaging.events import Publisher
from services.common.messaging.outbox import OutboxMessage, OutboxRecord
from services.common.messaging.relay import Relay
from services.common.values import clock
from services.common.values.money import Money
from services.order.watchlist import Watchlist
from services.payment import handlers as payment
from services.payment.domain import Charge, State, begun
from services.payment.ports import Payments
from services.payment.provider import Sandbox
from services.product import low_stock, messages, watch_function
from services.product.domain import Move, Reservation, Shelf
from services.product.domain import State as StockState
from services.product.dynamo import DynamoStock
from services.product.low_stock import Change, Level, Levels
from services.shipping import handlers as shipping
from services.shipping.domain import Booking, ShipmentRefused
from services.shipping.ports import CarrierDown

LOST: Final = 3


def charge_twice() -> None:
    """Every attempt uses its own idempotency key at the provider."""
    charge = Sandbox.charge

    def charge_anew(self: Sandbox, key: str, amount: Money, token: str) -> Charge:
        return charge(self, f"{key}-{uuid.uuid4()}", amount, token)

    Sandbox.charge = charge_anew  # type: ignore[method-assign]


def forget_the_refund() -> None:
    """The payment is marked as refunded without a call of the provider."""

    def refund_payment(order_id: str, customer_id: str, *, payments: Payments, **_: object) -> Money:
        found = payments.get(order_id) or begun(order_id, customer_id, None)
        if found.state is not State.REFUNDED:
            found = payments.save(found.refund(found.charge, clock.now()), None)
        return found.money_refunded

    payment.refund_payment = refund_payment


def acknowledge_before_commit() -> None:
    """A message is deleted before it is handled."""

    def handle(self: Consumer, message: Message, kind: str, body: Mapping[str, Any]) -> bool:
        self._queue.delete([message])
        handler: Handler = self._handlers[kind]
        handler(body)
        return True

    Consumer._handle = handle  # type: ignore[method-assign]


def release_stock_twice() -> None:
    """Released stock becomes available in the transaction and a second time after it."""
    save = DynamoStock.save

    def save_and_move_again(
        self: DynamoStock,
        reservation: Reservation,
        was: StockState | None,
        move: Move | None,
        outbox_record: OutboxRecord | None,
    ) -> None:
        save(self, reservation, was, move, outbox_record)
        for item in move.items if move is not None and move.target is Shelf.AVAILABLE else ():
            self._client.update_item(
                TableName=self._table,
                Key=dynamo.pack({"pk": f"PRODUCT#{item.sku}", "sk": "PRODUCT"}),
                UpdateExpression="ADD available :quantity",
                ExpressionAttributeValues=dynamo.pack({":quantity": item.quantity}),
            )

    DynamoStock.save = save_and_move_again  # type: ignore[method-assign]


def lose_an_outbox_record() -> None:
    """One in three records about orders is deleted without being sent."""
    tell, count = Relay._send, itertools.count(1)

    def tell_some(self: Relay, messages: Sequence[OutboxMessage]) -> None:
        about_products = any("product" in str(message.payload.get("type")) for message in messages)
        if about_products or next(count) % LOST:
            tell(self, messages)

    Relay._send = tell_some  # type: ignore[method-assign]


def give_up_at_once() -> None:
    """A missing answer of the carrier is treated as a refusal."""
    create = shipping.create_shipment

    def create_now_or_never(*arguments: Any, **named: Any) -> Booking:
        try:
            return create(*arguments, **named)
        except CarrierDown as error:
            raise ShipmentRefused(str(error)) from error

    shipping.create_shipment = create_now_or_never


def never_agree() -> None:
    """An order is checked forever, because it is never found to be consistent."""

    def keep(self: Watchlist, order_id: str) -> None:
        pass

    Watchlist.remove = keep  # type: ignore[method-assign]


def count_a_change_again() -> None:
    """A change that is delivered twice is counted twice."""
    after = Level.after

    def after_any(self: Level, change: Change, threshold: int) -> Level:
        return after(replace(self, sequence=""), change, threshold)

    Level.after = after_any  # type: ignore[method-assign]


def keep_low_stock_quiet() -> None:
    """A product runs low without an event."""

    def forget(level: Level, levels: Levels, publisher: Publisher) -> Level:
        told = replace(level, untold=None)
        levels.save(told, level)
        return told

    low_stock._publish = forget


def drop_the_last_change() -> None:
    """The last change of each batch is reported as processed, but is not."""
    work = watch_function.work

    def work_on_some(
        batch: watch_function.Batch, dependencies: watch_function.Dependencies
    ) -> dict[str, Any]:
        return work({"Records": batch["Records"][:-1]}, dependencies)

    watch_function.work = work_on_some


def retell_low_stock_with_another_level() -> None:
    """The event of low stock contains the current number of pieces instead of the number at that time."""
    tell = low_stock._publish

    def tell_of_now(level: Level, levels: Levels, publisher: Publisher) -> Level:
        if level.untold:
            publisher.publish([messages.low(replace(level.untold, available=level.available + 1))])
        return tell(level, levels, publisher)

    low_stock._publish = tell_of_now


MUTANTS: Final[Mapping[str, Callable[[], None]]] = {
    "charge-twice": charge_twice,
    "forget-the-refund": forget_the_refund,
    "acknowledge-before-commit": acknowledge_before_commit,
    "release-stock-twice": release_stock_twice,
    "lose-an-outbox-record": lose_an_outbox_record,
    "give-up-at-once": give_up_at_once,
    "never-agree": never_agree,
    "count-a-change-again": count_a_change_again,
    "keep-low-stock-quiet": keep_low_stock_quiet,
    "drop-the-last-change": drop_the_last_change,
    "retell-low-stock-differently": retell_low_stock_with_another_level,
}

if __name__ == "__main__":
    _, name, module, *sys.argv[1:] = sys.argv
    MUTANTS[name]()
    runpy.run_module(module, run_name="__main__")
