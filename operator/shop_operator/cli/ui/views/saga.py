"""The path of an order through its workflow, concluded from the order, its payment and its shipment. Pure.

The workflow does not report its steps to the API. Each step leaves a trace in the document of the service that executes it, so a step
counts as done if its own trace, or that of a later step, is there.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from shop_operator.cli.ui.views.amounts import amount
from shop_operator.cli.ui.views.times import Moment, moment

Document = Mapping[str, Any]

_ENDS: Final = frozenset({"SHIPPED", "REJECTED", "CANCELLED"})
_TURNED: Final = ("CANCELLING", "REJECTED", "CANCELLED")
_NO_STOCK: Final = ("OutOfStock", "UnknownProduct")


@dataclass(frozen=True)
class State:
    """A state of the workflow."""

    name: str
    type: str
    purpose: str
    next: Sequence[str]
    catch: Sequence[str]


@dataclass(frozen=True)
class Lanes:
    """The tasks of the workflow in the order of their execution.

    Args:
        forward: the tasks that complete an order.
        undo: the tasks that undo it.
    """

    forward: Sequence[State]
    undo: Sequence[State]


@dataclass(frozen=True)
class Records:
    """The documents of an order.

    Args:
        order: response of GET /orders/{id}.
        payment: response of GET /payments/{id}; None if there is none.
        shipment: response of GET /shipments/{id}; None if there is none.
        missing: reasons why one of them could not be loaded, by its name.
    """

    order: Document
    payment: Document | None = None
    shipment: Document | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def at(self, *states: str) -> str | None:
        """When the order reached the first of these states that it reached; None if it reached none."""
        known = {each["state"]: each["at"] for each in self.order["timeline"]}
        return next((known[each] for each in states if each in known), None)

    @property
    def is_over(self) -> bool:
        """Whether the order is in a final state."""
        return self.order["state"] in _ENDS

    @property
    def attempts(self) -> Sequence[Document]:
        """The attempts to charge."""
        return (self.payment or {}).get("attempts") or ()

    def paid(self, *states: str) -> bool:
        """Whether the payment is in one of these states."""
        return (self.payment or {}).get("state") in states

    def shipped(self, *states: str) -> bool:
        """Whether the shipment is in one of these states."""
        return (self.shipment or {}).get("state") in states


@dataclass(frozen=True)
class Trace:
    """The trace that a task left.

    Args:
        status: done, failed, waiting, skipped (not required) or open (not reached).
        stamp: when it ended, or since when it waits, in RFC 3339; None if unknown.
        note: the cause, or the result.
        attempts: number of attempts, if the documents contain it.
    """

    status: str
    stamp: str | None = None
    note: str = ""
    attempts: int = 0


@dataclass(frozen=True)
class Step:
    """A task of the workflow, for one order."""

    name: str
    purpose: str
    status: str
    at: Moment | None
    note: str
    attempts: int


@dataclass(frozen=True)
class Path:
    """The path of an order.

    Args:
        forward: the tasks that complete an order.
        undo: the tasks that undo it.
        turned: whether the order is undone, or was.
    """

    forward: Sequence[Step]
    undo: Sequence[Step]
    turned: bool


@cache
def lanes() -> Lanes:
    """The workflow, from order_saga.json. The tasks of an order that the reconciler resumed repeat those of the first lane."""
    found = json.loads((files("shop_operator.cli.ui") / "order_saga.json").read_text(encoding="utf-8"))
    states = {each["name"]: State(**each) for each in found["states"]}
    forward = list(_along(states, found["start"]))
    seen = {each.name for each in forward}
    undo = list[State]()
    for each in forward:
        for caught in each.catch:
            _collect(states, caught, seen, undo)
    return Lanes(_tasks(forward), _tasks(undo))


def _tasks(states: Iterable[State]) -> list[State]:
    return [each for each in states if each.type == "Task"]


def _along(states: Mapping[str, State], name: str) -> Iterator[State]:
    """The states that follow if nothing fails and no choice is taken."""
    while name:
        yield states[name]
        name = next(iter(states[name].next), "")


def _collect(states: Mapping[str, State], name: str, seen: set[str], found: list[State]) -> None:
    """Insert a state and its successors into the list, each before those that follow it."""
    if name in seen:
        return
    seen.add(name)
    for each in states[name].next:
        _collect(states, each, seen, found)
    found.insert(0, states[name])


def path(records: Records, now: datetime) -> Path:
    """The path of an order."""
    turned = records.at(*_TURNED) is not None
    forward = _settled([_FORWARD[each.name](records) for each in lanes().forward], records, waits=not turned)
    undo = [_UNDO[each.name](records) for each in lanes().undo] if turned else []
    undo = _settled(undo, records, waits=turned)
    return Path(
        [_step(*each, now) for each in zip(lanes().forward, forward, strict=True)],
        [_step(*each, now) for each in zip(lanes().undo, undo, strict=False)],
        turned,
    )


def _settled(traces: Sequence[Trace], records: Records, *, waits: bool) -> list[Trace]:
    """The traces, in which the first task without one is waiting if the order is in progress in this lane."""
    last = max((index for index, each in enumerate(traces) if each.status in {"done", "failed"}), default=-1)
    done = [
        replace(each, status="done") if index < last and each.status == "open" else each
        for index, each in enumerate(traces)
    ]
    first = next((index for index, each in enumerate(done) if each.status in {"open", "waiting"}), None)
    if (
        waits
        and first is not None
        and not records.is_over
        and not any(each.status == "failed" for each in done)
    ):
        done[first] = replace(done[first], status="waiting", stamp=_latest(records))
    return done


def _latest(records: Records) -> str:
    """The time of the last change that the documents contain."""
    times = [each["at"] for each in (*records.order["timeline"], *records.attempts)]
    known = filter(None, (*times, records.order.get("confirmed_at"), records.order["created_at"]))
    return max(map(str, known))


def _step(state: State, trace: Trace, now: datetime) -> Step:
    return Step(state.name, state.purpose, trace.status, moment(trace.stamp, now), trace.note, trace.attempts)


def _reserve(records: Records) -> Trace:
    if reserved := records.at("RESERVED"):
        return Trace("done", reserved)
    rejected = next((each for each in records.order["timeline"] if each["state"] == "REJECTED"), None)
    if rejected and str(rejected["cause"]).startswith(_NO_STOCK):
        return Trace("failed", rejected["at"], rejected["cause"])
    return Trace("open")


def _charge(records: Records) -> Trace:
    count = len(records.attempts)
    last: Document = records.attempts[-1] if count else {}
    if paid := records.at("PAID"):
        return Trace("done", paid, attempts=count)
    if last.get("outcome") == "CHARGED":
        return Trace("done", last["at"], attempts=count)
    if last and records.paid("DECLINED", "UNKNOWN", "REFUNDING", "REFUNDED"):
        return Trace("failed", last["at"], last["cause"], count)
    return Trace("open", attempts=count, note=str(last.get("cause", "")))


def _ship(records: Records) -> Trace:
    if records.shipped("REFUSED"):
        return Trace("failed", note=str((records.shipment or {}).get("cause") or ""))
    tracking = (records.shipment or {}).get("tracking_number") or records.order.get("tracking_number")
    if tracking:
        return Trace("done", (records.shipment or {}).get("booked_at"), f"tracking number {tracking}")
    return Trace("open")


def _once(reached: Callable[[Records], str | bool | None]) -> Callable[[Records], Trace]:
    """A task that is done as soon as its trace is there, which may be the time of its end."""

    def trace(records: Records) -> Trace:
        found = reached(records)
        return Trace("done", found if isinstance(found, str) else None) if found else Trace("open")

    return trace


def _cancel_shipment(records: Records) -> Trace:
    if records.shipped("CANCELLED"):
        return Trace("done")
    if records.shipped("CANCELLING"):
        return Trace("waiting")
    # A shipment that was refused or never requested needs no cancellation.
    return Trace("open") if records.shipped("PENDING", "BOOKED") and not records.is_over else Trace("skipped")


def _refund(records: Records) -> Trace:
    refunded = (records.payment or {}).get("refunded") or {}
    if records.paid("REFUNDED"):
        is_some = refunded.get("amount", 0) > 0
        note = amount(refunded["amount"], refunded["currency"]) if is_some else "nothing was charged"
        return Trace("done", note=note)
    if records.paid("DECLINED"):
        return Trace("skipped")
    return Trace("skipped" if records.is_over and "payment" not in records.missing else "open")


def _end(records: Records) -> str | None:
    return records.at("REJECTED", "CANCELLED")


_FORWARD: Final[Mapping[str, Callable[[Records], Trace]]] = {
    "ReserveStock": _reserve,
    "CheckOrder": _once(
        lambda records: records.paid("PENDING", "CHARGED", "DECLINED", "UNKNOWN") or bool(records.attempts)
    ),
    "ChargePayment": _charge,
    "ConfirmOrder": _once(
        # A previous version of the order service does not return confirmed_at.
        lambda records: records.order.get("confirmed_at") or records.shipped("PENDING", "BOOKED", "REFUSED")
    ),
    "CreateShipment": _ship,
    "CommitStock": _once(lambda records: records.at("SHIPPED") is not None),
    "CompleteOrder": _once(lambda records: records.at("SHIPPED")),
}
_UNDO: Final[Mapping[str, Callable[[Records], Trace]]] = {
    "StartCancelling": lambda records: (
        Trace("done", at) if (at := records.at("CANCELLING")) else Trace("skipped")
    ),
    "CancelShipment": _cancel_shipment,
    "RefundPayment": _refund,
    "ReleaseStock": lambda records: (
        Trace("skipped") if _reserve(records).status == "failed" else _once(_end)(records)
    ),
    "CancelOrder": _once(_end),
}
