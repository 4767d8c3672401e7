"""Products and orders for the tests of the product service."""

from datetime import UTC, datetime
from typing import Any

from services.common.messaging.events import Event
from services.common.messaging.outbox import Outbox
from services.common.values.money import Money
from services.product.domain import Inventory, Product
from services.product.ports import Catalogue

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRST = int(NOW.timestamp() * 1000)
"""The version of a product written at a time."""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def product(sku: str, name: str = "Cup", category: str = "cups") -> Product:
    """In its first version."""
    return Product(sku, name, category, Money(790, "EUR"), NOW, FIRST)


def told(outbox: Outbox) -> list[Event]:
    """The pending events in an outbox, oldest first."""
    return [Event.from_dict(message.payload) for record in outbox.pending(100) for message in record.messages]


def inventory(catalogue: Catalogue, sku: str) -> Inventory:
    stocked = catalogue.find(sku)
    assert stocked is not None
    return stocked.inventory


def task(name: str, order_id: str, token: str = "token-1", **fields: Any) -> dict[str, Any]:
    return {
        "task": name,
        "task_token": token,
        "order_id": order_id,
        "traceparent": TRACEPARENT,
        **fields,
    }
