"""Runs a worker of the shop with a defect, so that it can be shown that the audit sees it.

    python tests/services/faults/mutants.py charge-twice services.payment.consumer

Each defect is one that a change of the code may bring in unnoticed. No product code knows of this file.
"""

import itertools
import runpy
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from services.common import clock, dynamo
from services.common.consumer import Consumer, Handler, Message
from services.common.money import Money
from services.common.outbox import OutboxMessage, OutboxRecord, Relay
from services.payment import handlers as payment
from services.payment.domain import Charge, State, begun
from services.payment.ports import Payments
from services.payment.provider import Sandbox
from services.product.domain import Move, Reservation, Shelf
from services.product.domain import State as StockState
from services.product.dynamo import DynamoStock

LOST: Final = 3


def charge_twice() -> None:
    """Each try has an idempotency key of its own at the provider."""
    charge = Sandbox.charge

    def charge_anew(self: Sandbox, key: str, amount: Money, token: str) -> Charge:
        return charge(self, f"{key}-{uuid.uuid4()}", amount, token)

    Sandbox.charge = charge_anew  # type: ignore[method-assign]


def forget_the_refund() -> None:
    """The payment says that it was refunded, and the provider was not asked."""

    def refund_payment(order_id: str, customer_id: str | None, *, payments: Payments, **_: object) -> Money:
        found = payments.get(order_id) or begun(order_id, customer_id, None)
        if found.state is not State.REFUNDED:
            found = payments.save(found.refund(found.charge, clock.now()), None)
        return found.money_refunded

    payment.refund_payment = refund_payment


def acknowledge_before_commit() -> None:
    """A message is deleted first, and handled then."""

    def handle(self: Consumer, message: Message, kind: str, body: Mapping[str, Any]) -> bool:
        self._queue.delete(message)
        handler: Handler = self._handlers[kind]
        handler(body)
        return True

    Consumer._handle = handle  # type: ignore[method-assign]


def release_stock_twice() -> None:
    """What is released becomes available once in the transaction, and once more after it."""
    save = DynamoStock.save

    def save_and_move_again(
        self: DynamoStock,
        reservation: Reservation,
        was: StockState | None,
        move: Move | None,
        told: OutboxRecord | None,
    ) -> None:
        save(self, reservation, was, move, told)
        for item in move.items if move is not None and move.target is Shelf.AVAILABLE else ():
            self._client.update_item(
                TableName=self._table,
                Key=dynamo.pack({"pk": f"PRODUCT#{item.sku}", "sk": "PRODUCT"}),
                UpdateExpression="ADD available :quantity",
                ExpressionAttributeValues=dynamo.pack({":quantity": item.quantity}),
            )

    DynamoStock.save = save_and_move_again  # type: ignore[method-assign]


def lose_an_outbox_record() -> None:
    """One in three records about orders is removed and was never told."""
    tell, count = Relay._tell, itertools.count(1)

    def tell_some(self: Relay, messages: Sequence[OutboxMessage]) -> None:
        about_products = any("product" in str(message.payload.get("type")) for message in messages)
        if about_products or next(count) % LOST:
            tell(self, messages)

    Relay._tell = tell_some  # type: ignore[method-assign]


MUTANTS: Final[Mapping[str, Callable[[], None]]] = {
    "charge-twice": charge_twice,
    "forget-the-refund": forget_the_refund,
    "acknowledge-before-commit": acknowledge_before_commit,
    "release-stock-twice": release_stock_twice,
    "lose-an-outbox-record": lose_an_outbox_record,
}

if __name__ == "__main__":
    _, name, module = sys.argv
    MUTANTS[name]()
    runpy.run_module(module, run_name="__main__")
