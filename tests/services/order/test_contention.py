"""Conflicting writes in DynamoDB. The emulator never cancels them, so its responses are simulated."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from services.common.aws import clients, dynamo
from services.common.aws.idempotency import DynamoIdempotency
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.http.idempotency import Answer, InFlight, KeyedRequest, KeyTaken
from services.common.values.errors import Stale, Unavailable
from services.order import api, messages
from services.order.dynamo import DynamoOrders, DynamoProducts
from tests.services.callers import ALICE, As
from tests.services.order.fakes import MemoryFindings, MemoryProducts, MemoryRelatedResources
from tests.services.order.test_messages import ORDER
from tests.services.order.world import TEA, wish

REQUEST = KeyedRequest("guest POST /orders", "key", "fingerprint")
ANSWER = Answer(202, {"id": "1"})


def cancelled(*reasons: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(answer, "TransactWriteItems")


def conflict() -> ClientError:
    return ClientError({"Error": {"Code": "TransactionConflictException", "Message": ""}}, "PutItem")


class Table:
    """Fails each write with the next of its errors, and forwards writes after the last one."""

    def __init__(self, *errors: ClientError) -> None:
        self.errors = list(errors)
        self.written = 0

    def write(self, **_: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.written += 1

    transact_write_items = put_item = write


def accept(table: Any) -> None:
    orders = DynamoOrders(
        table, "t", DynamoIdempotency(table, "t"), DynamoOutbox(table, "t"), DynamoVault(table, "t")
    )
    orders.accept(ORDER, "tok_approve", messages.acceptance(ORDER), REQUEST, ANSWER)


def test_given_a_conflict_with_a_retry_when_an_order_is_accepted_then_the_write_is_retried() -> None:
    table = Table(
        cancelled("TransactionConflict", "None", "None"), cancelled("TransactionConflict", "None", "None")
    )

    accept(table)

    assert table.written == 1


def test_given_a_conflict_at_every_attempt_when_an_order_is_accepted_then_it_is_in_flight() -> None:
    with pytest.raises(InFlight):
        accept(Table(*[cancelled("TransactionConflict", "None", "None")] * 100))


def test_given_a_used_key_when_an_order_is_accepted_then_key_taken_is_raised() -> None:
    with pytest.raises(KeyTaken):
        accept(Table(cancelled("ConditionalCheckFailed", "None", "None")))


THROTTLED = cancelled("None", "ThrottlingError", "None")


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_given_throttling_when_an_order_is_accepted_then_the_write_is_retried(reason: str) -> None:
    table = Table(*[cancelled("None", reason, "None")] * 3)

    accept(table)

    assert table.written == 1


def test_given_throttling_at_every_attempt_when_an_order_is_placed_then_the_request_can_be_retried() -> None:
    table: Any = Table(*[THROTTLED] * 100)
    kept = DynamoIdempotency(table, "t")
    orders = DynamoOrders(table, "t", kept, DynamoOutbox(table, "t"), DynamoVault(table, "t"))
    table.get_item = lambda **_: {}
    shop = api.create(
        orders, MemoryProducts(TEA), kept, MemoryRelatedResources(), MemoryFindings(), As(ALICE)
    ).test_client()

    answer = shop.post("/orders", json=wish(), headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (THROTTLED, True),
        (cancelled("TransactionConflict", "ProvisionedThroughputExceeded"), True),
        (cancelled("ThrottlingError", "ConditionalCheckFailed"), False),
        (cancelled("ValidationError", "None"), False),
        (cancelled("None"), False),
        (conflict(), True),
    ],
)
def test_given_a_cancelled_transaction_when_each_of_its_reasons_is_temporary_then_the_error_is_temporary(
    error: ClientError, *, is_temporary: bool
) -> None:
    assert clients.is_temporary(error) is is_temporary


class Batches:
    """Leaves out all products of a batch but one, a number of times.

    Args:
        times: how often; then it answers for all.
    """

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked: list[int] = []

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803 - AWS's name
        keys = RequestItems["t"]["Keys"]
        self.asked.append(len(keys))
        now = keys[:1] if len(self.asked) <= self.times else keys
        rest = keys[len(now) :]
        items = [{**key, **dynamo.pack({"name": "Tea", "price": TEA.price.to_dict()})} for key in now]
        return {"Responses": {"t": items}, "UnprocessedKeys": {"t": {"Keys": rest}} if rest else {}}


def test_given_unprocessed_products_of_a_batch_when_they_are_read_then_only_those_are_requested_again() -> (
    None
):
    table: Any = Batches(2)

    assert set(DynamoProducts(table, "t").find(["A", "B", "C", "D"])) == {"A", "B", "C", "D"}
    assert table.asked == [4, 3, 2]


def test_given_products_that_the_last_attempt_returns_when_they_are_read_then_they_are_found() -> None:
    table: Any = Batches(dynamo.BATCH_TRIES - 1)

    assert set(DynamoProducts(table, "t").find(list("ABCDEF"))) == set("ABCDEF")
    assert len(table.asked) == dynamo.BATCH_TRIES


def test_given_products_unprocessed_at_every_attempt_when_they_are_read_then_the_request_can_be_retried() -> (
    None
):
    with pytest.raises(Unavailable) as raised:
        DynamoProducts(cast("Any", Batches(100)), "t").find([f"SKU-{number}" for number in range(10)])

    assert raised.value.retry_after == 1


@pytest.mark.parametrize(
    "error", [conflict(), cancelled("TransactionConflict", "None"), cancelled("None", "None")]
)
def test_given_a_failed_write_when_an_order_is_saved_then_only_a_conflict_makes_it_stale(
    error: ClientError,
) -> None:
    table: Any = Table(error)
    orders = DynamoOrders(
        table, "t", DynamoIdempotency(table, "t"), DynamoOutbox(table, "t"), DynamoVault(table, "t")
    )
    met = "TransactionConflict" in str(error.response)

    with pytest.raises(Stale if met else ClientError):
        orders.save(ORDER, None)
