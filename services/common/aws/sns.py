"""Publishes events to an SNS topic."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from services.common.messaging.events import Event, NotPublished

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import BatchResultErrorEntryTypeDef, PublishBatchRequestEntryTypeDef

# AWS limits of PublishBatch: number of messages, and their total size in bytes.
BATCH = 10
LARGEST_BATCH = 256 * 1024
# Attempts to publish the rejected messages of a batch before the outbox retries them later.
TRIES = 3


class SnsPublisher:
    """Publishes events to an SNS topic. The message attribute `type` supports the filters of subscriptions.

    Args:
        client: an SNS client.
        topic_arn: ARN of the topic.
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
        raise NotPublished(
            f"{len(left)} of {len(batch)} events were not published: {', '.join(sorted(reasons))}"
        )


def _batches(events: Sequence[Event]) -> "Iterator[list[PublishBatchRequestEntryTypeDef]]":
    """The events in their order, in as few batches as the limits allow."""
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
