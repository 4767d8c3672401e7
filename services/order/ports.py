"""What the order service needs from the outside, as its handlers see it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.common.http.idempotency import Answer, KeyedRequest
from services.common.messaging.outbox import OutboxRecord
from services.order.domain import Order, Product


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders of a list, newest first, and the id to go on after, if there are more."""

    orders: tuple[Order, ...]
    next_after: str | None


class Orders(Protocol):
    """The orders, with what each change of one leaves to be told."""

    def accept(
        self, order: Order, payment_token: str, told: OutboxRecord, request: KeyedRequest, answer: Answer
    ) -> None:
        """Writes a new order, what is to be told of it, and the answer to its request: all of it or nothing.

        The token is left for the payment service alone, under the order's id.

        Raises:
            KeyTaken: when the request's Idempotency-Key has an answer; nothing was written.
            InFlight: when another request with the key is being committed; nothing was written.
        """

    def get(self, order_id: str) -> Order | None:
        """The order as it was last written."""

    def save(self, order: Order, told: OutboxRecord | None) -> Order:
        """Writes a changed order and what is to be told of the change: both or nothing; answers it as written.

        The token of an order that is undone is removed with it, so that a charge that waits in its queue is refused.

        Raises:
            Stale: when it is not the version that was read.
        """

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        """A customer's orders, newest first, from the one after `after`. May miss one of the last second."""

    def ping(self) -> None:
        """Returns when orders can be read, raises otherwise."""


class Products(Protocol):
    """The order service's own view of names and prices."""

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        """Those of the products that are known, by SKU.

        Raises:
            UnreadableRow: when one cannot be read.
        """

    def put(self, product: Product) -> bool:
        """Keeps the product unless a later version is known; answers whether it did. Version 0 is the earliest of all."""


@dataclass(frozen=True, slots=True)
class Part:
    """What another service knows of an order.

    Args:
        document: its answer; None when it knows of nothing (yet), or did not say.
        reason: why it did not say, for people; empty when it did.
    """

    document: Mapping[str, Any] | None = None
    reason: str = ""


class Parts(Protocol):
    """What other services know of an order."""

    def find(self, order_id: str, proof: Mapping[str, str]) -> Mapping[str, Part]:
        """Each part by its name, all within one deadline, whatever becomes of one.

        Args:
            order_id: of the order.
            proof: headers that prove who asks.
        """


class Workflow(Protocol):
    """What brings an order to its end."""

    def start(self, order_id: str, order: Mapping[str, Any]) -> None:
        """Starts the order's workflow; does nothing when it was started before, even if it has ended."""
