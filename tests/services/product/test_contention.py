"""Throttled transactions and unprocessed items in DynamoDB. The emulator causes none, so its responses are simulated."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import of_fact
from services.common.values.errors import Unavailable
from services.product import messages
from services.product.dynamo import DynamoCatalogue, DynamoStock
from tests.services.product.world import product


class Table:
    """Throttles transactions, and leaves out all products of a batch but one.

    Args:
        times: how often; then it does everything.
    """

    def __init__(self, times: int) -> None:
        self.times = times
        self.written = 0
        self.asked: list[int] = []

    def transact_write_items(self, **_: Any) -> None:
        if self.times:
            self.times -= 1
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": 400},
                "CancellationReasons": [{"Code": "None"}, {"Code": "ThrottlingError"}],
            }
            raise ClientError(answer, "TransactWriteItems")
        self.written += 1

    def update_item(self, **_: Any) -> None:
        pass

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803 - AWS's name
        keys = RequestItems["t"]["Keys"]
        self.asked.append(len(keys))
        now = keys[:1] if len(self.asked) <= self.times else keys
        rest = keys[len(now) :]
        items = [{**key, **ROW} for key in now]
        return {"Responses": {"t": items}, "UnprocessedKeys": {"t": {"Keys": rest}} if rest else {}}


ROW = dynamo.pack(
    {
        "gsi1sk": "A",
        "name": "Tea",
        "category": "tea",
        "price": {"amount": 1, "currency": "EUR"},
        "updated_at": "2026-01-31T12:00:00Z",
        "available": 1,
        "reserved": 0,
        "sold": 0,
    }
)


def catalogue(table: Any) -> DynamoCatalogue:
    return DynamoCatalogue(table, "t", DynamoOutbox(table, "t"))


def test_given_a_throttled_table_when_products_are_imported_then_the_write_is_retried() -> None:
    table = Table(5)
    tea = product("TEA")

    assert catalogue(table).put_all([({tea: 5}, of_fact(messages.upserted(tea)))]) == [True]
    assert table.written == 1


def test_given_a_table_throttled_at_every_attempt_when_products_are_imported_then_the_import_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dynamo, "THROTTLED_PAUSE", 0.001)
    tea = product("TEA")

    with pytest.raises(ClientError, match="Canceled"):
        catalogue(Table(100)).put_all([({tea: 5}, of_fact(messages.upserted(tea)))])


def test_given_unprocessed_products_of_a_batch_when_they_are_read_then_only_those_are_requested_again() -> (
    None
):
    table: Any = Table(2)

    catalogue(table).find_all(["A", "B", "C", "D"])

    assert table.asked == [4, 3, 2]


def test_given_products_unprocessed_at_every_attempt_when_they_are_read_then_the_request_can_be_retried() -> (
    None
):
    table: Any = Table(100)

    with pytest.raises(Unavailable) as raised:
        DynamoStock(table, "t", DynamoOutbox(table, "t")).before_reserving(
            "order-1", [f"SKU-{number}" for number in range(10)]
        )

    assert raised.value.retry_after == 1
