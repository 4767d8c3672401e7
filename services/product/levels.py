"""The stock levels in a DynamoDB table of their own.

| item | pk | sk |
|---|---|---|
| stock level of a product | PRODUCT#<sku> | LEVEL |
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.values import clock
from services.common.values.errors import Stale
from services.product.low_stock import Level, LowStock


class DynamoLevels(dynamo.Table):
    """As `low_stock.Levels`."""

    def find(self, sku: str) -> Level | None:
        """As `low_stock.Levels.find`."""
        return self._find(_key(sku), _level, "level")

    def save(self, level: Level, was: Level | None) -> None:
        """As `low_stock.Levels.save`."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if was is not None:
            condition = {
                "ConditionExpression": "#sequence = :sequence",
                "ExpressionAttributeNames": {"#sequence": "sequence"},
                "ExpressionAttributeValues": dynamo.pack({":sequence": was.sequence}),
            }
        try:
            self._client.put_item(TableName=self._table, Item=dynamo.pack(_item(level)), **condition)
        except ClientError as error:
            if dynamo.is_refused(error):
                raise Stale(level.sku) from error
            raise


def _key(sku: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{sku}", "sk": "LEVEL"}


def _item(level: Level) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_key(level.sku),
        "sku": level.sku,
        "available": level.available,
        "sequence": level.sequence,
        "low": level.low,
        "episodes": level.episodes,
    }
    if level.untold:
        fact = level.untold
        item["untold"] = {
            "available": fact.available,
            "threshold": fact.threshold,
            "episode": fact.episode,
            "at": clock.rfc3339(fact.at),
        }
    return item


def _level(item: Mapping[str, Any]) -> Level:
    fact = item.get("untold")
    return Level(
        sku=item["sku"],
        available=item["available"],
        sequence=item["sequence"],
        low=item["low"],
        episodes=item["episodes"],
        untold=LowStock(
            item["sku"], fact["available"], fact["threshold"], fact["episode"], clock.parse(fact["at"])
        )
        if fact
        else None,
    )
