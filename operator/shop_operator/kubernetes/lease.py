"""Leader election by Lease: at most one process writes, and another takes over when it dies.

The rules are those of client-go's leaderelection, so that the operator behaves as people expect of one:

- the holder renews every `retry_period`; when no renewal succeeds for `renew_deadline` it stops leading;
- others take the lease when they have seen it unchanged for its whole `lease_duration` on their own clock.
  No process compares its wall clock with another's, so a skewed clock harms nothing;
- every write of the lease carries the resourceVersion that it was judged by;
- on shutdown the holder is cleared, so that the next one need not wait.

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
    """Where the lease is kept; kubernetes.client.Kube is one."""

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The lease, None when there is none."""

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create it; an OperatorError when it exists."""

    async def update_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace it; an OperatorError when it is not the version given."""


class LeadObserver(Protocol):
    """Told when leading begins and as soon as it ends."""

    def __call__(self, *, leads: bool) -> None:
        """Whether this process leads from now on."""


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
        leases: where the lease is kept.
        namespace: the lease's namespace.
        name: the lease's name.
        identity: who we are; unique among all candidates.
        changed: told when leading begins and as soon as it ends.
        fence: open while the Lease is certainly held.
        timing: the durations.
        clock: a steady clock in seconds, the same as that of the fence.
    """

    def __init__(  # a candidate is described by these
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
        self._seen: dict[str, Any] | None = None  # the lease as last read or written
        self._seen_at = 0.0
        self._fence = fence

    @property
    def leading(self) -> bool:
        """Whether this process holds the lease now."""
        return self._fence.remaining() > 0

    async def run(self) -> None:
        """Stand for election for ever; cancel it to release the lease and stop."""
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
        """Renew until that has not worked for the renew deadline, or another process holds the lease."""
        while self.leading:
            await asyncio.sleep(min(self._timing.retry_period, self._fence.remaining()))
            if not await self._try() and not self._ours():
                return

    async def _try(self) -> bool:
        """One attempt to take or renew the lease."""
        started = self._clock()
        try:
            async with asyncio.timeout(self._timing.renew_deadline / 2):
                won = await self._try_once()
        except (OperatorError, TimeoutError) as error:
            _log.info("lease not renewed: %s", error, extra={"lease": self._name})
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
        """What the lease said when it was last seen; empty when there was none, or nothing in it."""
        return (self._seen or {}).get("spec") or {}

    def _ours(self) -> bool:
        return self._spec().get("holderIdentity") == self._identity

    def _expired(self) -> bool:
        """Whether the holder gave the lease up, or has not renewed it while we watched."""
        spec = self._spec()
        if not spec.get("holderIdentity"):
            return True
        duration: float = spec.get("leaseDurationSeconds") or self._timing.lease_duration
        return self._clock() >= self._seen_at + duration

    def _record(self, old: Mapping[str, Any] | None) -> dict[str, Any]:
        """The lease as we want it: ours, renewed now."""
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
        """Give the lease up, so that the next leader need not wait for it to expire."""
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
            _log.warning("lease not released, it expires by itself: %s", error, extra={"lease": self._name})


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
