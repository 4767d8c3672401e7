"""The payment service's ports in memory. test_ports.py holds them to the same contract as the real adapters."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.payment.domain import Payment
from services.payment.ports import Stale


class MemoryPayments:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._payments: dict[str, Payment] = {}

    def get(self, order_id: str) -> Payment | None:
        return self._payments.get(order_id)

    def save(self, payment: Payment) -> Payment:
        with self._lock:
            known = self._payments.get(payment.order_id)
            if (known.version if known else 0) != payment.version:
                raise Stale(payment.order_id)
            written = replace(payment, version=payment.version + 1)
            self._payments[payment.order_id] = written
            return written

    def ping(self) -> None:
        pass


class MemoryLedger:
    def __init__(self) -> None:
        self.entries: dict[str, Mapping[str, Any]] = {}

    def record(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
        before = self.entries.get(key)
        self.entries.setdefault(key, dict(entry))
        return before
