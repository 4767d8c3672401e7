"""The dead letters in SQS, and the records of discarded ones in DynamoDB."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from services.common.aws import dynamo
from services.common.messaging.dlq.letter import Letter
from services.common.values import clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Maximum number of letters that one run receives.
MOST = 1000
# Seconds that a received letter is invisible to other receivers.
LOOK = 60
BATCH = 10
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
        found = [letter for queue in self._dead for letter in self._look_at(queue)]
        return sorted(found, key=lambda letter: letter.sent_at)

    def give_back(self, letters: Sequence[Letter]) -> None:
        """As `Place.give_back`."""
        for letter in letters:
            self._client.change_message_visibility(
                QueueUrl=self._dead[letter.queue], ReceiptHandle=letter.receipt, VisibilityTimeout=0
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

    def _look_at(self, queue: str) -> Iterator[Letter]:
        seen: set[str] = set()
        # SQS may omit messages from a response: the queue is empty after two responses without a new message.
        empty = 0
        while len(seen) < MOST and empty < 2:  # noqa: PLR2004 - see above
            answer = self._receiver.receive_message(
                QueueUrl=self._dead[queue],
                MaxNumberOfMessages=BATCH,
                VisibilityTimeout=LOOK,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
            new = [each for each in answer.get("Messages", []) if each["MessageId"] not in seen]
            empty = 0 if new else empty + 1
            for each in new:
                seen.add(each["MessageId"])
                yield _letter(queue, each)


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
