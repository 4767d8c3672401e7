"""The workers: each takes a key from the queue, makes a pass over its ShopService, and decides when the next one is due."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from shop_operator.cache.store import Store
from shop_operator.errors import Contested, NotLeader, OperatorError, TemporaryError
from shop_operator.names import Key
from shop_operator.reconcile.gate import Gate
from shop_operator.reconcile.queue import WorkQueue

_log = logging.getLogger(__name__)


class Passes(Protocol):
    """reconcile.reconciler.Reconciler."""

    async def reconcile(self, key: Key) -> float | None:
        """Make one pass; returns the seconds until the next one, None if an event causes it."""


class PassObserver(Protocol):
    """Counts passes; observability.metrics.Metrics."""

    def reconciled(self, result: str, took: float) -> None:
        """Count a pass; its result is success, error, requeue or requeue_after."""

    def succeeded(self, namespace: str, name: str) -> None:
        """Record a successful pass over a ShopService."""

    def failed(self, namespace: str, name: str) -> None:
        """Record a failed pass over a ShopService, which is retried."""


class Workers:
    """Reconcile the keys of the queue while the gate is open.

    Args:
        store: the cache of ShopServices.
        queue: the keys to reconcile.
        gate: the gate.
        passes: the reconciler.
        observer: the metrics.
    """

    def __init__(
        self, store: Store, queue: WorkQueue[Key], gate: Gate, passes: Passes, observer: PassObserver
    ) -> None:
        self._store = store
        self._queue = queue
        self._gate = gate
        self._passes = passes
        self._observer = observer

    def tasks(self, number: int) -> list[Callable[[], Any]]:
        """The coroutine functions of so many workers, which run until they are cancelled."""
        return [self._work_forever] * number

    async def _work_forever(self) -> None:
        while True:
            await self._gate.opened()
            key = await self._queue.get()
            try:
                # A worker that waits for a key stays there when the gate closes. All keys are enqueued when it opens.
                if self._gate.is_open:
                    await self._work(key)
            finally:
                self._queue.done(key)
            # A pass that changes nothing never awaits: thousands in a row must not delay the renewal of the Lease.
            await asyncio.sleep(0)

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        result = "error"
        try:
            again = await self._passes.reconcile(key)
        except NotLeader as error:
            # The next leader reconciles it; this is not an error.
            result = "requeue"
            _log.info("reconcile aborted", extra={"key": str(key), "error": str(error)})
        except Contested as error:
            # Not a failure: contested fields are reverted at a limited rate.
            result = "requeue_after"
            _log.info(
                "reconcile postponed", extra={"key": str(key), "reason": error.reason, "error": str(error)}
            )
            self._queue.forget(key)
            self._queue.pause(key, error.retry_after or 0.0)
        except OperatorError as error:
            _log.info(
                "reconcile failed", extra={"key": str(key), "reason": error.reason, "error": str(error)}
            )
            self._queue.retry(key, after=error.retry_after if isinstance(error, TemporaryError) else None)
            self._observer.failed(*key)
        except Exception:  # noqa: BLE001  # a bug in one pass must not affect the others, nor stay unnoticed
            _log.exception("pass failed", extra={"key": str(key)})
            self._queue.retry(key)
            self._observer.failed(*key)
        else:
            self._queue.forget(key)
            if self._store.shop(key) is not None:
                self._observer.succeeded(*key)
            result = "success" if again is None else "requeue_after"
            if again is not None:
                self._queue.add_after(key, again)
        finally:
            self._observer.reconciled(result, time.monotonic() - started)
