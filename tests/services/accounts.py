"""AWS as two independent emulators, so that no test relies on a peculiarity of one of them.

The tests of adapters run against both. If they differ, the documentation of AWS decides; see docs/reference/local-aws.md.
"""

import os
import sys
import uuid
from pathlib import Path

import pytest

from shopdev.clients import Clients
from shopdev.ports import free_port
from shopdev.processes.emulator import AwsServer
from shopdev.processes.process import Process, Sink

# Parameters of a fixture that is for either; each is the name of a fixture too.
EITHER = (
    pytest.param("emulator", marks=pytest.mark.emulator),
    pytest.param("moto", marks=pytest.mark.emulator),
)


class Moto(AwsServer):
    """moto's server: a second implementation.

    Args:
        sink: gets what it prints.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__("moto", free_port(), "/moto-api/")
        command = [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(self.port)]
        environment = {"PATH": os.environ["PATH"], "HOME": self._home.name, "TMPDIR": self._home.name}
        self.process = Process("moto", command, environment, sink, Path(self._home.name))


def new_table(clients: Clients) -> str:
    """Creates a table with the keys of every service: pk, sk and the index gsi1. Returns its name."""
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
    """Creates a queue with a visibility timeout of two seconds. Returns its URL."""
    return clients.sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}", Attributes={"VisibilityTimeout": "2"})[
        "QueueUrl"
    ]


def new_topic(clients: Clients) -> str:
    """Creates a topic. Returns its ARN."""
    return clients.sns.create_topic(Name=f"topic-{uuid.uuid4()}")["TopicArn"]
