"""The user selects the rollout strategy, and can change it while pods run."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for

RECREATE: dict[str, Any] = {"type": "Recreate"}
ROLLING: dict[str, Any] = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
}
TWO_AT_ONCE: dict[str, Any] = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0},
}


def strategy(cluster: Cluster, namespace: str, name: str = "web") -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("Deployment", namespace, name)["spec"]["strategy"]
    return found


def _given(rollout: dict[str, Any] | None) -> dict[str, Any]:
    return {} if rollout is None else {"rollout": rollout}


def put(cluster: Cluster, namespace: str, rollout: dict[str, Any] | None) -> None:
    """Replace spec.rollout as a whole."""
    wanted = shopservice(namespace, workers=[WORKER], **_given(rollout))
    cluster.apply(wanted)


@pytest.mark.parametrize("before", [None, {"maxSurge": 2}])
def test_given_a_rolling_update_when_the_strategy_becomes_recreate_and_back_then_the_deployments_follow(
    cluster: Cluster, operator: Operator, namespace: str, before: dict[str, Any] | None
) -> None:
    put(cluster, namespace, before)
    rolling = ROLLING if before is None else TWO_AT_ONCE
    wait_for(lambda: strategy(cluster, namespace) == rolling)

    put(cluster, namespace, {"type": "Recreate"})

    wait_for(lambda: strategy(cluster, namespace) == RECREATE)
    wait_for(lambda: strategy(cluster, namespace, "web-relay") == RECREATE)
    put(cluster, namespace, before)
    wait_for(lambda: strategy(cluster, namespace) == rolling)
    wait_for(lambda: strategy(cluster, namespace, "web-relay") == rolling)


def test_given_a_rolling_update_when_the_deployment_is_edited_to_recreate_then_the_operator_reverts_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    put(cluster, namespace, None)
    wait_for(lambda: strategy(cluster, namespace) == ROLLING)

    edit = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    cluster.patch("Deployment", namespace, "web", edit)

    wait_for(lambda: strategy(cluster, namespace) == ROLLING)


def test_given_min_ready_seconds_when_they_leave_the_spec_then_the_deployment_drops_them(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    put(cluster, namespace, {"minReadySeconds": 7})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["spec"]["minReadySeconds"] == 7)

    put(cluster, namespace, None)

    wait_for(lambda: "minReadySeconds" not in cluster.get("Deployment", namespace, "web")["spec"])
    wait_for(lambda: condition(cluster.get("ShopService", namespace, "web"), "Stalled")["status"] == "False")


def test_given_a_lifecycle_hook_when_its_kind_changes_then_the_container_has_only_the_new_hook(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    def hooks() -> dict[str, Any]:
        pod = cluster.get("Deployment", namespace, "web")["spec"]["template"]["spec"]
        found: dict[str, Any] = pod["containers"][0].get("lifecycle", {})
        return found

    cluster.apply(shopservice(namespace))
    wait_for(lambda: hooks() == {"preStop": {"sleep": {"seconds": 5}}})

    cluster.apply(shopservice(namespace, lifecycle={"preStop": {"exec": {"command": ["drain"]}}}))

    wait_for(lambda: hooks() == {"preStop": {"exec": {"command": ["drain"]}}})
    cluster.apply(shopservice(namespace, lifecycle={"preStop": {"httpGet": {"path": "/drain"}}}))
    request = {"path": "/drain", "port": "http", "scheme": "HTTP"}
    wait_for(lambda: hooks() == {"preStop": {"httpGet": request}})
    cluster.apply(shopservice(namespace, lifecycle={"preStop": {"sleep": {"seconds": 0}}}))
    wait_for(lambda: hooks() == {})
    cluster.apply(shopservice(namespace))
    wait_for(lambda: hooks() == {"preStop": {"sleep": {"seconds": 5}}})
