"""The start and the end of leadership: a process that no longer holds the Lease drops the state that it keeps for ShopServices."""

from collections.abc import Iterable
from typing import Protocol

from shop_operator.reconcile.intake import Intake


class LeadershipObserver(Protocol):
    """Notified of leadership; implemented by observability.metrics.Metrics."""

    def leading(self, *, leads: bool) -> None:
        """Record that the Lease was acquired or lost."""


class Clearable(Protocol):
    """A part of the operator that keeps state for ShopServices."""

    def clear(self) -> None:
        """Drop this state."""


class Leadership:
    """The reaction to an acquired or lost Lease.

    Args:
        intake: opens and closes the gate of the workers.
        parts: the parts whose state is dropped, because another process may have reconciled the ShopServices since: the
            reconciler, the status writer, the config digests, the work queue and the Events.
        observer: exposes series of ShopServices only while this process leads.
    """

    def __init__(self, intake: Intake, parts: Iterable[Clearable], observer: LeadershipObserver) -> None:
        self._intake = intake
        self._parts = tuple(parts)
        self._observer = observer

    def __call__(self, *, leads: bool) -> None:
        """Start or stop leading."""
        self._observer.leading(leads=leads)
        if leads:
            # A pass that was running when the Lease was lost may have stored state afterwards.
            self._clear()
        self._intake.lead(leads=leads)
        if not leads:
            self._clear()

    def _clear(self) -> None:
        for each in self._parts:
            each.clear()
