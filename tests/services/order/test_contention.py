"""DynamoDB cancels writes that meet on one item. The emulator never does, so its answers are made up here."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.common.aws import is_temporary
from services.common.idempotency import Answer, Claim, ClaimLost, DynamoIdempotency, InFlight
from services.common.outbox import DynamoOutbox
from services.order import messages
from services.order.dynamo import DynamoOrders
from services.order.ports import Stale
from tests.services.order.test_messages import ORDER

CLAIM = Claim("guest POST /orders", "key", "fingerprint")
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
    orders = DynamoOrders(table, "t", DynamoIdempotency(table, "t"), DynamoOutbox(table, "t"))
    orders.accept(ORDER, messages.acceptance(ORDER, "tok_approve"), CLAIM, ANSWER)


def test_an_acceptance_that_met_a_repeat_of_its_request_is_written_again() -> None:
    table = Table(
        cancelled("TransactionConflict", "None", "None"), cancelled("TransactionConflict", "None", "None")
    )

    accept(table)

    assert table.written == 1


def test_an_acceptance_that_meets_others_for_ever_is_a_temporary_failure() -> None:
    with pytest.raises(ClientError) as failed:
        accept(Table(*[cancelled("TransactionConflict", "None", "None")] * 3))

    assert is_temporary(failed.value)


def test_an_acceptance_that_lost_its_claim_says_so() -> None:
    with pytest.raises(ClaimLost):
        accept(Table(cancelled("ConditionalCheckFailed", "None", "None")))


def test_a_claim_that_meets_the_writing_of_the_answer_is_in_flight() -> None:
    table: Any = Table(conflict())

    with pytest.raises(InFlight):
        DynamoIdempotency(table, "t").claim(CLAIM)


@pytest.mark.parametrize(
    "error", [conflict(), cancelled("TransactionConflict", "None"), cancelled("None", "None")]
)
def test_a_change_that_met_another_is_stale_and_any_other_failure_is_not(error: ClientError) -> None:
    table: Any = Table(error)
    orders = DynamoOrders(table, "t", DynamoIdempotency(table, "t"), DynamoOutbox(table, "t"))
    met = "TransactionConflict" in str(error.response)

    with pytest.raises(Stale if met else ClientError):
        orders.save(ORDER, None)
