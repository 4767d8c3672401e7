"""AWS as two independent implementations have it, so that what one of them happens to do is not taken for AWS.

The adapters' tests run on both. Where they differ, AWS's documentation decides; docs/reference/local-aws.md has the list.
"""

import os
import sys
import tempfile
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from shopprocs.emulator import Clients, client_environment
from shopprocs.process import Process, Sink, free_port

READY_WITHIN = 30.0
# Parameters of a fixture that is for either; each is the name of a fixture too.
EITHER = (
    pytest.param("emulator", marks=pytest.mark.emulator),
    pytest.param("moto", marks=pytest.mark.emulator),
)


class Account(Protocol):
    """An AWS account to test with."""

    endpoint: str

    @property
    def clients(self) -> Clients:
        """boto3 clients for it."""

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs in its environment to talk to it."""


class Moto:
    """moto's server on loopback: a second implementation. Each start is an empty AWS account.

    Args:
        sink: gets what it prints.
    """

    def __init__(self, sink: Sink) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._home = tempfile.TemporaryDirectory(prefix="shop-moto-", ignore_cleanup_errors=True)
        command = [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(port)]
        environment = {"PATH": os.environ["PATH"], "HOME": self._home.name, "TMPDIR": self._home.name}
        self.process = Process("moto", command, environment, sink, Path(self._home.name))

    @cached_property
    def clients(self) -> Clients:
        """boto3 clients for it."""
        return Clients(self.endpoint)

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs in its environment to talk to it."""
        return client_environment(self.endpoint)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ProcessError: when it does not.
        """
        self.process.start()
        self.process.wait_until(self._answers, READY_WITHIN)

    def stop(self) -> None:
        """End it and forget everything."""
        self.process.stop(grace=5.0)
        self._home.cleanup()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint}/moto-api/", timeout=1).is_success
        except httpx.TransportError:
            return False


def new_table(clients: Clients) -> str:
    """Create a table with the keys that every service's table has: pk, sk and the index gsi1. Answers its name."""
    name = f"table-{uuid.uuid4()}"
    clients.dynamodb.create_table(
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
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return name


def new_queue(clients: Clients) -> str:
    """Create a queue whose messages come back after two seconds. Answers its URL."""
    return clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}", Attributes={"VisibilityTimeout": "2"})[
        "QueueUrl"
    ]


def new_topic(clients: Clients) -> str:
    """Create a topic. Answers its ARN."""
    return clients.sns.create_topic(Name=f"topic-{uuid.uuid4()}")["TopicArn"]
