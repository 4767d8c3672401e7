"""The faults of the payment provider that a visitor of the demo switches on."""

import time
from collections.abc import Callable
from typing import Final

from services.common.faults.switches import Fault, Faults
from services.common.values.money import Money
from services.payment.domain import Charge
from services.payment.ports import Declined, NotAsked, Provider

# Less than the default of PROVIDER_SECONDS, so that the guard accepts the answer.
SLOW_SECONDS: Final = 4.0


class FaultyProvider:
    """A provider with the faults that are on. The guard around it handles them as those of a real provider.

    Args:
        provider: provider without faults.
        faults: whether a fault is on.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, provider: Provider, faults: Faults, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._provider = provider
        self._faults = faults
        self._sleep = sleep

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        """As `ports.Provider.charge`."""
        self._reach()
        if self._faults.is_on(Fault.PAYMENT_DECLINED):
            # An earlier attempt may have charged. A declined key stays without a charge, even after the fault.
            self._provider.refund(key)
            raise Declined(f"the fault {Fault.PAYMENT_DECLINED} is on")
        return self._provider.charge(key, amount, token)

    def refund(self, key: str) -> Charge | None:
        """As `ports.Provider.refund`."""
        self._reach()
        return self._provider.refund(key)

    def _reach(self) -> None:
        if self._faults.is_on(Fault.PAYMENT_AWAY):
            raise NotAsked(f"the fault {Fault.PAYMENT_AWAY} is on")
        if self._faults.is_on(Fault.PAYMENT_SLOW):
            self._sleep(SLOW_SECONDS)
