"""Publishes events to an SNS topic."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import orjson
from opentelemetry.trace import Span, SpanKind

from services.common.messaging.events import Event, NotPublished
from services.common.telemetry import propagation, tracing

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import (
        BatchResultErrorEntryTypeDef,
        MessageAttributeValueTypeDef,
        PublishBatchRequestEntryTypeDef,
    )

# AWS limits of PublishBatch: number of messages, and their total size in bytes.
BATCH = 10
LARGEST_BATCH = 256 * 1024
# Name, type and value of the attribute `traceparent`, which count toward the size.
TRACEPARENT_SIZE: Final = len("traceparentString") + 55
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
        """As `events.Publisher.publish`. Each event has a span in its own trace, whatever else is published with it."""
        for batch in _batches(events):
            with ExitStack() as spans:
                for event, entry in batch:
                    span = spans.enter_context(self._publishing(event, len(batch)))
                    entry["MessageAttributes"] = _attributes(event, span)
                self._publish([entry for _, entry in batch])

    @contextmanager
    def _publishing(self, event: Event, together: int) -> Iterator[Span]:
        attributes: dict[str, tracing.Value] = {
            "messaging.system": "aws.sns",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": self._topic_arn.rsplit(":", 1)[-1],
            "messaging.message.id": event.id,
            "messaging.batch.message_count": together,
        }
        caused = propagation.remote(event.traceparent)
        span = tracing.opened(f"publish {event.type}", caused, attributes, kind=SpanKind.PRODUCER)
        try:
            yield span
        except Exception as error:
            tracing.fail(span, type(error).__qualname__)
            raise
        finally:
            span.end()

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


def _batches(events: Sequence[Event]) -> "Iterator[list[tuple[Event, PublishBatchRequestEntryTypeDef]]]":
    """The events in their order with their entries, in as few batches as the limits allow."""
    batch: list[tuple[Event, PublishBatchRequestEntryTypeDef]] = []
    size = 0
    for event in events:
        message = orjson.dumps(event.to_dict())
        more = len(message) + len("typeString" + event.type) + TRACEPARENT_SIZE
        if batch and (len(batch) == BATCH or size + more > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append((event, {"Id": str(len(batch)), "Message": message.decode()}))
        size += more
    if batch:
        yield batch


def _attributes(event: Event, span: Span) -> "dict[str, MessageAttributeValueTypeDef]":
    traceparent = tracing.traceparent_of(span.get_span_context())
    return {
        "type": {"DataType": "String", "StringValue": event.type},
        propagation.TRACEPARENT: {"DataType": "String", "StringValue": traceparent},
    }
