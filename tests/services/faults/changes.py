"""The changes of a product table in its stream, and the location of their projection."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.product.watch_function import change
from shopdev.clients import Clients
from tests.services.accounts import new_table
from tests.services.faults.functions import event


@dataclass
class Changes:
    """One stream and one projection of it, read past the proxy.

    Args:
        clients: of AWS itself.
        stream: the ARN.
        levels: the table of the projection.
        put_aside: URL of the queue for changes that cannot be counted.
    """

    clients: Clients
    stream: str
    levels: str
    put_aside: str
    _read: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    _where: dict[str, str] = field(default_factory=lambda: {"ShardIteratorType": "TRIM_HORIZON"})

    @classmethod
    def of(cls, clients: Clients, stream: str, prefix: str) -> "Changes":
        """With a projection of its own, which is empty."""
        queue = clients.sqs.create_queue(QueueName=f"{prefix}-stock-changes-dlq")["QueueUrl"]
        return cls(clients, stream, new_table(clients), queue)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the function and of its caller."""
        return {
            "TABLE": self.levels,
            "TASKS_QUEUE_URL": self.put_aside,
            "STREAM_ARN": self.stream,
            "STREAM_ENDPOINT": self.clients.endpoint,
        }

    def read(self) -> Mapping[str, Sequence[tuple[str, int]]]:
        """SKU -> each change up to now: its sequence number, and the pieces that can be ordered from then on."""
        streams = self.clients.dynamodbstreams
        (shard,) = streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        where: Any = self._where
        iterator = streams.get_shard_iterator(StreamArn=self.stream, ShardId=shard["ShardId"], **where)
        following: str | None = iterator["ShardIterator"]
        while following and (answer := streams.get_records(ShardIterator=following))["Records"]:
            for record in answer["Records"]:
                if found := change(event(record)):
                    self._read[found.sku].append((found.sequence, found.available))
            self._where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": answer["Records"][-1]["dynamodb"]["SequenceNumber"],
            }
            following = answer.get("NextShardIterator")
        return self._read
