"""The fault switchboard in a DynamoDB table of its own, which exists in the emulator of a demo only.

| item | pk | sk |
|---|---|---|
| fault that is on | FAULT | <key> |
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import clients, dynamo
from services.common.aws.sns import SnsPublisher
from services.common.faults.late import LatePublisher
from services.common.faults.switches import Fault, Faults
from services.common.messaging.events import Publisher
from services.common.runtime.settings import AwsSettings, ServiceSettings
from services.common.values.errors import Unavailable

ON = "FAULT"


class DynamoSwitchboard(dynamo.Table):
    """The switchboard, as `switches.Switchboard`."""

    def on(self) -> frozenset[Fault]:
        """As `switches.Switchboard.on`. Keys of another version are ignored."""
        with _reached():
            found = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=dynamo.pack({":pk": ON}),
                ConsistentRead=True,
            )["Items"]
        keys = {dynamo.unpack(item)["sk"] for item in found}
        return frozenset(fault for fault in Fault if fault.value in keys)

    def turn_on(self, fault: Fault) -> None:
        """As `switches.Switchboard.turn_on`."""
        with _reached():
            self._client.put_item(TableName=self._table, Item=dynamo.pack(_key(fault)))

    def turn_off(self, *faults: Fault) -> None:
        """As `switches.Switchboard.turn_off`."""
        with _reached():
            for fault in faults:
                self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(fault)))


def switchboard(settings: AwsSettings) -> DynamoSwitchboard | None:
    """The switchboard; None if the settings have none."""
    if settings.faults_table is None:
        return None
    return DynamoSwitchboard(clients.client("dynamodb", settings), settings.faults_table)


@functools.cache
def faults(settings: AwsSettings) -> Faults | None:
    """The faults of this process; None if the settings have no switchboard."""
    switches = switchboard(settings)
    if switches is None:
        return None
    from services.common.faults.flags import FlaggedFaults  # noqa: PLC0415 - only a demo needs OpenFeature

    return FlaggedFaults(switches)


def publisher(settings: ServiceSettings) -> Publisher:
    """The publisher of the service's topic, which a fault can delay."""
    topic = SnsPublisher(clients.client("sns", settings), settings.events_topic_arn)
    known = faults(settings)
    return topic if known is None else LatePublisher(topic, known)


@contextmanager
def _reached() -> Iterator[None]:
    """A request to the table.

    Raises:
        Unavailable: it failed.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("the fault switchboard does not respond") from error


def _key(fault: Fault) -> dict[str, str]:
    return {"pk": ON, "sk": fault.value}
