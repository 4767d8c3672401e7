"""Events (events.k8s.io/v1) about ShopServices; a repeated Event is one object.

No pass waits for an Event, and a failed write is only logged. An Event with the reason and note of an earlier one about the same
ShopService increments the series of that one, at most once a minute.
"""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import OperatorError
from shop_operator.names import GROUP, KIND, VERSION
from shop_operator.wording import printable

_log = logging.getLogger(__name__)

CONTROLLER: Final = f"{GROUP}/shop-operator"
_MICROTIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_SAME: Final = 600.0
_SERIES_PAUSE: Final = 60.0
_MOST_KNOWN: Final = 1000
_MOST_WAITING: Final = 1000
_LONGEST_NOTE: Final = 1024


class Api(Protocol):
    """kubernetes.client.Kube."""

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Create an Event."""

    async def patch_event(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge-patch an Event."""


@dataclass
class _Told:
    """An Event that was written, and the number of its repetitions."""

    namespace: str
    name: str
    last: float
    count: int = 1
    written: float = 0.0


class Events:
    """Writes Events one after the other, in a task of its own.

    Args:
        api: the API server.
        instance: the name of this process.
        clock: a steady clock in seconds.
    """

    def __init__(self, api: Api, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._instance = instance[:128]
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[ShopService, str, str, str]] = asyncio.Queue(_MOST_WAITING)
        self._told: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()

    def tell(self, shop: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        """Queue an Event; dropped if a thousand others wait."""
        try:
            self._waiting.put_nowait(
                (shop, "Warning" if warning else "Normal", reason, printable(note)[:_LONGEST_NOTE])
            )
        except asyncio.QueueFull:
            _log.warning("event dropped", extra={"reason": reason, "key": f"{shop.namespace}/{shop.name}"})

    def clear(self) -> None:
        """Drop the Events that are not written yet, and forget those that are."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._told.clear()

    async def run(self) -> None:
        """Write the Events until cancelled."""
        while True:
            shop, kind, reason, note = await self._waiting.get()
            try:
                await self._write(shop, kind, reason, note)
            except OperatorError as error:
                _log.info("event not written", extra={"error": str(error)})

    async def _write(self, shop: ShopService, kind: str, reason: str, note: str) -> None:
        same, now = (shop.uid, reason, note), self._clock()
        told = self._told.get(same)
        if told is not None and now - told.last < _SAME:
            told.count += 1
            told.last = now
            if now - told.written >= _SERIES_PAUSE:
                told.written = now
                series = {"count": told.count, "lastObservedTime": _time()}
                await self._api.patch_event(told.namespace, told.name, {"series": series})
            return
        name = f"{shop.name}.{uuid.uuid4().hex[:16]}"
        await self._api.create_event(self._event(shop, name, kind, reason, note))
        self._told[same] = _Told(shop.namespace, name, now, written=now)
        if len(self._told) > _MOST_KNOWN:
            self._told.popitem(last=False)

    def _event(self, shop: ShopService, name: str, kind: str, reason: str, note: str) -> dict[str, Any]:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": shop.namespace},
            "eventTime": _time(),
            "type": kind,
            "reason": reason,
            "action": "Reconcile",
            "note": note,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "namespace": shop.namespace,
                "name": shop.name,
                "uid": shop.uid,
            },
        }


def _time() -> str:
    return datetime.now(UTC).strftime(_MICROTIME)
