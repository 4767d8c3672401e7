"""An AWS for the tests of the services: one emulator process per run, and resources with names of their own."""

import sys
import uuid
from collections.abc import Callable, Iterator

import pytest

from shopprocs.emulator import Emulator
from shopprocs.shop import Shop

VISIBILITY_SECONDS = "10"
"""How soon a message comes back that was taken by a process that is no more: no test wants to wait for the real 30."""

CreateTable = Callable[[], str]
CreateQueue = Callable[[], str]
CreateTopic = Callable[[], str]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A running emulator: `.endpoint`, `.env` for processes, `.clients.{dynamodb,sqs,sns,stepfunctions}`."""
    emulator = Emulator(lambda name, line: sys.stderr.write(f"{name}: {line}\n"), wait_scale=0.02)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture
def create_table(emulator: Emulator) -> CreateTable:
    """Answers the name of a new table with the keys that every service's table has: pk, sk and the index gsi1."""

    def create() -> str:
        name = f"table-{uuid.uuid4()}"
        emulator.clients.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": "S"}
                for attribute in ("pk", "sk", "gsi1pk", "gsi1sk")
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "gsi1",
                    "KeySchema": [
                        {"AttributeName": "gsi1pk", "KeyType": "HASH"},
                        {"AttributeName": "gsi1sk", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        return name

    return create


@pytest.fixture
def create_queue(emulator: Emulator) -> CreateQueue:
    """Answers the URL of a new queue whose messages come back after two seconds."""

    def create() -> str:
        queue = emulator.clients.sqs.create_queue(
            QueueName=f"queue-{uuid.uuid4()}", Attributes={"VisibilityTimeout": "2"}
        )
        return queue["QueueUrl"]

    return create


@pytest.fixture
def create_topic(emulator: Emulator) -> CreateTopic:
    """Answers the ARN of a new topic."""
    return lambda: emulator.clients.sns.create_topic(Name=f"topic-{uuid.uuid4()}")["TopicArn"]


@pytest.fixture(scope="session")
def log() -> list[str]:
    """What the shop's processes have printed, line by line."""
    return []


@pytest.fixture(scope="session")
def running_shop(emulator: Emulator, log: list[str]) -> Iterator[Shop]:
    """The whole shop as processes, started once."""
    shop = Shop(emulator, lambda name, line: log.append(f"{name}: {line}"))
    try:
        shop.start()
        for url in emulator.clients.sqs.list_queues(QueueNamePrefix=shop.prefix)["QueueUrls"]:
            emulator.clients.sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS}
            )
        yield shop
    finally:
        shop.stop()


@pytest.fixture
def shop(running_shop: Shop, log: list[str]) -> Iterator[Shop]:
    """The whole shop: `.url`, `.clients`, `.kill(name)`, `.restart(name)`. Every process runs again afterwards."""
    log.clear()
    yield running_shop
    sys.stderr.write("\n".join(log))  # shown with a test that failed
    for name in running_shop.parts:
        running_shop.process(name).start()
    for name in running_shop.parts:
        running_shop.wait_ready(name)
