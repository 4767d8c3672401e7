"""The sales figures in one DynamoDB table.

| item | pk | sk |
|---|---|---|
| counted events of an order; expires | ORDER#<order> | ORDER |
| sums of a day in a currency | DAY#<date> | <currency> |
| shipped pieces of a product on a day | DAY#<date> | <currency>#SKU#<sku> |
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.values.errors import Stale
from services.common.values.money import Money
from services.sales.domain import Accepted, Addition, Known
from services.sales.ports import Summary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# A message can stay in a queue for 14 days and in the dead-letter queue for another 14 days before it is redriven.
KEPT = timedelta(days=90)
_SKU = "#SKU#"


class DynamoSales(dynamo.Table):
    """The sales figures, as `ports.Sales`."""

    def known(self, order_id: str) -> Known:
        """As `Sales.known`."""
        return self._find(_order_key(order_id), _known, "order") or Known(order_id)

    def save(self, known: Known, additions: Sequence[Addition]) -> None:
        """As `Sales.save`."""
        try:
            dynamo.transact(self._client, [self._put(known), *self._add(additions)])
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale from error
            raise

    def day(self, day: date) -> list[Summary]:
        """As `Sales.day`."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=dynamo.pack({":pk": _day(day)}),
        )
        items = [dynamo.unpack(item) for page in pages for item in page["Items"]]
        sums = {item["sk"]: item for item in items if _SKU not in item["sk"]}
        return [
            Summary(day, currency, _amounts(sums[currency]), _sold(currency, items))
            for currency in sorted(sums)
        ]

    def _put(self, known: Known) -> "TransactWriteItemTypeDef":
        item: dict[str, Any] = {
            **_order_key(known.order_id),
            "facts": sorted(known.facts),
            "version": known.version + 1,
            "expires_at": _epoch(self._now() + KEPT),
        }
        if known.accepted:
            item |= {"total": known.accepted.total.to_dict(), "units": dict(known.accepted.units)}
        if known.shipped_on:
            item["shipped_on"] = known.shipped_on.isoformat()
        put: Any = {"TableName": self._table, "Item": dynamo.pack(item)}
        return {"Put": put | dynamo.unchanged_since(known.version)}

    def _add(self, additions: Sequence[Addition]) -> "list[TransactWriteItemTypeDef]":
        """The updates of the additions, with one update per item: a transaction must not contain an item twice."""
        sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for each in additions:
            sums[_day(each.day), each.currency].update(each.amounts)
            for sku, units in each.sold.items():
                sums[_day(each.day), f"{each.currency}{_SKU}{sku}"].update(units=units)
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": dynamo.pack({"pk": pk, "sk": sk}),
                    "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
                    "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
                    "ExpressionAttributeValues": dynamo.pack({f":{name}": n for name, n in amounts.items()}),
                }
            }
            for (pk, sk), amounts in sums.items()
        ]


def _order_key(order_id: str) -> dict[str, str]:
    return {"pk": f"ORDER#{order_id}", "sk": "ORDER"}


def _day(day: date) -> str:
    return f"DAY#{day.isoformat()}"


def _epoch(at: datetime) -> int:
    return int(at.timestamp())


def _known(item: Mapping[str, Any]) -> Known:
    return Known(
        order_id=item["pk"].removeprefix("ORDER#"),
        accepted=Accepted(Money.from_dict(item["total"]), item["units"]) if "total" in item else None,
        shipped_on=date.fromisoformat(item["shipped_on"]) if "shipped_on" in item else None,
        facts=frozenset(item["facts"]),
        version=item["version"],
    )


def _amounts(item: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in item.items() if name not in {"pk", "sk"}}


def _sold(currency: str, items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    start = f"{currency}{_SKU}"
    found = {item["sk"].removeprefix(start): item["units"] for item in items if item["sk"].startswith(start)}
    return dict(sorted(found.items(), key=lambda sold: (-sold[1], sold[0])))
