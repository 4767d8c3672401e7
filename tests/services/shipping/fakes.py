"""The ports of the shipping service in memory. test_ports.py runs the same contract tests against the real adapters."""

import threading
from dataclasses import replace

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Stale
from services.shipping.domain import Shipment
from tests.services.memory import MemoryOutbox


class MemoryShipments:
    def __init__(self, outbox: MemoryOutbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._shipments: dict[str, Shipment] = {}

    def get(self, order_id: str) -> Shipment | None:
        return self._shipments.get(order_id)

    def save(self, shipment: Shipment, outbox_record: OutboxRecord | None) -> Shipment:
        with self._lock:
            known = self._shipments.get(shipment.order_id)
            if (known.version if known else 0) != shipment.version:
                raise Stale(shipment.order_id)
            written = replace(shipment, version=shipment.version + 1)
            self._shipments[shipment.order_id] = written
            if outbox_record is not None:
                self._outbox.add(outbox_record)
            return written

    def ping(self) -> None:
        pass
