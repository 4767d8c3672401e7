"""The time from POST to SHIPPED of single orders on an idle system, by stage.

The stages are those of the workflow, from the history of its execution. The time that a task waits in its queue, and the time in which a
consumer handles it, are means from the metrics of the consumers; the rest of a stage is that of the workflow.
"""

import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from services.common.values import clock
from shopdev.bench.figures import HEAD, Bound, percentile, table
from shopdev.bench.shop.rig import Measured

SERVICE: Final[Mapping[str, str]] = {
    "ReserveStock": "product",
    "CheckOrder": "order",
    "ChargePayment": "payment",
    "ConfirmOrder": "order",
    "CreateShipment": "shipping",
    "CommitStock": "product",
    "CompleteOrder": "order",
}
"""State of the workflow -> service that handles its task."""
START: Final = "POST /orders until the workflow starts"
FIRST: Final = "the workflow until its first task"
PAUSE_SECONDS: Final = 0.2
_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Spent:
    """The mean milliseconds that the tasks of a state waited in their queue, and were handled."""

    waited: float
    handled: float


def where(shop: Measured, number: int) -> str:
    """Place single orders on an idle system, and show where their time goes."""
    before = _metrics(shop)
    posted: list[float] = []
    stages: list[Mapping[str, float]] = []
    for _ in range(number):
        began = time.perf_counter()
        order = shop.place_one()
        posted.append((time.perf_counter() - began) * 1000)
        (row,) = shop.ended([order])
        stages.append(stages_of(clock.parse(row["created_at"]["S"]), _history(shop, order)))
        time.sleep(PAUSE_SECONDS)
    spent = {state: _spent(state, before, _metrics(shop)) for state in SERVICE}
    totals = [sum(each.values()) for each in stages]
    return "\n".join(
        [
            table(HEAD, [_total(totals)]),
            table(
                ("stage", "median", "share", "in the queue", "in the consumer", "in the workflow"),
                list(rows_of(stages, spent)),
            ),
            table(("POST /orders", "median"), [("response", f"{statistics.median(posted):.0f} ms")]),
        ]
    )


def _total(totals: Sequence[float]) -> tuple[str, ...]:
    middle = statistics.median(totals) / 1000
    return Bound(1.0, 0.5, "s").row(
        f"time from POST until the order is completed as SHIPPED, idle, {len(totals)} orders",
        middle,
        f"p50 {middle:.2f} s, p95 {percentile(totals, 0.95) / 1000:.2f} s, p99 {percentile(totals, 0.99) / 1000:.2f} s",
    )


def stages_of(created_at: datetime, history: Sequence[Event]) -> dict[str, float]:
    """The milliseconds of each stage of an order, in their order. Their sum is the time from its creation until it was completed.

    Args:
        created_at: time at which the order was accepted.
        history: events of the execution of its workflow, which has ended.
    """
    begun = [(START, created_at), (FIRST, history[0]["timestamp"])]
    begun += [
        (event["stateEnteredEventDetails"]["name"], event["timestamp"])
        for event in history
        if event["type"] == "TaskStateEntered"
    ]
    end = next(event["timestamp"] for event in reversed(history) if event["type"] == "TaskStateExited")
    ends = [*(at for _, at in begun[1:]), end]
    return {
        name: (until - since).total_seconds() * 1000 for (name, since), until in zip(begun, ends, strict=True)
    }


def rows_of(stages: Sequence[Mapping[str, float]], spent: Mapping[str, Spent]) -> Iterator[tuple[str, ...]]:
    """Rows of a table with the medians of the stages."""
    medians = {name: statistics.median(each.get(name, 0.0) for each in stages) for name in stages[0]}
    total = sum(medians.values())
    for name, median in medians.items():
        parts = ("", "", f"{median:.0f} ms")
        if name in spent:
            found = spent[name]
            rest = max(0.0, median - found.waited - found.handled)
            parts = (f"{found.waited:.0f} ms", f"{found.handled:.0f} ms", f"{rest:.0f} ms")
        yield (name, f"{median:.0f} ms", f"{median / total:.0%}", *parts)
    yield ("sum", f"{total:.0f} ms", "100%", "", "", "")


def samples(exposition: str, name: str, label: str) -> float:
    """The sum of the samples with a name whose labels contain a text."""
    return sum(
        float(found["value"])
        for found in _SAMPLE.finditer(exposition)
        if found["name"] == name and label in (found["labels"] or "")
    )


def _spent(state: str, before: Mapping[str, str], after: Mapping[str, str]) -> Spent:
    service = SERVICE[state]

    def mean(metric: str, label: str) -> float:
        total, number = (
            samples(after[service], f"{metric}_{part}", label)
            - samples(before[service], f"{metric}_{part}", label)
            for part in ("sum", "count")
        )
        return total / number * 1000 if number else 0.0

    return Spent(mean("queue_wait_seconds", "-tasks"), mean("message_duration_seconds", f'task="{state}"'))


def _metrics(shop: Measured) -> dict[str, str]:
    """Service -> metrics of its consumer."""
    return {
        service: httpx.get(f"{shop.url(f'{service}-consumer')}/metrics", timeout=5).raise_for_status().text
        for service in set(SERVICE.values())
    }


def _history(shop: Measured, order: str) -> list[Event]:
    """The events of the execution of an order's workflow, once it has ended."""
    machine = shop.shop.outputs["saga"]["StateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{order}"
    stepfunctions = shop.shop.clients.stepfunctions
    while stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(PAUSE_SECONDS)
    pages = stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]
