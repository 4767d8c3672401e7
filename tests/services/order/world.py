"""The order service in memory, with an adjustable clock."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient

from services.common.values import clock
from services.common.values.caller import Caller
from services.common.values.money import Money
from services.order import api, consumer
from services.order.domain import Product
from tests.services.callers import As
from tests.services.memory import MemoryAnswers, MemoryIdempotency, MemoryOutbox
from tests.services.order.fakes import MemoryFindings, MemoryOrders, MemoryProducts, MemoryRelatedResources

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TEA = Product("TEA", "Earl Grey", Money(1299, "EUR"), 1)
CUP = Product("CUP", "A cup", Money(500, "EUR"), 1)
MUG = Product("MUG", "A mug", Money(700, "USD"), 1)


@dataclass
class Clock:
    at: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class World:
    """Everything that the order service stores, and the messages that others send to it."""

    now: Clock = field(default_factory=Clock)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)

    def __post_init__(self) -> None:
        self.idempotency = MemoryIdempotency(self.now)
        self.outbox = MemoryOutbox(self.now)
        self.orders = MemoryOrders(self.idempotency, self.outbox)
        self.products = MemoryProducts(TEA, CUP, MUG)
        self.related_resources = MemoryRelatedResources()
        self.findings = MemoryFindings()

    def client(self, caller: Caller) -> FlaskClient:
        """A client of a caller."""
        return api.create(
            self.orders, self.products, self.idempotency, self.related_resources, self.findings, As(caller)
        ).test_client()

    def task(self, name: str, order_id: str, **fields: Any) -> dict[str, Any]:
        """Runs a task as the workflow does. Returns its output, or the error code under "error"."""
        token = f"{name}-{len(self.answers.outputs) + len(self.answers.failures)}"
        self.answers.waiting.add(token)
        message = {
            "task": name,
            "task_token": token,
            "order_id": order_id,
            "traceparent": TRACEPARENT,
            **fields,
        }
        consumer.tasks(self.orders, self.answers)[name](message)
        if token in self.answers.failures:
            return {"error": self.answers.failures[token][0]}
        return self.answers.outputs[token]

    def fact(self, kind: str, data: dict[str, Any], at: datetime | None = None, source: str = "") -> None:
        """Handles an event, published by its owner by default."""
        event = {
            "specversion": "1.0",
            "id": f"{kind}-{data.get('order_id') or data.get('sku')}",
            "type": kind,
            "source": source or ("/payment" if kind.startswith("shop.payment.") else "/product"),
            "subject": "it",
            "time": clock.rfc3339(at or self.now()),
            "datacontenttype": "application/json",
            "traceparent": TRACEPARENT,
            "data": data,
        }
        consumer.facts(self.products)[kind](event)


def wish(*items: tuple[str, Any], token: str = "tok_approve", **address: str) -> dict[str, Any]:
    """The body of a POST /orders."""
    return {
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items or (("TEA", 2),)],
        "payment": {"token": token},
        "shipping_address": {
            "name": "Ada",
            "line1": "1 Analytical Way",
            "city": "London",
            "postal_code": "N1",
            "country": "GB",
            **address,
        },
    }
