"""The dead letters in SQS, and the records of discarded ones in DynamoDB."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import orjson

from services.common.aws import clients, dynamo
from services.common.messaging.dlq.letter import Glance, Letter
from services.common.runtime.settings import ServiceSettings
from services.common.values import clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Maximum number of letters that one run receives.
MOST = 1000
# Seconds that a received letter is invisible to other receivers.
LOOK = 60
BATCH = 10
_COUNTS: Final[
    tuple[Literal["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"], ...]
] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)
# Retention of the records of discarded letters.
KEPT = timedelta(days=90)


class SqsPlace:
    """The dead letters of SQS queues.

    Args:
        client: an SQS client.
        queues: URLs of the queues. Queues without a dead-letter queue are ignored.
        receiver: the SQS client that receives letters, see `clients.receiver`. By default, `client`.
    """

    def __init__(
        self, client: "SQSClient", queues: Sequence[str], receiver: "SQSClient | None" = None
    ) -> None:
        self._client = client
        self._receiver = receiver or client
        self._dead = {queue: dead for queue in queues if (dead := self._dead_letters_of(queue))}

    def look(self) -> list[Letter]:
        """As `Place.look`."""
        return _oldest_first(
            letter for queue in self._dead for batch in self._batches(queue) for letter in batch
        )

    def glance(self, most: int) -> Glance:
        """As `Place.glance`."""
        found: list[Letter] = []
        total = 0
        for queue in self._dead:
            visible, invisible = self._count(queue)
            total += visible + invisible
            found += self._glance_at(queue, visible, most - len(found))
        return Glance(_oldest_first(found), max(total, len(found)))

    def find(self, ids: Collection[str]) -> list[Letter]:
        """As `Place.find`."""
        found: dict[str, Letter] = {}
        others: list[Letter] = []
        try:
            for batch in (batch for queue in self._dead for batch in self._batches(queue)):
                found |= {letter.id: letter for letter in batch if letter.id in ids}
                others += [letter for letter in batch if letter.id not in ids]
                if len(found) == len(ids):
                    break
        except Exception:
            others += found.values()
            raise
        finally:
            self.give_back(others)
        return list(found.values())

    def give_back(self, letters: Sequence[Letter]) -> None:
        """As `Place.give_back`. A letter for which this fails becomes visible after a minute."""
        for queue, dead in self._dead.items():
            own = [letter for letter in letters if letter.queue == queue]
            for first in range(0, len(own), BATCH):
                self._client.change_message_visibility_batch(
                    QueueUrl=dead,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                        for number, letter in enumerate(own[first : first + BATCH])
                    ],
                )

    def redrive(self, letter: Letter) -> None:
        """As `Place.redrive`."""
        attributes = {
            name: {
                key: value for key, value in each.items() if key in {"DataType", "StringValue", "BinaryValue"}
            }
            for name, each in letter.attributes.items()
        }
        self._client.send_message(
            QueueUrl=letter.queue,
            MessageBody=letter.body,
            MessageAttributes=attributes,  # type: ignore[arg-type]  # as they were received
        )
        self.delete(letter)

    def delete(self, letter: Letter) -> None:
        """As `Place.delete`."""
        self._client.delete_message(QueueUrl=self._dead[letter.queue], ReceiptHandle=letter.receipt)

    def _dead_letters_of(self, queue: str) -> str | None:
        answer = self._client.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])
        policy = orjson.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        arn = policy.get("deadLetterTargetArn")
        # SQS requires the dead-letter queue to be in the account and the region of the queue.
        return f"{queue.rsplit('/', 1)[0]}/{arn.rsplit(':', 1)[-1]}" if arn else None

    def _count(self, queue: str) -> tuple[int, int]:
        """The approximate numbers of visible and of invisible letters."""
        answer = self._client.get_queue_attributes(QueueUrl=self._dead[queue], AttributeNames=[*_COUNTS])
        visible, invisible = (int(answer["Attributes"][name]) for name in _COUNTS)
        return visible, invisible

    def _glance_at(self, queue: str, visible: int, most: int) -> list[Letter]:
        """Letters until there are as many as are visible, or until a response contains no new one."""
        found: dict[str, Letter] = {}
        while len(found) < most:
            # The number may be too low for a minute, so a queue is also asked that seems to be empty.
            wait = 1 if len(found) < visible else 0
            new = self._receive(queue, min(BATCH, most - len(found)), wait)
            fresh = {letter.id: letter for letter in new if letter.id not in found}
            found |= fresh
            if not fresh or len(found) >= visible:
                break
        return list(found.values())

    def _batches(self, queue: str) -> Iterator[list[Letter]]:
        """All letters of a queue, as SQS returns them."""
        seen: set[str] = set()
        # SQS may omit messages from a response: the queue is empty after two responses without a new message.
        empty = 0
        while len(seen) < MOST and empty < 2:  # noqa: PLR2004 - see above
            new = [letter for letter in self._receive(queue, BATCH, 1) if letter.id not in seen]
            empty = 0 if new else empty + 1
            seen |= {letter.id for letter in new}
            yield new

    def _receive(self, queue: str, most: int, wait: int) -> list[Letter]:
        answer = self._receiver.receive_message(
            QueueUrl=self._dead[queue],
            MaxNumberOfMessages=most,
            VisibilityTimeout=LOOK,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [_letter(queue, each) for each in answer.get("Messages", [])]


def connecting(settings: ServiceSettings, *queues: str) -> Callable[[], SqsPlace]:
    """Connects to the dead letters of queues, by their URLs, when it is called: a process starts even if AWS is unavailable."""
    client, receiver = clients.client("sqs", settings), clients.receiver(settings)
    return lambda: SqsPlace(client, queues, receiver)


class DynamoDiscards(dynamo.Table):
    """The records of discarded letters, in the service's own table."""

    def note(self, letter: Letter, reason: str) -> None:
        """As `Discards.note`. Stores a hash of the content instead of the content."""
        now = self._now()
        item = {
            "pk": "DISCARDED",
            "sk": f"{clock.rfc3339(now)}#{letter.id}",
            **letter.decoded(),
            "sha256": hashlib.sha256(letter.body.encode()).hexdigest(),
            "reason": reason,
            "expires_at": int((now + KEPT).timestamp()),
        }
        self._client.put_item(TableName=self._table, Item=dynamo.pack(item))


def _oldest_first(letters: Iterable[Letter]) -> list[Letter]:
    return sorted(letters, key=lambda letter: letter.sent_at)


def _letter(queue: str, received: "MessageTypeDef") -> Letter:
    attributes = received.get("Attributes", {})
    return Letter(
        id=received["MessageId"],
        queue=queue,
        receipt=received["ReceiptHandle"],
        body=received["Body"],
        attributes=received.get("MessageAttributes", {}),
        sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", "0")) / 1000, UTC),
        deliveries=int(attributes.get("ApproximateReceiveCount", "1")),
    )
