"""The fault of the carrier that a visitor of the demo switches on."""

from services.common.faults.switches import Fault, Faults
from services.shipping.domain import Booking, Parcel
from services.shipping.ports import Carrier, Refused


class FaultyCarrier:
    """A carrier that refuses every parcel while the fault is on.

    Args:
        carrier: carrier without faults.
        faults: whether a fault is on.
    """

    def __init__(self, carrier: Carrier, faults: Faults) -> None:
        self._carrier = carrier
        self._faults = faults

    def book(self, key: str, parcel: Parcel) -> Booking:
        """As `ports.Carrier.book`."""
        if self._faults.is_on(Fault.CARRIER_REFUSES):
            # An earlier attempt may have booked. A refused key stays without a booking, even after the fault.
            self._carrier.cancel(key)
            raise Refused(f"the fault {Fault.CARRIER_REFUSES} is on")
        return self._carrier.book(key, parcel)

    def cancel(self, key: str) -> Booking | None:
        """As `ports.Carrier.cancel`."""
        return self._carrier.cancel(key)
