"""The spans in Jaeger, as the expectations of tests/traces.py read them."""

from collections.abc import Mapping
from typing import Any

import httpx

from shopdev.demo.traces import query
from tests.traces import SpanRecord


def trace_ids(url: str, order_id: str) -> set[str]:
    """The IDs of the traces in which the order was placed. Each read of it is a trace with its ID as well."""
    answer = httpx.get(f"{url}/api/traces", params=query(order_id), timeout=10.0).raise_for_status()
    return {each["traceID"] for each in answer.json()["data"] or ()}


def trace(url: str, trace_id: str) -> list[SpanRecord]:
    """The spans of a trace."""
    answer = httpx.get(f"{url}/api/traces/{trace_id}", timeout=10.0).raise_for_status()
    (found,) = answer.json()["data"]
    return [_record(each, found["processes"]) for each in found["spans"]]


def _record(span: Mapping[str, Any], processes: Mapping[str, Any]) -> SpanRecord:
    tags = {each["key"]: each["value"] for each in span["tags"]}
    references = span["references"]
    return SpanRecord(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=next((each["spanID"] for each in references if each["refType"] == "CHILD_OF"), ""),
        service=processes[span["processID"]]["serviceName"],
        name=span["operationName"],
        kind=tags.get("span.kind", "internal"),
        failed=tags.get("error") is True,
        attributes=tags,
        links=tuple(
            (each["traceID"], each["spanID"]) for each in references if each["refType"] != "CHILD_OF"
        ),
    )
