"""Leader election by Lease: at most one process writes, and another one takes over if it fails.

The rules are those of client-go's leaderelection:

- the holder renews the Lease every `retry_period`; if no renewal succeeds for `renew_deadline`, it stops leading;
- another candidate takes the Lease after it has not changed for its whole `lease_duration` on the candidate's own clock.
  Wall clocks of different processes are never compared, so clock skew is harmless;
- every write of the Lease has the resourceVersion of the state on which it is based;
- on shutdown, the holder is cleared, so that the next candidate need not wait.

The Fence limits every other write: it closes at the renew deadline, well before another candidate may take
the Lease. Its clock counts while the machine is suspended.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from shop_operator.errors import OperatorError

_log = logging.getLogger(__name__)

_MICROTIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Leases(Protocol):
    """The storage of the Lease; kubernetes.client.Kube."""

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The Lease, None if it does not exist."""

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create it; raises an OperatorError if it exists."""

    async def update_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace it; raises an OperatorError if it has another version."""


class LeadObserver(Protocol):
    """Called when this process begins to lead, and as soon as it does not lead any more."""

    def __call__(self, *, leads: bool) -> None:
        """Record whether this process leads."""


@dataclass(frozen=True)
class Timing:
    """The three durations of client-go, in seconds."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


def boottime() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(_CLOCK)


class Fence:
    """The time for which this process may still write to the cluster.

    Args:
        clock: a steady clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        self._clock = clock
        self._until = float("-inf")

    def open(self, until: float) -> None:
        """Allow writes up to a time on the clock."""
        self._until = until

    def close(self) -> None:
        """Allow no writes."""
        self._until = float("-inf")

    def remaining(self) -> float:
        """Seconds for which writes are allowed; 0 if they are not."""
        return max(0.0, self._until - self._clock())


class Elector:
    """One candidate for one lease.

    Args:
        leases: the storage of the Lease.
        namespace: of the Lease.
        name: of the Lease.
        identity: of this candidate; unique among all candidates.
        changed: called when this process begins to lead, and as soon as it does not lead any more.
        fence: open while the Lease is certainly held.
        timing: the durations.
        clock: a steady clock in seconds, the same as that of the fence.
    """

    def __init__(
        self,
        leases: Leases,
        namespace: str,
        name: str,
        identity: str,
        changed: LeadObserver,
        fence: Fence,
        timing: Timing | None = None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._leases = leases
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._changed = changed
        self._timing = timing or Timing()
        self._clock = clock
        self._seen: dict[str, Any] | None = None  # the Lease as last read or written
        self._seen_at = 0.0
        self._fence = fence

    @property
    def leading(self) -> bool:
        """Whether this process holds the lease now."""
        return self._fence.remaining() > 0

    async def run(self) -> None:
        """Take part in the election until cancelled; then release the Lease."""
        try:
            while True:
                await self._acquire()
                _log.info("leading", extra={"lease": self._name, "identity": self._identity})
                self._changed(leads=True)
                await self._renew()
                self._fence.close()
                _log.warning("lease lost", extra={"lease": self._name, "identity": self._identity})
                self._changed(leads=False)
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while not await self._try():  # noqa: ASYNC110  # another process decides: there is no event to await
            # The jitter keeps candidates from asking in step.
            await asyncio.sleep(self._timing.retry_period * (1 + random.random() * 0.2))  # noqa: S311

    async def _renew(self) -> None:
        """Renew the Lease until that fails for the renew deadline, or another process holds it."""
        while self.leading:
            await asyncio.sleep(min(self._timing.retry_period, self._fence.remaining()))
            if not await self._try() and not self._ours():
                return

    async def _try(self) -> bool:
        """Try once to take or renew the Lease."""
        started = self._clock()
        try:
            async with asyncio.timeout(self._timing.renew_deadline / 2):
                won = await self._try_once()
        except (OperatorError, TimeoutError) as error:
            _log.info("lease not renewed", extra={"lease": self._name, "error": str(error)})
            return False
        if won:
            self._fence.open(started + self._timing.renew_deadline)
        return won

    async def _try_once(self) -> bool:
        lease = await self._leases.get_lease(self._namespace, self._name)
        if lease is None:
            self._note(await self._leases.create_lease(self._namespace, self._record(None)))
            return True
        if (
            self._seen is None
            or lease["metadata"] != self._seen["metadata"]
            or lease.get("spec") != self._seen.get("spec")
        ):
            self._note(lease)
        if not self._ours() and not self._expired():
            return False
        self._note(await self._leases.update_lease(self._namespace, self._record(lease)))
        return True

    def _note(self, lease: dict[str, Any]) -> None:
        self._seen, self._seen_at = lease, self._clock()

    def _spec(self) -> Mapping[str, Any]:
        """The spec of the Lease as last seen; empty if it has none."""
        return (self._seen or {}).get("spec") or {}

    def _ours(self) -> bool:
        return self._spec().get("holderIdentity") == self._identity

    def _expired(self) -> bool:
        """Whether the holder has released the Lease, or has not renewed it in time."""
        spec = self._spec()
        if not spec.get("holderIdentity"):
            return True
        duration: float = spec.get("leaseDurationSeconds") or self._timing.lease_duration
        return self._clock() >= self._seen_at + duration

    def _record(self, old: Mapping[str, Any] | None) -> dict[str, Any]:
        """The Lease with this process as its holder, renewed now."""
        now = datetime.now(UTC).strftime(_MICROTIME)
        spec = dict(old.get("spec") or {}) if old else {}
        if not old or spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if old else 0)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": dict(old["metadata"]) if old else {"name": self._name, "namespace": self._namespace},
            "spec": {
                **spec,
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._timing.lease_duration),
                "renewTime": now,
            },
        }

    async def _release(self) -> None:
        """Release the Lease, so that the next leader need not wait until it expires."""
        held = self.leading
        self._fence.close()
        if not held or self._seen is None:
            return
        self._changed(leads=False)
        lease = self._record(self._seen)
        lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self._timing.retry_period):
                await self._leases.update_lease(self._namespace, lease)
        except (OperatorError, TimeoutError) as error:
            _log.warning("lease not released", extra={"lease": self._name, "error": str(error)})


class Alone:
    """The elector of a process that is the only one (`--no-leader-elect`): it leads while it runs."""

    def __init__(self, changed: LeadObserver, fence: Fence) -> None:
        self._changed = changed
        self._fence = fence

    async def run(self) -> None:
        """Lead until cancelled."""
        self._fence.open(float("inf"))
        self._changed(leads=True)
        try:
            await asyncio.Event().wait()
        finally:
            self._fence.close()
            self._changed(leads=False)
