"""Shipments, and what the sandbox carrier remembers, in DynamoDB.

| item | pk | sk |
|---|---|---|
| a shipment | SHIPMENT#<order> | SHIPMENT |
| what the sandbox did under a key | SANDBOX#<key> | ENTRY |
| how often it was tried under a key | SANDBOX#<key> | TRIES |
| what is to be told | see `common.aws.outbox` | |
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.shipping.domain import Booking, Shipment, State
from services.shipping.ports import Stale

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoShipments:
    """Shipments in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        outbox: in the same table.
    """

    def __init__(self, client: "DynamoDBClient", table: str, outbox: DynamoOutbox) -> None:
        self._client = client
        self._table = table
        self._outbox = outbox

    def get(self, order_id: str) -> Shipment | None:
        """As `ports.Shipments.get`."""
        return dynamo.find(self._client, self._table, _shipment_key(order_id), _to_shipment, "shipment")

    def save(self, shipment: Shipment, told: OutboxRecord | None) -> Shipment:
        """As `ports.Shipments.save`."""
        item = _to_item(shipment)
        saved = _to_shipment(item)  # what could not be read is not written
        try:
            self._outbox.put(item, dynamo.unchanged_since(shipment.version), told)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(shipment.order_id) from error
            raise
        return saved

    def ping(self) -> None:
        """As `ports.Shipments.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_shipment_key("ping")))


class DynamoLedger:
    """What the sandbox carrier remembers, in the service's table, so that it survives its process.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `ports.Ledger.record`."""
        where = {"pk": f"SANDBOX#{key}", "sk": "ENTRY"}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=dynamo.pack({**where, "entry": dict(entry)}),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if not dynamo.is_refused(error):
                raise
        answer = self._client.get_item(TableName=self._table, Key=dynamo.pack(where), ConsistentRead=True)
        kept: Mapping[str, Any] = dynamo.unpack(answer["Item"])["entry"]
        return kept

    def count(self, key: str) -> int:
        """As `ports.Ledger.count`."""
        answer = self._client.update_item(
            TableName=self._table,
            Key=dynamo.pack({"pk": f"SANDBOX#{key}", "sk": "TRIES"}),
            UpdateExpression="ADD tries :one",
            ExpressionAttributeValues=dynamo.pack({":one": 1}),
            ReturnValues="UPDATED_NEW",
        )
        tries: int = dynamo.unpack(answer["Attributes"])["tries"]
        return tries


def _shipment_key(order_id: str) -> dict[str, str]:
    return {"pk": f"SHIPMENT#{order_id}", "sk": "SHIPMENT"}


def _to_item(shipment: Shipment) -> dict[str, Any]:
    booking = shipment.booking
    return {
        **_shipment_key(shipment.order_id),
        "order_id": shipment.order_id,
        "state": shipment.state.value,
        "decided_at": clock.rfc3339(shipment.decided_at),
        "version": shipment.version + 1,
        # What nothing was booked for is there only to refuse a late booking.
        **(
            dynamo.tombstone(shipment.decided_at) if shipment.state is State.CANCELLED and not booking else {}
        ),
        **({"customer_id": shipment.customer_id} if shipment.customer_id else {}),
        **({"cause": shipment.cause} if shipment.cause else {}),
        **(
            {"tracking_number": booking.tracking_number, "booked_at": clock.rfc3339(booking.booked_at)}
            if booking
            else {}
        ),
    }


def _to_shipment(item: Mapping[str, Any]) -> Shipment:
    return Shipment(
        order_id=dynamo.text(item["order_id"]),
        state=State(item["state"]),
        decided_at=clock.parse(item["decided_at"]),
        customer_id=dynamo.optional_text(item, "customer_id"),
        booking=Booking(dynamo.text(item["tracking_number"]), clock.parse(item["booked_at"]))
        if "tracking_number" in item
        else None,
        cause=dynamo.optional_text(item, "cause"),
        version=dynamo.whole(item["version"]),
    )
