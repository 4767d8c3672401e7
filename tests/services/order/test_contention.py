"""DynamoDB cancels writes that meet on one item. The emulator never does, so its answers are made up here."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.common.idempotency import Answer, DynamoIdempotency, InFlight, KeyedRequest, KeyTaken
from services.common.outbox import DynamoOutbox
from services.common.vault import DynamoVault
from services.order import messages
from services.order.dynamo import DynamoOrders
from services.order.ports import Stale
from tests.services.order.test_messages import ORDER

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
    """Fails each write with the next of its errors, and lets it through when there is none left."""

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


def test_an_acceptance_that_met_a_repeat_of_its_request_is_written_again() -> None:
    table = Table(
        cancelled("TransactionConflict", "None", "None"), cancelled("TransactionConflict", "None", "None")
    )

    accept(table)

    assert table.written == 1


def test_an_acceptance_that_meets_others_for_ever_is_in_flight() -> None:
    with pytest.raises(InFlight):
        accept(Table(*[cancelled("TransactionConflict", "None", "None")] * 3))


def test_an_acceptance_under_a_key_that_is_taken_says_so() -> None:
    with pytest.raises(KeyTaken):
        accept(Table(cancelled("ConditionalCheckFailed", "None", "None")))


@pytest.mark.parametrize(
    "error", [conflict(), cancelled("TransactionConflict", "None"), cancelled("None", "None")]
)
def test_a_change_that_met_another_is_stale_and_any_other_failure_is_not(error: ClientError) -> None:
    table: Any = Table(error)
    orders = DynamoOrders(
        table, "t", DynamoIdempotency(table, "t"), DynamoOutbox(table, "t"), DynamoVault(table, "t")
    )
    met = "TransactionConflict" in str(error.response)

    with pytest.raises(Stale if met else ClientError):
        orders.save(ORDER, None)
