"""Receives and sends messages of an SQS queue."""

from typing import TYPE_CHECKING

from services.common.messaging.consumer import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


class SqsQueue:
    """An SQS queue.

    Args:
        client: an SQS client.
        url: URL of the queue.
    """

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url
        self.name = url.rsplit("/", 1)[-1]

    def receive(self, limit: int, wait: int) -> list[Message]:
        """As `consumer.QueuePort.receive`."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [_message(received) for received in answer.get("Messages", [])]

    def delete(self, message: Message) -> None:
        """As `consumer.QueuePort.delete`."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)

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
        self._client.send_message(QueueUrl=self._url, MessageBody=body)

    def ping(self) -> None:
        """As `consumer.QueuePort.ping`."""
        self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


def _message(received: "MessageTypeDef") -> Message:
    return Message(
        id=received["MessageId"],
        receipt=received["ReceiptHandle"],
        body=received["Body"],
        deliveries=int(received.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
    )
