"""The ports of the payment service in memory. test_ports.py runs the same contract tests against the real adapters."""

import threading
from dataclasses import replace

from services.common.messaging.outbox import OutboxRecord
from services.common.values.errors import Stale
from services.payment.domain import Payment
from tests.services.memory import MemoryOutbox


class MemoryPayments:
    def __init__(self, outbox: MemoryOutbox, tokens: "MemoryVault | None" = None) -> None:
        self._outbox = outbox
        self._tokens = tokens or MemoryVault()
        self._lock = threading.Lock()
        self._payments: dict[str, Payment] = {}

    def get(self, order_id: str) -> Payment | None:
        return self._payments.get(order_id)

    def save(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        with self._lock:
            known = self._payments.get(payment.order_id)
            if (known.version if known else 0) != payment.version:
                raise Stale(payment.order_id)
            written = replace(payment, version=payment.version + 1)
            self._payments[payment.order_id] = written
            if outbox_record is not None:
                self._outbox.add(outbox_record)
            return written

    def decide(self, payment: Payment, outbox_record: OutboxRecord | None) -> Payment:
        decided = self.save(payment, outbox_record)
        self._tokens.forget(payment.order_id)
        return decided

    def ping(self) -> None:
        pass


class MemoryVault:
    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def find(self, name: str) -> str | None:
        return self.secrets.get(name)

    def forget(self, name: str) -> None:
        self.secrets.pop(name, None)
