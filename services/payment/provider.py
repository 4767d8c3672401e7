"""The providers that can charge, and what stands between them and the handlers.

`Sandbox` is the built-in one. It has no cards and no network, but all else that makes a provider hard to use: it
remembers what it did, refuses, and now and then says nothing. The test token of a charge decides which:

    tok_approve               charges
    tok_decline               refuses
    tok_timeout               does not answer, and charges nothing
    tok_charge_then_timeout   charges, and does not answer; asked again under the same key, it answers
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

from services.common.runtime.breaker import CallFailed, CircuitOpen, Guard, Limits
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.ledger import Ledger
from services.common.values.money import Money
from services.payment.domain import Charge
from services.payment.ports import Declined, KeyClosed, NotAsked, Provider, Unreachable

Answer = TypeVar("Answer")
CHARGED, CLOSED, REFUNDED = "CHARGED", "CLOSED", "REFUNDED"


class TestToken(StrEnum):
    """What the sandbox takes."""

    APPROVE = "tok_approve"
    DECLINE = "tok_decline"
    TIMEOUT = "tok_timeout"
    CHARGE_THEN_TIMEOUT = "tok_charge_then_timeout"


class GuardedProvider:
    """A provider behind a deadline, more tries with jitter, and a circuit breaker.

    It raises `Unreachable` once its tries are used up, and `NotAsked` when it made none.

    Args:
        provider: who is called.
        limits: how patient the guard is.
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
    """The built-in provider. Its silence is short: it says at once that there will be no answer.

    Args:
        ledger: what it remembers.
        now: what time it is.
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


def sandbox(ledger: Ledger, deadline: float) -> Provider:
    """The sandbox, guarded; `deadline` is in seconds per try."""
    return GuardedProvider(Sandbox(ledger), Limits(deadline=deadline, longest_pause=0.5))


def _charge(entry: Mapping[str, Any]) -> Charge:
    return Charge(entry["payment_id"], Money.from_dict(entry["amount"]), clock.parse(entry["charged_at"]))


def _payment_id(key: str) -> str:
    return f"pay_{sha256(key.encode()).hexdigest()[:24]}"
