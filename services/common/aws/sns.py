"""Facts published to an SNS topic."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from services.common.messaging.events import Event, NotPublished

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import BatchResultErrorEntryTypeDef, PublishBatchRequestEntryTypeDef

# AWS limits of one PublishBatch: messages, and bytes of all of them.
BATCH = 10
LARGEST_BATCH = 256 * 1024
# How often those messages of a batch that the topic did not take are published before the outbox has to wait with them.
TRIES = 3


class SnsPublisher:
    """Publishes to an SNS topic, with the type as a message attribute for subscriptions to filter on.

    Args:
        client: an SNS client.
        topic_arn: the topic.
    """

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, events: Sequence[Event]) -> None:
        """As `events.Publisher.publish`."""
        for batch in _batches(events):
            self._publish(batch)

    def _publish(self, batch: "Sequence[PublishBatchRequestEntryTypeDef]") -> None:
        left = batch
        failures: Sequence[BatchResultErrorEntryTypeDef] = ()
        for _ in range(TRIES):
            answer = self._client.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=left)
            failures = answer.get("Failed", [])
            failed = {failure["Id"] for failure in failures}
            left = [entry for entry in left if entry["Id"] in failed]
            if not left:
                return
        reasons = {f"{failure['Code']} {failure.get('Message', '')}".strip() for failure in failures}
        raise NotPublished(f"{len(left)} of {len(batch)} events: {', '.join(sorted(reasons))}")


def _batches(events: Sequence[Event]) -> "Iterator[list[PublishBatchRequestEntryTypeDef]]":
    """The events in their order, as few batches as the limits allow."""
    batch: list[PublishBatchRequestEntryTypeDef] = []
    size = 0
    for event in events:
        message = orjson.dumps(event.to_dict())
        more = len(message) + len("typeString" + event.type)
        if batch and (len(batch) == BATCH or size + more > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(
            {
                "Id": str(len(batch)),
                "Message": message.decode(),
                "MessageAttributes": {"type": {"DataType": "String", "StringValue": event.type}},
            }
        )
        size += more
    if batch:
        yield batch
