"""Dead letters in memory, and queues with dead letters. test_dead_letters.py runs the same contract tests against both."""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.common.messaging.dlq.letter import Glance, Letter
from shopdev.clients import Clients

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
TASK = {
    "task": "ChargePayment",
    "task_token": "a token of the workflow",
    "order_id": "o1",
    "payment": {"token": "tok_secret"},
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
}


def letter(name: str, body: Any) -> Letter:
    text = body if isinstance(body, str) else json.dumps(body)
    return Letter(name, "https://sqs/1/shop-payment-tasks", f"receipt-{name}", text, {}, NOW, 5)


@dataclass
class MemoryPlace:
    """Dead letters in memory, and the actions on them. A letter with the body `refused` cannot be redriven."""

    letters: list[Letter]
    redriven: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def look(self) -> list[Letter]:
        return self._received(each.id for each in self.letters)

    def glance(self, most: int) -> Glance:
        visible = [each.id for each in self.letters if each.id not in self.hidden]
        return Glance(self._received(visible[:most]), len(self.letters))

    def find(self, ids: Collection[str]) -> list[Letter]:
        return self._received(ids)

    def give_back(self, letters: Sequence[Letter]) -> None:
        self.given_back += [each.id for each in letters]
        self.hidden -= {each.id for each in letters}

    def redrive(self, letter: Letter) -> None:
        if letter.body == "refused":
            raise ConnectionError
        self.redriven.append(letter.id)
        self.letters = [each for each in self.letters if each.id != letter.id]

    def delete(self, letter: Letter) -> None:
        self.deleted.append(letter.id)

    def note(self, letter: Letter, reason: str) -> None:
        self.notes.append((letter.id, reason))

    def _received(self, ids: Any) -> list[Letter]:
        wanted = set(ids) - self.hidden
        found = [each for each in self.letters if each.id in wanted]
        self.hidden |= {each.id for each in found}
        return found


def new_queues(clients: Clients) -> tuple[str, str]:
    """Creates a queue that gives up a message after two deliveries. Returns its URL and that of its dead letters."""
    sqs, name = clients.sqs, f"queue-{uuid.uuid4()}"
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    return sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"], dead
