"""A restart, a relist or a second replica of the operator changes nothing; a crash only delays changes."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.kubelet import roll_out
from tests.integration.operators import Operator, Quiet, running
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.integration.test_retention import connections, template
from tests.waiting import wait_for

NUMBER = 20
# After this long without a pass the controllers of Kubernetes have had their last word, too.
QUIET_SECONDS = 3


@pytest.fixture
def populated(cluster: Cluster, gateway_api: None, namespace: str) -> set[str]:
    """The names of many ShopServices of every shape."""
    shapes: list[dict[str, Any]] = [
        {},
        {"workers": [WORKER]},
        {"autoscaling": AUTOSCALING},
        ROUTE,
        {"replicas": 3},
    ]
    names = [f"svc-{i}" for i in range(NUMBER)]
    for i, name in enumerate(names):
        cluster.create(shopservice(namespace, name, **shapes[i % len(shapes)]))
    return set(names)


def settled(cluster: Cluster, namespace: str, operator: Operator, names: set[str]) -> bool:
    """Whether every child exists and is observed, every status is written, and the queue is empty."""
    assert names <= cluster.names("Deployment", namespace)
    for name in names:
        found = cluster.get("ShopService", namespace, name)
        assert found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
    for name in cluster.names("HorizontalPodAutoscaler", namespace):
        # Its controller comes by every two seconds, and what it says goes into the ShopService's status.
        assert condition(cluster.get("HorizontalPodAutoscaler", namespace, name), "ScalingActive")
    return operator.metric("workqueue_depth") == 0


def test_given_unchanged_resources_when_the_operator_restarts_then_it_writes_nothing(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, populated: set[str], tmp_path: Path
) -> None:
    flags = ("--no-leader-elect",)
    with running(operator_kubeconfig, tmp_path / "first.log", *flags) as first:
        wait_for(lambda: settled(cluster, namespace, first, populated), deadline=60)
        wait_for(Quiet(first.passes, QUIET_SECONDS), deadline=60)

    with running(operator_kubeconfig, tmp_path / "second.log", *flags) as second:
        wait_for(lambda: second.metric("controller_runtime_reconcile_total") >= NUMBER)
        wait_for(lambda: second.metric("workqueue_depth") == 0)

        wait_for(Quiet(second.passes, QUIET_SECONDS), deadline=30)
        assert second.metric("shop_operator_child_writes_total") == 0
        assert second.writes() == 0


def test_given_two_operators_when_the_leader_is_killed_then_the_other_takes_over_and_repairs(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path, gateway_api: None
) -> None:
    with (
        running(operator_kubeconfig, tmp_path / "a.log") as a,
        running(operator_kubeconfig, tmp_path / "b.log") as b,
    ):
        wait_for(lambda: a.leading() or b.leading(), deadline=30)
        leader, standby = (a, b) if a.leading() else (b, a)
        cluster.create(shopservice(namespace))
        wait_for(lambda: "Deployment/web" in cluster.children(namespace))
        assert not standby.leading()
        assert standby.ready()
        assert standby.writes() == 0

        leader.signal(signal.SIGKILL)
        cluster.delete("Deployment", namespace, "web")

        wait_for(lambda: "Deployment/web" in cluster.children(namespace), deadline=40)
        assert standby.leading()


def test_given_two_operators_when_the_leader_is_stopped_then_the_other_leads_before_the_lease_expires(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path, gateway_api: None
) -> None:
    with (
        running(operator_kubeconfig, tmp_path / "a.log") as a,
        running(operator_kubeconfig, tmp_path / "b.log") as b,
    ):
        wait_for(lambda: a.leading() or b.leading(), deadline=30)
        leader, standby = (a, b) if a.leading() else (b, a)

        assert leader.stop() == 0

        # Well below the 15 s after which a lease expires.
        wait_for(standby.leading, deadline=6)
        assert cluster.get("Lease", "shop-operator", "shop-operator")["spec"]["holderIdentity"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_given_a_leader_when_it_receives_sigterm_or_sigint_then_it_exits_at_once_and_releases_the_lease(
    cluster: Cluster, operator_kubeconfig: Path, gateway_api: None, tmp_path: Path, number: signal.Signals
) -> None:
    with running(operator_kubeconfig, tmp_path / "operator.log", "--leader-elect") as one:
        wait_for(one.leading, deadline=30)

        one.signal(number)

        wait_for(one.ended, deadline=3)
        assert one.wait() == 0
        assert cluster.get("Lease", "shop-operator", "shop-operator")["spec"]["holderIdentity"] == ""
        assert one.lines()[-1]["msg"] == "stopped"


def test_given_old_pods_that_use_a_dropped_dependency_when_a_policy_is_first_enabled_then_it_admits_them(
    cluster: Cluster, operator_kubeconfig: Path, gateway_api: None, namespace: str, tmp_path: Path
) -> None:
    with running(operator_kubeconfig, tmp_path / "first.log", "--no-leader-elect"):
        cluster.create(shopservice(namespace, "db", port=5432))
        cluster.create(shopservice(namespace))
        wait_for(lambda: cluster.get("Deployment", namespace, "web"))
        roll_out(cluster, namespace, "web")
        cluster.patch("ShopService", namespace, "web", {"spec": {"dependsOn": ["db"]}})
        wait_for(lambda: "DB_URL" in str(template(cluster, namespace)))
        roll_out(cluster, namespace, "web")
        cluster.patch("ShopService", namespace, "web", {"spec": {"dependsOn": None}})
        wait_for(lambda: "DB_URL" not in str(template(cluster, namespace)))

    with running(operator_kubeconfig, tmp_path / "second.log", "--no-leader-elect"):
        cluster.patch("ShopService", namespace, "web", {"spec": {"networkPolicy": {"enabled": True}}})
        wait_for(lambda: "5432" in connections(cluster, namespace, "egress"))

        roll_out(cluster, namespace, "web")
        wait_for(lambda: "5432" not in connections(cluster, namespace, "egress"), 30)
