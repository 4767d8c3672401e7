"""The payment providers, and the guard between them and the handlers.

`Sandbox` is built in. It moves no money, but simulates what makes a provider hard to use: it is idempotent, declines charges,
and sometimes does not answer. The test token of a charge selects its behavior:

    tok_approve               charges
    tok_decline               declines
    tok_timeout               does not answer, and charges nothing
    tok_charge_then_timeout   charges, but does not answer; answers a retry under the same key
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

from services.common.faults.switches import Faults
from services.common.runtime.breaker import CallFailed, CircuitOpen, Guard, Limits
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.ledger import Ledger
from services.common.values.money import Money
from services.payment.domain import Charge
from services.payment.faults import FaultyProvider
from services.payment.ports import Declined, KeyClosed, NotAsked, Provider, Unreachable

Answer = TypeVar("Answer")
CHARGED, CLOSED, REFUNDED = "CHARGED", "CLOSED", "REFUNDED"


class TestToken(StrEnum):
    """The test tokens of the sandbox."""

    APPROVE = "tok_approve"
    DECLINE = "tok_decline"
    TIMEOUT = "tok_timeout"
    CHARGE_THEN_TIMEOUT = "tok_charge_then_timeout"


class GuardedProvider:
    """A provider with a deadline, retries with jitter, and a circuit breaker.

    It raises `Unreachable` after the last attempt, and `NotAsked` if it made no attempt.

    Args:
        provider: guarded provider.
        limits: limits of the guard.
    """

    def __init__(self, provider: Provider, limits: Limits) -> None:
        self._provider = provider
        self._guard = Guard(
            "payment-provider", limits, temporary=(Unreachable,), refusals=(Declined, KeyClosed)
        )

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        """As `ports.Provider.charge`."""
        return self._call(lambda: self._provider.charge(key, amount, token))

    def refund(self, key: str) -> Charge | None:
        """As `ports.Provider.refund`."""
        return self._call(lambda: self._provider.refund(key))

    def _call(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return self._guard.call(ask)
        except CircuitOpen as error:
            raise NotAsked(str(error)) from error
        except CallFailed as error:
            raise Unreachable(str(error)) from error


class Sandbox:
    """The built-in provider. It simulates a missing answer without a delay.

    Args:
        ledger: ledger of its charges and refunds.
        now: current time.
    """

    def __init__(self, ledger: Ledger, now: Clock = clock.now) -> None:
        self._ledger = ledger
        self._now = now

    def charge(self, key: str, amount: Money, token: str) -> Charge:
        """As `ports.Provider.charge`."""
        match token:
            case TestToken.APPROVE:
                return self._take(key, amount, is_answered=True)
            case TestToken.CHARGE_THEN_TIMEOUT:
                return self._take(key, amount, is_answered=False)
            case TestToken.TIMEOUT:
                raise Unreachable("no answer")
            case TestToken.DECLINE:
                raise Declined("the card was declined")
            case _:
                raise Declined("the sandbox accepts only its test tokens")

    def refund(self, key: str) -> Charge | None:
        """As `ports.Provider.refund`."""
        before = self._ledger.record(key, {"what": CLOSED})
        if before is None or before["what"] == CLOSED:
            return None
        self._ledger.record(f"{key}-refund", {"what": REFUNDED, "amount": before["amount"]})
        return _charge(before)

    def _take(self, key: str, amount: Money, *, is_answered: bool) -> Charge:
        entry = {
            "what": CHARGED,
            "payment_id": _payment_id(key),
            "amount": amount.to_dict(),
            "charged_at": clock.rfc3339(self._now()),
        }
        before = self._ledger.record(key, entry)
        if before is None and not is_answered:
            raise Unreachable("no answer")
        if before is not None and before["what"] == CLOSED:
            raise KeyClosed(key)
        return _charge(before or entry)


def sandbox(ledger: Ledger, deadline: float, faults: Faults | None = None) -> Provider:
    """The guarded sandbox.

    Args:
        ledger: ledger of its charges and refunds.
        deadline: seconds per attempt.
        faults: faults that a visitor of the demo switches on; None if there is no switchboard.
    """
    provider: Provider = Sandbox(ledger)
    if faults is not None:
        provider = FaultyProvider(provider, faults)
    return GuardedProvider(provider, Limits(deadline=deadline, longest_pause=0.5))


def _charge(entry: Mapping[str, Any]) -> Charge:
    return Charge(entry["payment_id"], Money.from_dict(entry["amount"]), clock.parse(entry["charged_at"]))


def _payment_id(key: str) -> str:
    return f"pay_{sha256(key.encode()).hexdigest()[:24]}"
