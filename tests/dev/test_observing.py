"""The trace that the demo reads from Jaeger, and the rules that it gives to Prometheus."""

import json
from typing import Any

import pytest

from shopdev.console import CommandError
from shopdev.demo import target, traces
from shopdev.demo.addons import prometheus
from shopdev.demo.observing import Backends

AWS = {"rpc.system": "aws-api"}


def recorded(
    span_id: str, name: str, start: int, parent: str | None = None, service: str = "order", **tags: Any
) -> dict[str, Any]:
    """A span as the API of Jaeger returns it."""
    references = [{"refType": "FOLLOWS_FROM", "traceID": "other", "spanID": "x"}]
    if parent:
        references.append({"refType": "CHILD_OF", "traceID": "t", "spanID": parent})
    return {
        "spanID": span_id,
        "processID": service,
        "operationName": name,
        "startTime": start,
        "duration": 1500,
        "references": references,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


def trace(*spans: dict[str, Any]) -> dict[str, Any]:
    services = {each["processID"]: {"serviceName": each["processID"]} for each in spans}
    return {"traceID": "t", "spans": list(spans), "processes": services}


def test_given_a_trace_then_its_tree_is_in_the_order_of_time_without_calls_of_aws_that_nothing_continues() -> (
    None
):
    found = traces.spans_of(
        trace(
            recorded("c", "charge", 3_000_000, parent="a", service="payment", error=True),
            recorded("b", "relay", 2_000_000, parent="a"),
            recorded("d", "start", 2_500_000, parent="b", **AWS),
            recorded("e", "process", 2_700_000, parent="d"),
            recorded("f", "delete", 2_600_000, parent="b", **AWS),
            recorded("a", "POST /orders", 1_000_000),
        )
    )

    assert [" ".join(line.split()) for line in traces.tree(found)] == [
        "order: POST /orders 0.000 s 1.5 ms",
        "├─ order: relay 1.000 s 1.5 ms",
        "│ └─ order: start 1.500 s 1.5 ms",
        "│ └─ order: process 1.700 s 1.5 ms",
        "└─ payment: charge 2.000 s 1.5 ms failed",
    ]


def test_given_a_span_whose_parent_is_missing_then_the_tree_still_contains_it() -> None:
    found = traces.spans_of(trace(recorded("b", "relay", 1, parent="lost")))

    assert [line.split()[:2] for line in traces.tree(found)] == [["order:", "relay"]]


def test_given_prometheusrules_then_each_becomes_a_file_without_rules_about_kube_state_metrics() -> None:
    up = {"alert": "A", "expr": "up == 0"}
    groups = [{"name": "g", "rules": [up, {"alert": "B", "expr": "kube_pod_info == 0"}]}]
    rule = {"metadata": {"namespace": "shop", "name": "order"}, "spec": {"groups": groups}}
    empty = {"metadata": {"namespace": "shop", "name": "empty"}, "spec": {}}

    files = prometheus.rule_files([rule, empty])

    assert {name: json.loads(text) for name, text in files.items()} == {
        "shop-order.yaml": {"groups": [{"name": "g", "rules": [up]}]},
        "shop-empty.yaml": {"groups": []},
    }


def test_given_another_cluster_when_the_demo_is_observed_then_it_is_refused_before_anything_is_installed() -> (
    None
):
    with pytest.raises(CommandError, match=r"global\.tracing\.endpoint"):
        Backends().check(target.choose({"CLUSTER": "current"}))
