"""Payments, and the ledger of the sandbox provider, in DynamoDB.

| item | pk | sk |
|---|---|---|
| payment of an order | PAYMENT#<order> | PAYMENT |
| entry of the sandbox under a key | SANDBOX#<key> | ENTRY |
| outbox record | see `common.aws.outbox` | |
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.aws.vault import DynamoVault
from services.common.aws.versioned import VersionedTable
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock, typed
from services.common.values.money import Money
from services.payment.domain import Attempt, Charge, Outcome, Payment, State

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoPayments(VersionedTable[Payment]):
    """Payments in the service's table, as `ports.Payments`.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        outbox: outbox records, in the same table.
        tokens: payment tokens of the order service.
    """

    kind = "payment"

    def __init__(
        self, client: "DynamoDBClient", table: str, outbox: DynamoOutbox, tokens: DynamoVault
    ) -> None:
        super().__init__(client, table, outbox)
        self._tokens = tokens

    def decide(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        """As `ports.Payments.decide`."""
        return self._save(payment, payment.version, outbox_record, self._tokens.removal(payment.order_id))

    def save(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        """As `ports.Payments.save`."""
        return self._save(payment, payment.version, outbox_record)

    def key(self, name: str) -> dict[str, str]:
        """As `VersionedTable.key`, for the ID of an order."""
        return {"pk": f"PAYMENT#{name}", "sk": "PAYMENT"}

    def to_item(self, row: Payment, version: int) -> dict[str, Any]:
        """As `VersionedTable.to_item`."""
        optional = {
            "amount": row.amount.to_dict() if row.amount else None,
            "charge": {
                "payment_id": row.charge.payment_id,
                "amount": row.charge.amount.to_dict(),
                "charged_at": clock.rfc3339(row.charge.charged_at),
            }
            if row.charge
            else None,
            "refunded": row.refunded.to_dict() if row.refunded else None,
            "refunded_at": clock.rfc3339(row.refunded_at) if row.refunded_at else None,
        }
        return {
            **self.key(row.order_id),
            "order_id": row.order_id,
            "customer_id": row.customer_id,
            "state": row.state.value,
            "attempts": [
                {"at": clock.rfc3339(attempt.at), "outcome": attempt.outcome.value, "cause": attempt.cause}
                for attempt in row.attempts
            ],
            "version": version,
            # A payment without a charge exists only to reject a late charge, so it can expire.
            **(dynamo.tombstone(row.refunded_at) if row.refunded_at and not row.charge else {}),
            **{name: value for name, value in optional.items() if value is not None},
        }

    def from_item(self, item: Mapping[str, Any]) -> Payment:
        """As `VersionedTable.from_item`."""
        return Payment(
            order_id=typed.text(item["order_id"]),
            state=State(item["state"]),
            customer_id=typed.text(item["customer_id"]),
            amount=Money.from_dict(item["amount"]) if "amount" in item else None,
            charge=_to_charge(item["charge"]) if "charge" in item else None,
            refunded=Money.from_dict(item["refunded"]) if "refunded" in item else None,
            refunded_at=clock.parse(item["refunded_at"]) if "refunded_at" in item else None,
            attempts=tuple(
                Attempt(clock.parse(attempt["at"]), Outcome(attempt["outcome"]), typed.text(attempt["cause"]))
                for attempt in item["attempts"]
            ),
            version=typed.whole(item["version"]),
        )


def _to_charge(charge: Mapping[str, Any]) -> Charge:
    return Charge(
        typed.text(charge["payment_id"]),
        Money.from_dict(charge["amount"]),
        clock.parse(charge["charged_at"]),
    )
