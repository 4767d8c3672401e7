"""Queues that reject a message: the errors of SQS, and senders that keep the message.

Senders do not distinguish temporary and permanent rejections: they keep the message and retry, because an operator can restore
the queue or the permission. Only a message that is too long would be rejected forever, so no sender creates one.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import clients
from services.common.aws.sqs import SqsQueue
from services.common.messaging.dlq.sqs import SqsPlace
from services.product import import_function, watch_function
from shopdev.clients import Clients
from shopdev.ports import free_port
from shopdev.processes.emulator import AwsServer, Emulator
from tests.services.memory import MemoryPublisher
from tests.services.product.fakes import MemoryLevels, MemoryShelves, MemoryUploads
from tests.shops import to_stderr

SMALLEST = 1024
GONE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
DENIED = {"AccessDenied", "AccessDeniedException"}


@pytest.fixture
def gone(account: AwsServer, create_queue: Callable[[], str]) -> SqsQueue:
    """A queue that was deleted."""
    url = create_queue()
    account.clients.sqs.delete_queue(QueueUrl=url)
    return SqsQueue(account.clients.sqs, url)


@pytest.fixture(scope="module")
def strict() -> Iterator[Emulator]:
    """An emulator that enforces IAM."""
    emulator = Emulator(to_stderr, environment={"AUTH": "true"})
    emulator.start()
    yield emulator
    emulator.stop()


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


def test_given_a_deleted_queue_when_a_message_is_sent_then_the_error_is_permanent(gone: SqsQueue) -> None:
    with pytest.raises(ClientError) as raised:
        gone.send("hello")

    assert code(raised) in GONE
    assert not clients.is_temporary(raised.value)


def test_given_a_message_over_the_size_limit_when_it_is_sent_then_the_error_is_permanent(
    account: AwsServer, create_queue: Callable[[], str]
) -> None:
    url = create_queue()
    account.clients.sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": str(SMALLEST)})
    queue = SqsQueue(account.clients.sqs, url)
    queue.send("x" * SMALLEST)

    with pytest.raises(ClientError, match="shorter than 1024 bytes") as raised:
        queue.send("x" * (SMALLEST + 1))

    assert code(raised) == "InvalidParameterValue"
    assert not clients.is_temporary(raised.value)


@pytest.mark.emulator
def test_given_no_permission_to_send_when_a_message_is_sent_then_the_error_is_permanent(
    strict: Emulator,
) -> None:
    url = strict.clients.sqs.create_queue(QueueName="closed")["QueueUrl"]
    strict.clients.iam.create_user(UserName="unprivileged")
    key = strict.clients.iam.create_access_key(UserName="unprivileged")["AccessKey"]
    unprivileged = Clients(strict.endpoint, (key["AccessKeyId"], key["SecretAccessKey"]))

    with pytest.raises(ClientError) as raised:
        SqsQueue(unprivileged.sqs, url).send("hello")

    assert code(raised) in DENIED
    assert not clients.is_temporary(raised.value)


def test_given_an_unresponsive_queue_when_a_message_is_sent_then_the_error_is_temporary() -> None:
    unreachable = Clients(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(BotoCoreError) as raised:
        SqsQueue(unreachable.sqs, "http://127.0.0.1/queue").send("hello")

    assert clients.is_temporary(raised.value)


def test_given_a_queue_that_rejects_the_continuation_when_an_import_stops_then_its_message_is_retried(
    account: AwsServer, gone: SqsQueue, create_queue: Callable[[], str]
) -> None:
    lines = "".join(f"SKU-{number},Tea,tea,{number},EUR,5\n" for number in range(300))
    content = f"sku,name,category,amount,currency,stock\n{lines}".encode()
    uploads, shelves = MemoryUploads(content), MemoryShelves()
    upload = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-31T12:00:00.000Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "a.csv", "eTag": "e", "size": len(content)}},
    }
    record = {
        "messageId": "m1",
        "body": json.dumps({"Records": [upload]}),
        "attributes": {"ApproximateReceiveCount": "1"},
    }

    def deliver(queue: SqsQueue) -> Any:
        dependencies = import_function.Dependencies(uploads, shelves, queue.send)
        return import_function.work({"Records": [record]}, dependencies, lambda: 0)

    assert deliver(gone) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    first = uploads.saved[-1].line

    again = SqsQueue(account.clients.sqs, create_queue())
    assert deliver(again) == {"batchItemFailures": []}
    assert uploads.saved[-1].line > first > 0
    (continued,) = again.receive(10, 2)
    assert continued.body == record["body"]


def change(sku: str, sequence: int, image: Any) -> dict[str, Any]:
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {"pk": {"S": f"PRODUCT#{sku}"}, "sk": {"S": "PRODUCT"}},
            "NewImage": image,
            "SequenceNumber": str(sequence),
            "ApproximateCreationDateTime": 1767225600.0,
        },
    }


def test_given_a_change_that_cannot_be_set_aside_when_its_batch_is_handled_then_only_earlier_ones_succeed(
    account: AwsServer, gone: SqsQueue, create_queue: Callable[[], str]
) -> None:
    publisher = MemoryPublisher()
    records = [change("TEA", 1, {"available": {"N": "5"}}), change("CUP", 2, {})]

    def deliver(queue: SqsQueue, number: int) -> Any:
        dependencies = watch_function.Dependencies(MemoryLevels(), publisher, 10, queue.send)
        return watch_function.work({"Records": records[number:]}, dependencies)

    assert deliver(gone, 0) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert [event.subject for event in publisher.events] == ["TEA"]

    again = SqsQueue(account.clients.sqs, create_queue())
    assert deliver(again, 1) == {"batchItemFailures": []}
    (aside,) = again.receive(10, 2)
    assert orjson.loads(aside.body)["record"] == records[1]


@pytest.mark.parametrize("character", ["x", '"', "ü", "\uffff", "\ud800"])
def test_given_a_change_longer_than_a_message_when_it_is_set_aside_then_its_beginning_is_kept(
    account: AwsServer, create_queue: Callable[[], str], character: str
) -> None:
    queue, publisher = SqsQueue(account.clients.sqs, create_queue()), MemoryPublisher()
    dependencies = watch_function.Dependencies(MemoryLevels(), publisher, 10, queue.send)
    records = [
        change("TEA", 1, {"available": {"N": character * 1_100_000}}),
        change("CUP", 2, {"available": {"N": "5"}}),
    ]

    assert watch_function.work({"Records": records}, dependencies) == {"batchItemFailures": []}

    (aside,) = queue.receive(10, 2)
    said = orjson.loads(aside.body)
    assert "PRODUCT#TEA" in said["record_begins"]
    assert said["cause"]
    assert len(aside.body) < 256 * 1024
    assert [event.subject for event in publisher.events] == ["CUP"]


def test_given_a_queue_that_rejects_a_dead_letter_when_it_is_redriven_then_it_stays_a_dead_letter(
    account: AwsServer, create_queue: Callable[[], str]
) -> None:
    sqs = account.clients.sqs
    dead, queue = create_queue(), create_queue()
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=dead, MessageBody="hello")
    place = SqsPlace(sqs, [queue])
    (letter,) = place.look()
    sqs.delete_queue(QueueUrl=queue)

    with pytest.raises(ClientError) as raised:
        place.redrive(letter)

    assert code(raised) in GONE
    place.give_back([letter])
    (kept,) = SqsQueue(sqs, dead).receive(10, 2)
    assert kept.body == "hello"
