"""The carriers, and the guard between them and the handlers.

`Sandbox` is built in. It moves no parcel, but simulates what makes a carrier hard to use: it is idempotent, refuses parcels,
and sometimes does not answer. The postal code selects its behavior:

    00000   refuses permanently
    99999   answers at the third attempt
    other   books
"""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from services.common.faults.switches import Faults
from services.common.runtime.breaker import CallFailed, Guard, Limits
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.ledger import Ledger
from services.shipping.domain import Booking, Parcel
from services.shipping.faults import FaultyCarrier
from services.shipping.ports import Carrier, CarrierDown, KeyClosed, Refused

Answer = TypeVar("Answer")
NOWHERE, SLOW = "00000", "99999"
ANSWERS_AT_TRY = 3
BOOKED, CLOSED, CANCELLED = "BOOKED", "CLOSED", "CANCELLED"


class GuardedCarrier:
    """A carrier with a deadline, retries with jitter, and a circuit breaker.

    It raises `CarrierDown` after the last attempt, or if no attempt is permitted.

    Args:
        carrier: guarded carrier.
        limits: limits of the guard.
    """

    def __init__(self, carrier: Carrier, limits: Limits) -> None:
        self._carrier = carrier
        self._guard = Guard("carrier", limits, temporary=(CarrierDown,), refusals=(Refused, KeyClosed))

    def book(self, key: str, parcel: Parcel) -> Booking:
        """As `ports.Carrier.book`."""
        return self._call(lambda: self._carrier.book(key, parcel))

    def cancel(self, key: str) -> Booking | None:
        """As `ports.Carrier.cancel`."""
        return self._call(lambda: self._carrier.cancel(key))

    def _call(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return self._guard.call(ask)
        except CallFailed as error:
            raise CarrierDown(str(error)) from error


class Sandbox:
    """The built-in carrier.

    Args:
        ledger: ledger of its bookings and cancellations.
        now: current time.
    """

    def __init__(self, ledger: Ledger, now: Clock = clock.now) -> None:
        self._ledger = ledger
        self._now = now

    def book(self, key: str, parcel: Parcel) -> Booking:
        """As `ports.Carrier.book`."""
        postal_code = parcel.address.postal_code
        if postal_code == NOWHERE:
            raise Refused(f"no carrier delivers to {NOWHERE}")
        if postal_code == SLOW and self._ledger.count(key) < ANSWERS_AT_TRY:
            raise CarrierDown("no answer")
        entry = {
            "what": BOOKED,
            "tracking_number": _tracking_number(key),
            "booked_at": clock.rfc3339(self._now()),
        }
        kept = self._ledger.record(key, entry) or entry
        if kept["what"] == CLOSED:
            raise KeyClosed(key)
        return Booking(kept["tracking_number"], clock.parse(kept["booked_at"]))

    def cancel(self, key: str) -> Booking | None:
        """As `ports.Carrier.cancel`."""
        kept = self._ledger.record(key, {"what": CLOSED})
        if kept is None or kept["what"] == CLOSED:
            return None
        self._ledger.record(f"{key}-cancelled", {"what": CANCELLED, "at": clock.rfc3339(self._now())})
        return Booking(kept["tracking_number"], clock.parse(kept["booked_at"]))


def sandbox(ledger: Ledger, deadline: float, faults: Faults | None = None) -> Carrier:
    """The guarded sandbox.

    Args:
        ledger: ledger of its bookings and cancellations.
        deadline: seconds per attempt.
        faults: faults that a visitor of the demo switches on; None if there is no switchboard.
    """
    carrier: Carrier = Sandbox(ledger)
    if faults is not None:
        carrier = FaultyCarrier(carrier, faults)
    return GuardedCarrier(carrier, Limits(deadline=deadline, longest_pause=0.5))


def _tracking_number(key: str) -> str:
    return f"SBX{int(sha256(key.encode()).hexdigest()[:12], 16):015d}"
