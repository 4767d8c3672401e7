"""The states of an order's payment, stock and shipment, read from the tables of the other services."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.common.aws import dynamo

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Resource -> partition key prefix and sort key of its item in the table of its service.
KEYS: Mapping[str, tuple[str, str]] = {
    "payment": ("PAYMENT#", "PAYMENT"),
    "stock": ("ORDER#", "RESERVATION"),
    "shipment": ("SHIPMENT#", "SHIPMENT"),
}


class RelatedStates:
    """The states of the resources that belong to an order.

    Args:
        client: a DynamoDB client.
        tables: resource ("payment", "stock", "shipment") -> name of its table.
    """

    def __init__(self, client: "DynamoDBClient", tables: Mapping[str, str]) -> None:
        self._client = client
        self._tables = tables

    def states(self, order_id: str) -> dict[str, str | None]:
        """Resource -> its state, or None if it does not exist."""
        return {resource: self._state(resource, order_id) for resource in self._tables}

    def _state(self, resource: str, order_id: str) -> str | None:
        prefix, sort_key = KEYS[resource]
        answer = self._client.get_item(
            TableName=self._tables[resource],
            Key=dynamo.pack({"pk": f"{prefix}{order_id}", "sk": sort_key}),
            ConsistentRead=True,
        )
        return str(dynamo.unpack(answer["Item"])["state"]) if "Item" in answer else None
