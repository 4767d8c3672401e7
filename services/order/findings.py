"""The orders that need attention, as the reconciler found them.

| item | pk | sk |
|---|---|---|
| order that needs attention | FINDING | <order> |
| latest complete run | RECONCILED | RECONCILED |

The reconciler writes an item when it finds an order that stands still or disagrees, and deletes it in the run that finds the order well. The
items of one partition are few: the alarms report each of them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.common.aws import dynamo
from services.common.values import clock, typed
from services.order.ports import FindingPage
from services.order.reconciliation import Finding, FindingKind

_PARTITION = "FINDING"
_RUN = {"pk": "RECONCILED", "sk": "RECONCILED"}


class DynamoFindings(dynamo.Table):
    """The findings in the order service's table, as `ports.Findings`; and for the reconciler, which writes them."""

    def page(self, after: str | None, limit: int) -> FindingPage:
        """As `ports.Findings.page`."""
        start: dict[str, Any] = {"ExclusiveStartKey": dynamo.pack(_key(after))} if after else {}
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=dynamo.pack({":pk": _PARTITION}),
            Limit=limit + 1,
            **start,
        )
        items = answer["Items"]
        findings = tuple(dynamo.readable(items[:limit], _to_finding, "finding"))
        return FindingPage(
            findings,
            dynamo.unpack(items[limit - 1])["sk"] if len(items) > limit else None,
            self._find(_RUN, _to_time, "run"),
        )

    def all(self) -> dict[str, Finding]:
        """All findings, by the ID of the order."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=dynamo.pack({":pk": _PARTITION}),
            ConsistentRead=True,
        )
        items = (item for page in pages for item in page["Items"])
        return {each.order_id: each for each in dynamo.readable(items, _to_finding, "finding")}

    def put(self, finding: Finding) -> None:
        """Stores a finding, in place of an earlier one about the same order."""
        item = {
            **_key(finding.order_id),
            "kind": finding.kind.value,
            "reason": finding.reason,
            "since": clock.rfc3339(finding.since),
        }
        self._client.put_item(TableName=self._table, Item=dynamo.pack(item))

    def remove(self, order_id: str) -> None:
        """Removes the finding about an order."""
        self._client.delete_item(TableName=self._table, Key=dynamo.pack(_key(order_id)))

    def note_run(self, at: datetime) -> None:
        """Stores the time of a complete run."""
        self._client.put_item(
            TableName=self._table, Item=dynamo.pack({**_RUN, "checked_at": clock.rfc3339(at)})
        )


def _key(order_id: str) -> dict[str, str]:
    return {"pk": _PARTITION, "sk": order_id}


def _to_finding(item: Mapping[str, Any]) -> Finding:
    return Finding(
        typed.text(item["sk"]),
        FindingKind(item["kind"]),
        typed.text(item["reason"]),
        clock.parse(item["since"]),
    )


def _to_time(item: Mapping[str, Any]) -> datetime:
    return clock.parse(item["checked_at"])
