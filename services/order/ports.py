"""The ports of the order service: what its handlers require from storage and from other services."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.common.http.idempotency import Answer, KeyedRequest
from services.common.messaging.outbox import OutboxRecord
from services.order.domain import Order, Product
from services.order.reconciliation import Finding


@dataclass(frozen=True, slots=True)
class Page:
    """A page of orders, newest first, and the ID after which the next page starts, or None on the last page."""

    orders: tuple[Order, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A page of the orders that need attention, oldest order first.

    Args:
        findings: orders of this page.
        next_after: ID after which the next page starts, or None on the last page.
        checked_at: time of the latest run that has checked all orders, or None if there was none.
    """

    findings: tuple[Finding, ...]
    next_after: str | None
    checked_at: datetime | None


class Findings(Protocol):
    """The orders that need attention, as the reconciler found them."""

    def page(self, after: str | None, limit: int) -> FindingPage:
        """The orders after `after`. May omit findings of the last second."""


class Orders(Protocol):
    """The orders, and the outbox records of their changes."""

    def accept(
        self,
        order: Order,
        payment_token: str,
        outbox_record: OutboxRecord,
        request: KeyedRequest,
        answer: Answer,
    ) -> None:
        """Writes a new order, its outbox record and the response to its request in one transaction.

        The payment token is stored under the ID of the order, where only the payment service can read it.

        Raises:
            KeyTaken: a response is already recorded under the Idempotency-Key; nothing was written.
            InFlight: another request with the key is being committed; nothing was written.
        """

    def get(self, order_id: str) -> Order | None:
        """The order as last written, or None if it does not exist."""

    def save(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        """Writes a changed order and the outbox record of the change in one transaction. Returns the order as written.

        Raises:
            Stale: the order was written since it was read.
        """

    def withdraw(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        """As `save`, and removes the payment token of the order in the same transaction. A queued charge is then refused."""

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        """A customer's orders, newest first, starting after `after`. May omit orders of the last second."""

    def find_all(self, order_ids: Collection[str]) -> Mapping[str, Order]:
        """The orders with these IDs, by ID; at most 100. Leaves out orders that do not exist or cannot be read."""

    def ping(self) -> None:
        """Raises an exception if orders cannot be read."""


class Products(Protocol):
    """The order service's own copy of product names and prices."""

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        """The known products among `skus`, by SKU.

        Raises:
            UnreadableRow: a product cannot be parsed.
        """

    def put(self, product: Product) -> bool:
        """Stores the product unless a later version is known. Returns whether it was stored. Version 0 is the earliest."""


@dataclass(frozen=True, slots=True)
class RelatedResource:
    """A resource that belongs to an order, such as its payment, as its service returns it.

    Args:
        document: body of the response, or None if the resource does not exist yet or could not be loaded.
        reason: human-readable reason why it could not be loaded; empty otherwise.
    """

    document: Mapping[str, Any] | None = None
    reason: str = ""


class RelatedResources(Protocol):
    """The payment and the shipment of an order, at their services."""

    def find(self, order_id: str, proof: Mapping[str, str]) -> Mapping[str, RelatedResource]:
        """The resources by name ("payment", "shipment"), loaded within one deadline. The failure of one affects no other.

        Args:
            order_id: ID of the order.
            proof: headers that authenticate the caller at the other services.
        """


class Workflow(Protocol):
    """The workflow that completes or undoes an order."""

    def start(self, order_id: str, order: Mapping[str, Any]) -> None:
        """Starts the workflow of an order. Has no effect if it was started before, even if it has ended."""
