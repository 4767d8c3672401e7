"""Requirements that the tables of all services of an order have in common."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.common.aws import dynamo
from services.common.messaging.events import Event
from services.common.messaging.outbox import Outbox, OutboxRecord, of_fact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def check_that_a_fact_is_written_with_its_state_or_not_at_all(
    save_first: Callable[[OutboxRecord], object], outbox: Outbox, stale: type[Exception]
) -> None:
    """Given an adapter that saves a first state, when it saves it twice, then only the first leaves its fact."""
    told = of_fact(Event("shop.it.happened.v1", "/it", "order-1", {}))
    lost = of_fact(Event("shop.it.happened.v1", "/it", "order-1", {}))

    save_first(told)
    with pytest.raises(stale):
        save_first(lost)

    assert outbox.pending(10) == [told]


def end_of(client: "DynamoDBClient", table: str, key: dict[str, str]) -> int | None:
    """When DynamoDB removes an item, in seconds of Unix time; None for one that stays."""
    row = dynamo.unpack(client.get_item(TableName=table, Key=dynamo.pack(key))["Item"])
    ends: int | None = row.get("expires_at")
    return ends


def end_of_tombstone(written: datetime) -> int:
    """When an item is removed that only refuses late tasks: after 90 days."""
    return int((written + timedelta(days=90)).timestamp())
