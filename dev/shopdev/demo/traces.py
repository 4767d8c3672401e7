"""The trace of an order, read from the query API of Jaeger, and its text for a terminal."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from shopdev.console import CommandError

ORDER_ATTRIBUTE = "shop.order.id"
ENTRY = "order"
"""The service that receives orders, by whose spans Jaeger finds their traces."""
PLACED = "POST /orders"
"""The operation of the span with which the trace of an order begins."""
SECONDS_OF_SILENCE = 2.0
"""A process sends its spans after at most one second; a trace that is older than that is complete."""
NAME_WIDTH = 56


@dataclass(frozen=True)
class Span:
    """One span of a trace.

    Args:
        span_id: its ID.
        parent: ID of its parent; None for the root of a trace.
        service: service that recorded it.
        name: its name.
        start: microseconds since the epoch.
        duration: microseconds.
        failed: whether its status is an error.
        calls_aws: whether it is a call of an AWS API.
    """

    span_id: str
    parent: str | None
    service: str
    name: str
    start: int
    duration: int
    failed: bool
    calls_aws: bool = False


def spans_of(trace: Mapping[str, Any]) -> list[Span]:
    """The spans of a trace in the JSON format of Jaeger, `{"spans": […], "processes": {…}}`."""
    return [_span(each, trace["processes"]) for each in trace["spans"]]


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    tags = {each["key"]: each["value"] for each in span["tags"]}
    return Span(
        span["spanID"],
        next((ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"), None),
        processes[span["processID"]]["serviceName"],
        span["operationName"],
        span["startTime"],
        span["duration"],
        failed=tags.get("error") is True,
        calls_aws=tags.get("rpc.system") == "aws-api",
    )


def tree(spans: Sequence[Span]) -> Iterator[str]:
    """The lines of a tree in the order of time.

    A span whose parent is missing is a root. Calls of AWS are left out, unless another process continues from them.
    """
    parents = {each.parent for each in spans}
    shown = [each for each in spans if not each.calls_aws or each.span_id in parents]
    known = {each.span_id for each in shown}
    children: dict[str | None, list[Span]] = defaultdict(list)
    for each in sorted(shown, key=lambda span: span.start):
        children[each.parent if each.parent in known else None].append(each)
    began = min((each.start for each in spans), default=0)

    def lines(parent: str | None, indent: str) -> Iterator[str]:
        siblings = children[parent]
        for each in siblings:
            last = each is siblings[-1]
            branch = "" if parent is None else indent + ("└─ " if last else "├─ ")
            name = f"{branch}{each.service}: {each.name}"
            at = (each.start - began) / 1_000_000
            failed = "  failed" if each.failed else ""
            yield f"{name:<{NAME_WIDTH}} {at:7.3f} s  {each.duration / 1000:8.1f} ms{failed}"
            yield from lines(each.span_id, "" if parent is None else indent + ("   " if last else "│  "))

    yield from lines(None, "")


def of_order(url: str, order_id: str, deadline: float = 20.0) -> tuple[str, list[Span]]:
    """Wait until the trace of an order is complete, and return its ID and its spans.

    Args:
        url: query API of Jaeger.
        order_id: ID of an order in a final state.
        deadline: most seconds to wait.

    Raises:
        CommandError: when Jaeger has no trace of the order in time.
    """
    end = time.monotonic() + deadline
    count, since = 0, time.monotonic()
    while time.monotonic() < end:
        found = _find(url, order_id)
        if found is None or len(found["spans"]) != count:
            count, since = len(found["spans"]) if found else 0, time.monotonic()
        elif time.monotonic() - since >= SECONDS_OF_SILENCE:
            return str(found["traceID"]), spans_of(found)
        time.sleep(0.25)
    raise CommandError(
        f"Jaeger has no complete trace of order {order_id}; check that `tracing.endpoint` is set, and "
        "`kubectl -n observability logs deployment/jaeger`"
    )


def query(order_id: str) -> dict[str, str]:
    """The query for the trace in which an order was accepted. Each read of the order is a trace with its ID as well."""
    return {
        "service": ENTRY,
        "operation": PLACED,
        "tags": json.dumps({ORDER_ATTRIBUTE: order_id}),
        "lookback": "1h",
    }


def _find(url: str, order_id: str) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"{url}/api/traces", params=query(order_id), timeout=5.0).raise_for_status()
    except httpx.HTTPError:
        return None
    return next(iter(answer.json()["data"] or ()), None)
