"""The shipping service in memory, with the sandbox as its carrier."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson

import services.shipping
from services.common.messaging.events import Event
from services.common.runtime.breaker import Limits
from services.shipping import consumer
from services.shipping.carrier import GuardedCarrier, Sandbox
from services.shipping.ports import Carrier
from tests.services.memory import MemoryAnswers, MemoryLedger, MemoryOutbox
from tests.services.shipping.fakes import MemoryShipments

CONTRACTS = Path(services.shipping.__file__).parent / "contracts"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUICK = Limits(deadline=5, longest_pause=0.001, failures=3, recovery=60)


def check(contract: str, message: Any) -> None:
    schema = orjson.loads((CONTRACTS / f"{contract}.json").read_bytes())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        orjson.loads(orjson.dumps(message))
    )


def create(postal_code: str = "10115", order_id: str = "order-1") -> dict[str, Any]:
    address = {
        "name": "A. Customer",
        "line1": "Main Street 1",
        "city": "Berlin",
        "postal_code": postal_code,
        "country": "DE",
    }
    return {
        "task": "CreateShipment",
        "order_id": order_id,
        "customer_id": "alice",
        "items": [{"sku": "CUP", "quantity": 2}],
        "shipping_address": address,
    }


def cancel(order_id: str = "order-1") -> dict[str, Any]:
    return {"task": "CancelShipment", "order_id": order_id, "customer_id": "alice"}


class World:
    """The handlers of the consumer and their dependencies. `carrier` can be replaced."""

    def __init__(self) -> None:
        self.outbox = MemoryOutbox()
        self.shipments = MemoryShipments(self.outbox)
        self.ledger = MemoryLedger()
        self.answers = MemoryAnswers()
        self.carrier: Carrier = GuardedCarrier(Sandbox(self.ledger), QUICK)
        self._tokens = 0

    def do(self, task: dict[str, Any]) -> Any:
        """Returns the output, or the error code."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        self.answers.waiting.add(token)
        message = {**task, "task_token": token, "traceparent": TRACEPARENT}
        check(task["task"], message)
        handlers = consumer.tasks(self.shipments, self.carrier, self.answers)
        handlers[task["task"]](message)
        if token in self.answers.failures:
            return self.answers.failures[token][0]
        check(f"{task['task']}.result", self.answers.outputs[token])
        return self.answers.outputs[token]

    def is_booked(self, order_id: str = "order-1") -> bool:
        """Whether the carrier comes for the parcel, by its own book."""
        entry = self.ledger.entries.get(order_id, {"what": "none"})
        return entry["what"] == "BOOKED" and f"{order_id}-cancelled" not in self.ledger.entries

    @property
    def told(self) -> list[Event]:
        """The pending events in the outbox, oldest first."""
        records = self.outbox.pending(100)
        return [Event.from_dict(message.payload) for record in records for message in record.messages]

    def published(self) -> list[str]:
        """The types of the events, each of which matches its contract."""
        for event in self.told:
            check(event.type, event.to_dict())
        return [event.type for event in self.told]
