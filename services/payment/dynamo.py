"""Payments, and what the sandbox provider remembers, in DynamoDB.

| item | pk | sk |
|---|---|---|
| a payment | PAYMENT#<order> | PAYMENT |
| what the sandbox did under a key | SANDBOX#<key> | ENTRY |
| what is to be told | see `common.aws.outbox` | |
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.common.values.money import Money
from services.payment.domain import Attempt, Charge, Outcome, Payment, State
from services.payment.ports import Stale

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoPayments:
    """Payments in the service's table.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        outbox: in the same table.
    """

    def __init__(self, client: "DynamoDBClient", table: str, outbox: DynamoOutbox) -> None:
        self._client = client
        self._table = table
        self._outbox = outbox

    def get(self, order_id: str) -> Payment | None:
        """As `ports.Payments.get`."""
        return dynamo.find(self._client, self._table, _payment_key(order_id), _to_payment, "payment")

    def save(self, payment: Payment, told: OutboxRecord | None) -> Payment:
        """As `ports.Payments.save`."""
        item = _to_item(payment)
        saved = _to_payment(item)  # what could not be read is not written
        try:
            self._outbox.put(item, dynamo.unchanged_since(payment.version), told)
        except ClientError as error:
            if dynamo.is_overtaken(error):
                raise Stale(payment.order_id) from error
            raise
        return saved

    def ping(self) -> None:
        """As `ports.Payments.ping`."""
        self._client.get_item(TableName=self._table, Key=dynamo.pack(_payment_key("ping")))


class DynamoLedger:
    """What the sandbox provider remembers, in the service's table, so that it survives its process.

    Args:
        client: a DynamoDB client.
        table: the table's name.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
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
            before: Mapping[str, Any] = dynamo.unpack(answer["Item"])["entry"]
            return before
        return None


def _payment_key(order_id: str) -> dict[str, str]:
    return {"pk": f"PAYMENT#{order_id}", "sk": "PAYMENT"}


def _to_item(payment: Payment) -> dict[str, Any]:
    optional = {
        "customer_id": payment.customer_id,
        "amount": payment.amount.to_dict() if payment.amount else None,
        "charge": {
            "payment_id": payment.charge.payment_id,
            "amount": payment.charge.amount.to_dict(),
            "charged_at": clock.rfc3339(payment.charge.charged_at),
        }
        if payment.charge
        else None,
        "refunded": payment.refunded.to_dict() if payment.refunded else None,
        "refunded_at": clock.rfc3339(payment.refunded_at) if payment.refunded_at else None,
    }
    return {
        **_payment_key(payment.order_id),
        "order_id": payment.order_id,
        "state": payment.state.value,
        "attempts": [
            {"at": clock.rfc3339(attempt.at), "outcome": attempt.outcome.value, "cause": attempt.cause}
            for attempt in payment.attempts
        ],
        "version": payment.version + 1,
        # What nothing was charged for is there only to refuse a late charge.
        **(dynamo.tombstone(payment.refunded_at) if payment.refunded_at and not payment.charge else {}),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _to_payment(item: Mapping[str, Any]) -> Payment:
    return Payment(
        order_id=dynamo.text(item["order_id"]),
        state=State(item["state"]),
        customer_id=dynamo.optional_text(item, "customer_id"),
        amount=Money.from_dict(item["amount"]) if "amount" in item else None,
        charge=_to_charge(item["charge"]) if "charge" in item else None,
        refunded=Money.from_dict(item["refunded"]) if "refunded" in item else None,
        refunded_at=clock.parse(item["refunded_at"]) if "refunded_at" in item else None,
        attempts=tuple(
            Attempt(clock.parse(attempt["at"]), Outcome(attempt["outcome"]), dynamo.text(attempt["cause"]))
            for attempt in item["attempts"]
        ),
        version=dynamo.whole(item["version"]),
    )


def _to_charge(charge: Mapping[str, Any]) -> Charge:
    return Charge(
        dynamo.text(charge["payment_id"]),
        Money.from_dict(charge["amount"]),
        clock.parse(charge["charged_at"]),
    )
