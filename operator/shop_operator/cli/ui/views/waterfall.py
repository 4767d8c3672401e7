"""A trace as bars in time. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Document = Mapping[str, Any]

MOST_SPANS: Final = 300
WIDTH: Final = 1000
"""Width of the drawing, in units of its view box."""
_THINNEST: Final = 4


@dataclass(frozen=True)
class Span:
    """A span of a trace.

    Args:
        service: name of the service.
        operation: name of the operation.
        depth: number of spans above it.
        start: milliseconds since the start of the trace.
        length: duration in milliseconds.
        left: position of its bar, from 0 to WIDTH.
        width: width of its bar.
        failed: whether it ended with an error.
    """

    service: str
    operation: str
    depth: int
    start: float
    length: float
    left: int
    width: int
    failed: bool


@dataclass(frozen=True)
class Waterfall:
    """A trace.

    Args:
        trace_id: ID of the trace.
        length: duration in milliseconds.
        spans: the spans, each followed by those below it.
        hidden: number of spans that are not shown.
    """

    trace_id: str
    length: float
    spans: Sequence[Span]
    hidden: int


def waterfall(trace: Document) -> Waterfall | None:
    """A trace as Jaeger's API returns it; None if it has no spans."""
    spans = {each["spanID"]: each for each in trace.get("spans") or ()}
    if not spans:
        return None
    began = min(each["startTime"] for each in spans.values())
    length = max(each["startTime"] + each["duration"] for each in spans.values()) - began
    below: dict[str | None, list[Document]] = {}
    for each in sorted(spans.values(), key=lambda each: (each["startTime"], each["spanID"])):
        above = _above(each)
        below.setdefault(above if above in spans else None, []).append(each)
    found = list(_ordered(below, trace.get("processes") or {}, began, max(length, 1)))
    return Waterfall(
        str(trace["traceID"]), length / 1000, found[:MOST_SPANS], max(len(found) - MOST_SPANS, 0)
    )


def _above(span: Document) -> str | None:
    parents = (each["spanID"] for each in span.get("references") or () if each.get("refType") == "CHILD_OF")
    return next(parents, None)


def _ordered(
    below: Mapping[str | None, Sequence[Document]], processes: Document, began: int, length: int
) -> Iterator[Span]:
    waiting = [(each, 0) for each in reversed(below.get(None, ()))]
    while waiting:
        span, depth = waiting.pop()
        yield _span(span, depth, processes, began, length)
        waiting += [(each, depth + 1) for each in reversed(below.get(span["spanID"], ()))]


def _span(span: Document, depth: int, processes: Document, began: int, length: int) -> Span:
    start = span["startTime"] - began
    left = min(start * WIDTH // length, WIDTH - _THINNEST)
    tags = {each["key"]: each.get("value") for each in span.get("tags") or ()}
    return Span(
        str((processes.get(span.get("processID", "")) or {}).get("serviceName", "")),
        str(span.get("operationName", "")),
        depth,
        start / 1000,
        span["duration"] / 1000,
        left,
        min(max(span["duration"] * WIDTH // length, _THINNEST), WIDTH - left),
        tags.get("error") is True or tags.get("otel.status_code") == "ERROR",
    )
