"""Shipments, and the ledger of the sandbox carrier, in DynamoDB.

| item | pk | sk |
|---|---|---|
| shipment of an order | SHIPMENT#<order> | SHIPMENT |
| entry of the sandbox under a key | SANDBOX#<key> | ENTRY |
| attempts under a key | SANDBOX#<key> | TRIES |
| outbox record | see `common.aws.outbox` | |
"""

from collections.abc import Mapping
from typing import Any

from services.common.aws import dynamo
from services.common.aws.versioned import VersionedTable
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock, typed
from services.shipping.domain import Booking, Shipment, State


class DynamoShipments(VersionedTable[Shipment]):
    """Shipments in the service's table, as `ports.Shipments`."""

    kind = "shipment"

    def save(self, shipment: Shipment, outbox_record: OutboxRecord | None) -> Shipment:
        """As `ports.Shipments.save`."""
        return self._save(shipment, shipment.version, outbox_record)

    def key(self, name: str) -> dict[str, str]:
        """As `VersionedTable.key`, for the ID of an order."""
        return {"pk": f"SHIPMENT#{name}", "sk": "SHIPMENT"}

    def to_item(self, row: Shipment, version: int) -> dict[str, Any]:
        """As `VersionedTable.to_item`."""
        booking = row.booking
        return {
            **self.key(row.order_id),
            "order_id": row.order_id,
            "customer_id": row.customer_id,
            "state": row.state.value,
            "decided_at": clock.rfc3339(row.decided_at),
            "version": version,
            # A shipment without a booking exists only to reject a late booking, so it can expire.
            **(dynamo.tombstone(row.decided_at) if row.state is State.CANCELLED and not booking else {}),
            **({"cause": row.cause} if row.cause else {}),
            **(
                {"tracking_number": booking.tracking_number, "booked_at": clock.rfc3339(booking.booked_at)}
                if booking
                else {}
            ),
        }

    def from_item(self, item: Mapping[str, Any]) -> Shipment:
        """As `VersionedTable.from_item`."""
        return Shipment(
            order_id=typed.text(item["order_id"]),
            state=State(item["state"]),
            decided_at=clock.parse(item["decided_at"]),
            customer_id=typed.text(item["customer_id"]),
            booking=Booking(typed.text(item["tracking_number"]), clock.parse(item["booked_at"]))
            if "tracking_number" in item
            else None,
            cause=typed.optional_text(item, "cause"),
            version=typed.whole(item["version"]),
        )
