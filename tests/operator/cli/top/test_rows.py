"""The rows of `kubectl shop top`, computed from objects of a cluster."""

from typing import Any

import pytest

from shop_operator.cli.top.rows import Known, Queue, Resources, Row, requests, rows
from shop_operator.cli.top.traffic import MESSAGES, REQUESTS, Traffic
from tests.operator.cli.objects import owned, shopservice

COMPONENT = "app.kubernetes.io/component"
WORKER = {"name": "consumer", "command": ["consume"]}


def of(component: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    found = owned(kind, name, **more)
    found["metadata"]["labels"][COMPONENT] = component
    return found


def pod(component: str, name: str, phase: str = "Running") -> dict[str, Any]:
    container = {"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    return of(component, "Pod", name, spec={"containers": [container]}, status={"phase": phase})


def deployment(component: str, name: str, replicas: int, ready: int) -> dict[str, Any]:
    return of(component, "Deployment", name, spec={"replicas": replicas}, status={"readyReplicas": ready})


def autoscaler(target: str, **current: str) -> dict[str, Any]:
    metric = {"type": "External", "external": {"metric": {"name": "s0"}, "current": current}}
    return {
        "metadata": {"name": f"keda-hpa-{target}", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}},
        "status": {"currentReplicas": 3, "currentMetrics": [metric]},
    }


def test_given_two_pods_then_a_row_adds_their_traffic_and_their_resources() -> None:
    known = Known(
        deployments=[deployment("web", "web", 3, 2)],
        pods=[pod("web", "web-1"), pod("web", "web-2"), pod("web", "web-0", "Failed")],
        traffic={("shop", f"web-{each}"): {REQUESTS: Traffic(each, 0)} for each in (0, 1, 2)},
        usage={("shop", f"web-{each}"): Resources(0.05, 32 * 2**20) for each in (1, 2)},
    )

    (row,) = rows([shopservice()], known)

    assert row.cells() == (
        *("shop", "web", "web", "2/3", "3.0/s", "0.0%", "-", "-", "-"),
        "100m/200m 50%",
        "64Mi/128Mi 50%",
    )


def test_given_a_worker_then_its_row_has_messages_and_the_largest_report_of_each_queue() -> None:
    known = Known(
        pods=[pod("worker-consumer", "c-1"), pod("worker-consumer", "c-2")],
        traffic={("shop", "c-1"): {REQUESTS: Traffic(9, 0), MESSAGES: Traffic(2, 1)}},
        queues={
            ("shop", "c-1"): {"tasks": Queue(5, 1.0), "events": Queue(1)},
            ("shop", "c-2"): {"tasks": Queue(7, 0.5)},
        },
    )

    _, row = rows([shopservice(workers=[WORKER])], known)

    assert (row.workload, row.traffic, row.queue) == ("consumer", Traffic(2, 1), Queue(8, 1.0))


@pytest.mark.parametrize(
    ("current", "messages"), [({"value": "12"}, 12), ({"averageValue": "2500m"}, 7.5), ({}, None)]
)
def test_given_no_metric_of_the_queue_then_the_autoscaler_knows_the_backlog(
    current: dict[str, str], messages: float | None
) -> None:
    known = Known(
        deployments=[deployment("worker-consumer", "web-consumer", 3, 3)],
        autoscalers=[autoscaler("other", value="99"), autoscaler("web-consumer", **current)],
    )

    _, row = rows([shopservice(workers=[WORKER])], known)

    assert row.queue.messages == messages


def test_given_another_shopservice_then_its_pods_do_not_count() -> None:
    other = pod("web", "web-1")
    other["metadata"]["namespace"] = "post"

    (row,) = rows([shopservice()], Known(pods=[other]))

    assert row.requested == Resources()


def test_given_a_sidecar_then_its_requests_count_and_those_of_other_init_containers_do_not() -> None:
    asks = {"resources": {"requests": {"cpu": "1"}}}
    spec = {"containers": [asks], "initContainers": [asks | {"restartPolicy": "Always"}, asks]}

    assert requests({"spec": spec}) == Resources(cpu=2)


def test_given_unknown_values_then_their_cells_are_a_dash_and_null_in_the_document() -> None:
    row = Row("shop", "web", "web", 0, 1, requested=Resources(0.1))

    assert row.cells()[4:] == ("-", "-", "-", "-", "-", "-/100m", "-")
    assert {
        row.to_dict()[each] for each in ("ratePerSecond", "queueMessages", "cpuCores", "memoryBytes")
    } == {None}


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0384, "38ms"), (2.25, "2.2s"), (42, "42s"), (150, "2m"), (9000, "2.5h")]
)
def test_given_an_age_then_it_has_a_readable_unit(seconds: float, shown: str) -> None:
    assert Row("shop", "web", "web", 1, 1, queue=Queue(1, seconds)).cells()[8] == shown
