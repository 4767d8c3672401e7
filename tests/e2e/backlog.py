"""A backlog of charges in a queue of its own, from which no message may be received twice."""

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.common.aws.dynamo import unpack
from shopdev.clients import Clients

AMOUNT = {"amount": 1299, "currency": "EUR"}


@dataclass(frozen=True)
class Backlog:
    """A queue with a dead-letter queue that gets every message which would be received a second time.

    Args:
        aws: the clients.
        queue: URL of the queue, for these clients.
        dead_letters: URL of its dead-letter queue.
    """

    aws: Clients
    queue: str
    dead_letters: str

    @classmethod
    def create(cls, aws: Clients, name: str) -> "Backlog":
        dead_letters = aws.sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        arn = aws.sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])["Attributes"]
        once = json.dumps({"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 1})
        queue = aws.sqs.create_queue(
            QueueName=name, Attributes={"VisibilityTimeout": "120", "RedrivePolicy": once}
        )
        return cls(aws, queue["QueueUrl"], dead_letters)

    def charge(self, orders: Sequence[str], tokens_table: str) -> None:
        """Store the payment token of each order, and send its task. No workflow waits for the results."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda batch: self._store_tokens(batch, tokens_table), _batches(orders, 25)))
            list(pool.map(self._send, _batches(orders, 10)))

    def left(self) -> int:
        """The messages that wait or are in progress."""
        found = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.queue,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(map(int, found.values()))

    def dead(self) -> int:
        """The messages that were received a second time."""
        found = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.dead_letters, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def payments(self, table: str, orders: Sequence[str]) -> dict[str, Any]:
        """The payments of orders, by the order."""
        keys = [{"pk": {"S": f"PAYMENT#{order}"}, "sk": {"S": "PAYMENT"}} for order in orders]
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(
                lambda batch: self.aws.dynamodb.batch_get_item(
                    RequestItems={table: {"Keys": batch, "ConsistentRead": True}}
                )["Responses"][table],
                _batches(keys, 100),
            )
            rows = [unpack(item) for batch in found for item in batch]
        return {row["order_id"]: row for row in rows}

    def remove(self) -> None:
        """Delete the queues that exist."""
        for url in (self.queue, self.dead_letters):
            with suppress(self.aws.sqs.exceptions.QueueDoesNotExist):
                self.aws.sqs.delete_queue(QueueUrl=url)

    def _store_tokens(self, orders: Sequence[str], table: str) -> None:
        def item(order: str) -> dict[str, Any]:
            return {
                "pk": {"S": order},
                "sk": {"S": "SECRET"},
                "secret": {"S": "tok_approve"},
                "expires_at": {"N": "4102444800"},
            }

        writes: Any = [{"PutRequest": {"Item": item(order)}} for order in orders]
        self.aws.dynamodb.batch_write_item(RequestItems={table: writes})

    def _send(self, orders: Sequence[str]) -> None:
        tasks = (
            {
                "task": "ChargePayment",
                "task_token": f"none-{order}",
                "order_id": order,
                "customer_id": "burst",
                "traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
                "amount": AMOUNT,
            }
            for order in orders
        )
        entries: Any = [
            {"Id": str(number), "MessageBody": json.dumps(task)} for number, task in enumerate(tasks)
        ]
        sent = self.aws.sqs.send_message_batch(QueueUrl=self.queue, Entries=entries)
        assert not sent.get("Failed")


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))
