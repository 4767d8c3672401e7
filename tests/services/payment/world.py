"""The payment service in memory, with the sandbox as its provider."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson

import services.payment
from services.common.messaging.events import Event
from services.common.runtime.breaker import Limits
from services.payment import consumer
from services.payment.ports import Provider
from services.payment.provider import GuardedProvider, Sandbox
from tests.services.memory import MemoryAnswers, MemoryLedger, MemoryOutbox
from tests.services.payment.fakes import MemoryPayments, MemoryVault

CONTRACTS = Path(services.payment.__file__).parent / "contracts"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PRICE = {"amount": 1299, "currency": "EUR"}
NOTHING = {"amount": 0, "currency": "EUR"}
QUICK = Limits(deadline=5, longest_pause=0.001, failures=3, recovery=60)


def check(contract: str, message: Any) -> None:
    schema = orjson.loads((CONTRACTS / f"{contract}.json").read_bytes())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        orjson.loads(orjson.dumps(message))
    )


def charge(token: str, order_id: str = "order-1") -> dict[str, Any]:
    return {
        "task": "ChargePayment",
        "order_id": order_id,
        "customer_id": "alice",
        "amount": PRICE,
        "token": token,
    }


def refund(order_id: str = "order-1") -> dict[str, Any]:
    return {"task": "RefundPayment", "order_id": order_id, "customer_id": "alice"}


class World:
    """The handlers of the consumer and their dependencies. `provider` can wrap the sandbox."""

    def __init__(self, provider: Provider | None = None) -> None:
        self.outbox = MemoryOutbox()
        self.tokens = MemoryVault()
        self.payments = MemoryPayments(self.outbox, self.tokens)
        self.ledger = MemoryLedger()
        self.answers = MemoryAnswers()
        self.provider: Provider = provider or GuardedProvider(Sandbox(self.ledger), QUICK)
        self._tokens = 0

    def do(self, task: dict[str, Any]) -> Any:
        """Answers the output, or the error's code. A task's `token` is left in the vault, and is not of the message."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        self.answers.waiting.add(token)
        if pays := task.pop("token", None):
            self.tokens.secrets[task["order_id"]] = pays
        message = {**task, "task_token": token, "traceparent": TRACEPARENT}
        check(task["task"], message)
        handlers = consumer.tasks(self.payments, self.provider, self.tokens, self.answers)
        handlers[task["task"]](message)
        if token in self.answers.failures:
            return self.answers.failures[token][0]
        check(f"{task['task']}.result", self.answers.outputs[token])
        return self.answers.outputs[token]

    def kept(self, order_id: str = "order-1") -> int:
        """The customer's money at the provider, according to its own ledger."""
        charged = self.ledger.entries.get(order_id, {"what": "none"})
        refunded = self.ledger.entries.get(f"{order_id}-refund", {"amount": {"amount": 0}})
        if charged["what"] != "CHARGED":
            return 0
        return int(charged["amount"]["amount"]) - int(refunded["amount"]["amount"])

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
