"""Receives and sends messages of an SQS queue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind

from services.common.messaging.consumer import Depth, Message, NotDeleted
from services.common.telemetry import tracing
from services.common.telemetry.propagation import TRACEPARENT, xray_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

XRAY_ATTRIBUTE: Final = "AWSTraceHeader"
# The attributes of `Depth`, in the order of its fields.
_DEPTH: "Final[Sequence[QueueAttributeNameType]]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class SqsQueue:
    """An SQS queue.

    Args:
        client: an SQS client.
        url: URL of the queue.
        receiver: the SQS client that receives messages, see `clients.receiver`. By default, `client`.
    """

    def __init__(self, client: "SQSClient", url: str, receiver: "SQSClient | None" = None) -> None:
        self._client = client
        self._receiver = receiver or client
        self._url = url
        self.name = url.rsplit("/", 1)[-1]

    def receive(self, limit: int, wait: int) -> list[Message]:
        """As `consumer.QueuePort.receive`."""
        answer = self._receiver.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", XRAY_ATTRIBUTE],
            MessageAttributeNames=[TRACEPARENT],
        )
        return [_message(received) for received in answer.get("Messages", [])]

    def delete(self, messages: "Sequence[Message]") -> None:
        """As `consumer.QueuePort.delete`."""
        answer = self._client.delete_message_batch(
            QueueUrl=self._url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message.receipt}
                for number, message in enumerate(messages)
            ],
        )
        if failures := answer.get("Failed", []):
            reasons = {f"{each['Code']} {each.get('Message', '')}".strip() for each in failures}
            raise NotDeleted(f"{len(failures)} of {len(messages)}: {', '.join(sorted(reasons))}")

    def hide(self, message: Message, seconds: int) -> None:
        """As `consumer.QueuePort.hide`."""
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def send(self, body: str) -> None:
        """Sends a message.

        Raises:
            ClientError: the message was rejected: the queue does not exist, a permission is missing, or it is too long.
            BotoCoreError: SQS is unavailable.
        """
        with tracing.span(
            "send",
            SpanKind.PRODUCER,
            {
                "messaging.system": "aws_sqs",
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": self.name,
            },
        ) as span:
            system: dict[str, Any] = {}
            if span.is_recording():  # Lambda and X-Ray know no other attribute
                system["MessageSystemAttributes"] = {XRAY_ATTRIBUTE: _text(xray_header(tracing.current()))}
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageAttributes={TRACEPARENT: _text(tracing.traceparent())},
                **system,
            )

    def depth(self) -> Depth:
        """As `consumer.QueuePort.depth`."""
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=list(_DEPTH))
        return Depth(*(int(answer["Attributes"][name]) for name in _DEPTH))

    def ping(self) -> None:
        """As `consumer.QueuePort.ping`."""
        self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


def _text(value: str) -> Any:
    """A text as the value of an attribute."""
    return {"DataType": "String", "StringValue": value}


def _message(received: "MessageTypeDef") -> Message:
    attributes = received.get("Attributes", {})
    sender: Mapping[str, Any] = received.get("MessageAttributes", {}).get(TRACEPARENT) or {}
    return Message(
        id=received["MessageId"],
        receipt=received["ReceiptHandle"],
        body=received["Body"],
        deliveries=int(attributes.get("ApproximateReceiveCount", "1")),
        sent_at=int(attributes["SentTimestamp"]) / 1000 if "SentTimestamp" in attributes else None,
        traceparent=sender.get("StringValue"),
        xray=attributes.get(XRAY_ATTRIBUTE),
    )
