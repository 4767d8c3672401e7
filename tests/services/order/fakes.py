"""The ports of the order service in memory. test_ports.py runs the same contract tests against the real adapters."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.common.http.idempotency import Answer, KeyedRequest
from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Stale
from services.order.domain import Order, Product
from services.order.ports import FindingPage, Page, RelatedResource
from services.order.reconciliation import Finding
from tests.services.memory import MemoryIdempotency, MemoryOutbox


class MemoryOrders:
    def __init__(self, idempotency: MemoryIdempotency, outbox: MemoryOutbox) -> None:
        self._idempotency = idempotency
        self._outbox = outbox
        self._orders: dict[str, Order] = {}
        self.tokens: dict[str, str] = {}

    def accept(
        self,
        order: Order,
        payment_token: str,
        outbox_record: OutboxRecord,
        request: KeyedRequest,
        answer: Answer,
    ) -> None:
        self._idempotency.record(request, answer)
        self.tokens[order.id] = payment_token
        self._orders[order.id] = order
        self._outbox.add(outbox_record)

    def get(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def save(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        if self._orders[order.id].version != order.version:
            raise Stale(order.id)
        self._orders[order.id] = replace(order, version=order.version + 1)
        if outbox_record is not None:
            self._outbox.add(outbox_record)
        return self._orders[order.id]

    def withdraw(self, order: Order, outbox_record: OutboxRecord | None) -> Order:
        saved = self.save(order, outbox_record)
        self.tokens.pop(order.id, None)
        return saved

    def page(self, customer_id: str, after: str | None, limit: int) -> Page:
        newest = sorted(self._orders.values(), key=lambda order: order.id, reverse=True)
        mine = [order for order in newest if order.customer_id == customer_id]
        rest = tuple(order for order in mine if after is None or order.id < after)
        return Page(rest[:limit], rest[limit - 1].id if len(rest) > limit else None)

    def find_all(self, order_ids: Collection[str]) -> Mapping[str, Order]:
        return {each: self._orders[each] for each in order_ids if each in self._orders}

    def ping(self) -> None:
        pass


class MemoryFindings:
    """Findings in memory, also for the reconciler, as `findings.DynamoFindings`."""

    def __init__(self) -> None:
        self.found: dict[str, Finding] = {}
        self.checked_at: datetime | None = None

    def page(self, after: str | None, limit: int) -> FindingPage:
        rest = [self.found[name] for name in sorted(self.found) if after is None or name > after]
        next_after = rest[limit - 1].order_id if len(rest) > limit else None
        return FindingPage(tuple(rest[:limit]), next_after, self.checked_at)

    def all(self) -> dict[str, Finding]:
        return dict(self.found)

    def put(self, finding: Finding) -> None:
        self.found[finding.order_id] = finding

    def remove(self, order_id: str) -> None:
        self.found.pop(order_id, None)

    def note_run(self, at: datetime) -> None:
        self.checked_at = at


class MemoryProducts:
    def __init__(self, *products: Product) -> None:
        self._products = {product.sku: product for product in products}

    def find(self, skus: Collection[str]) -> Mapping[str, Product]:
        return {sku: self._products[sku] for sku in skus if sku in self._products}

    def put(self, product: Product) -> bool:
        known = self._products.get(product.sku)
        if known is not None and (known.version > product.version or not product.version):
            return False
        self._products[product.sku] = product
        return True


class MemoryWorkflow:
    def __init__(self) -> None:
        self.started: dict[str, Mapping[str, Any]] = {}

    def start(self, order_id: str, order: Mapping[str, Any]) -> None:
        self.started.setdefault(order_id, order)


class MemoryRelatedResources:
    """Other services' resources of every order, as set by the test."""

    def __init__(self) -> None:
        self.known: dict[str, RelatedResource] = {"payment": RelatedResource(), "shipment": RelatedResource()}
        self.shown: list[tuple[str, Mapping[str, str]]] = []

    def find(self, order_id: str, proof: Mapping[str, str]) -> Mapping[str, RelatedResource]:
        self.shown.append((order_id, proof))
        return self.known
