"""Canary releases on a real API server. The tests write what Argo Rollouts would write.

Every test starts its own operators, and no other operator runs meanwhile.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration import argo
from tests.integration.cluster import Cluster, condition
from tests.integration.kubelet import roll_out
from tests.integration.operators import running
from tests.integration.shopservices import AUTOSCALING, ROUTE, shopservice
from tests.integration.test_retention import accept
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("optional_kinds")

CANARY: dict[str, Any] = {
    "autoRollback": True,
    "canary": {
        "steps": [{"weight": 10, "pause": "1m"}, {"weight": 50, "pause": "1m"}],
        "analysis": {"maxErrorRate": "1%"},
    },
}
PROMETHEUS = ("--prometheus-address", "http://prometheus.monitoring.svc:9090")
Start = Callable[[], Any]


@pytest.fixture
def start(operator_kubeconfig: Path, tmp_path: Path) -> Start:
    return lambda: running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect", *PROMETHEUS)


def own_pods(cluster: Cluster, namespace: str) -> int:
    """The count of pods of the Deployment itself."""
    found: int = cluster.get("Deployment", namespace, "web")["spec"]["replicas"]
    return found


def ready(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The Ready condition, while a Gateway accepts every version of the HTTPRoute."""
    if cluster.find("HTTPRoute", namespace, "web"):
        accept(cluster, namespace, "web")
    return condition(cluster.get("ShopService", namespace, "web"), "Ready")


def is_ready(cluster: Cluster, namespace: str, version: str) -> bool:
    """Whether Ready is True, while Argo Rollouts reports every generation of the Rollout as healthy."""
    argo.healthy(cluster, namespace, version)
    return bool(ready(cluster, namespace)["status"] == "True")


def is_healthy(cluster: Cluster, namespace: str, version: str, text: str) -> bool:
    """Whether the message of Ready contains a text, while Argo Rollouts reports every generation of the Rollout as healthy."""
    argo.healthy(cluster, namespace, version)
    return text in ready(cluster, namespace)["message"]


def backends(cluster: Cluster, namespace: str) -> dict[str, int]:
    """The weight of each backend of the HTTPRoute."""
    (rule,) = cluster.get("HTTPRoute", namespace, "web")["spec"]["rules"]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def taken_over(cluster: Cluster, namespace: str, **spec: Any) -> None:
    """A ShopService whose first release the Rollout has completed."""
    cluster.create(shopservice(namespace, rollout=CANARY, monitoring={}, **{**ROUTE, **spec}))
    wait_for(lambda: cluster.find("Rollout", namespace, "web"))
    argo.healthy(cluster, namespace, "one")
    argo.select(cluster, namespace, stable="one", canary="one")
    wait_for(lambda: backends(cluster, namespace) == {"web-stable": 100, "web-canary": 0})


def test_given_a_running_service_when_it_gets_a_canary_then_its_pods_stay_until_those_of_the_rollout_are_available(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    with start():
        cluster.create(shopservice(namespace, replicas=3, monitoring={}, **ROUTE))
        wait_for(lambda: cluster.find("Deployment", namespace, "web"))
        roll_out(cluster, namespace, "web")
        since = cluster.get("Deployment", namespace, "web")["metadata"]["resourceVersion"]

        cluster.patch("ShopService", namespace, "web", {"spec": {"rollout": CANARY}})
        wait_for(lambda: cluster.find("Rollout", namespace, "web"))
        assert cluster.get("Rollout", namespace, "web")["spec"]["replicas"] == 3
        argo.report(
            cluster, namespace, phase="Progressing", replicas=3, updatedReplicas=3, availableReplicas=2
        )
        wait_for(lambda: "2 of 3 pods available" in ready(cluster, namespace)["message"])
        assert own_pods(cluster, namespace) == 3
        assert backends(cluster, namespace) == {"web": 1}

        argo.healthy(cluster, namespace, "one")
        wait_for(lambda: own_pods(cluster, namespace) == 0)
        argo.select(cluster, namespace, stable="one", canary="one")
        wait_for(lambda: backends(cluster, namespace) == {"web-stable": 100, "web-canary": 0})
        wait_for(lambda: is_ready(cluster, namespace, "one"))

    states = cluster.history("Deployment", namespace, "web", since)
    assert {each["spec"]["replicas"] for each in states} == {0}
    routing = cluster.get("Rollout", namespace, "web")["spec"]["strategy"]["canary"]["trafficRouting"]
    routes = {"namespace": namespace, "httpRoutes": [{"name": "web"}]}
    assert routing == {"plugins": {"argoproj-labs/gatewayAPI": routes}}


def test_given_a_release_when_argo_rollouts_moves_it_on_then_the_operator_keeps_its_weights_and_reports_them(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    with start():
        taken_over(cluster, namespace)
        wait_for(lambda: is_ready(cluster, namespace, "one"))
        cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop-product:2"}})
        wait_for(lambda: ready(cluster, namespace)["reason"] == "RollingOut")
    # The weight rises while no operator runs.
    argo.select(cluster, namespace, canary="two")
    argo.weigh(cluster, namespace, 10)
    weights = {"canary": {"weight": 10}, "stable": {"weight": 90}}
    step = {"currentStepIndex": 1, "canary": {"weights": weights}, "updatedReplicas": 1, "replicas": 2}
    argo.report(cluster, namespace, phase="Paused", message="CanaryPauseStep", **step)
    with start():
        wait_for(lambda: ready(cluster, namespace)["reason"] == "Canary")
        argo.weigh(cluster, namespace, 50)
        route = cluster.get("HTTPRoute", namespace, "web")["metadata"]["resourceVersion"]
        change = {"rollout": {"canary": {"steps": [{"weight": 10, "pause": "1m"}, {"weight": 60}]}}}
        cluster.patch("ShopService", namespace, "web", {"spec": change})
        wait_for(
            lambda: len(cluster.get("Rollout", namespace, "web")["spec"]["strategy"]["canary"]["steps"]) == 3
        )
        argo.report(cluster, namespace, phase="Paused", message="CanaryPauseStep", **step)
        said = "the new version gets 10 % of the requests (step 1 of 2); this step lasts 1m"
        wait_for(lambda: said in ready(cluster, namespace)["message"])
        states = cluster.history("HTTPRoute", namespace, "web", route)

    assert [backend["weight"] for each in states for backend in each["spec"]["rules"][0]["backendRefs"]] in (
        [],
        [50, 50],
        [50, 50, 50, 50],
    )
    services = {
        role: cluster.get("Service", namespace, f"web-{role}")["spec"] for role in ("stable", "canary")
    }
    selected = {role: each["selector"]["rollouts-pod-template-hash"] for role, each in services.items()}
    assert selected == {"stable": "one", "canary": "two"}
    assert cluster.get("ShopService", namespace, "web")["status"].get("drift") is None


def test_given_an_aborted_release_when_rollback_is_automatic_then_the_template_returns_to_the_last_good_image(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    def image() -> str:
        template = cluster.get("Deployment", namespace, "web")["spec"]["template"]
        found: str = template["spec"]["containers"][0]["image"]
        return found

    with start():
        taken_over(cluster, namespace)
        wait_for(lambda: is_ready(cluster, namespace, "one"))
        wait_for(
            lambda: (
                "lastAvailable" in cluster.get("ShopService", namespace, "web")["status"].get("rollout", {})
            )
        )
        cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop-product:2"}})
        wait_for(lambda: image().endswith(":2"))
        cause = 'Rollout aborted update to revision 2: Metric "error-rate" assessed Failed'
        argo.report(cluster, namespace, phase="Degraded", message=f"RolloutAborted: {cause}", abort=True)
        wait_for(lambda: image().endswith(":1"))
        wait_for(lambda: ready(cluster, namespace)["reason"] == "RolledBack")
        rollout = cluster.get("ShopService", namespace, "web")["status"]["rollout"]
        assert rollout["rejectedImage"].endswith(":2")
        assert rollout["lastAvailableImage"].endswith(":1")
        assert 'Metric "error-rate" assessed Failed' in ready(cluster, namespace)["message"]
        wait_for(lambda: is_healthy(cluster, namespace, "one", "which is available"))


def test_given_a_release_without_automatic_rollback_when_a_user_aborts_it_then_the_service_stays_available_and_is_stalled(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    with start():
        taken_over(cluster, namespace, replicas=2)
        cluster.patch("ShopService", namespace, "web", {"spec": {"rollout": {"autoRollback": False}}})
        cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop-product:2"}})
        wait_for(lambda: ready(cluster, namespace)["reason"] == "RollingOut")
        message = "RolloutAborted: Rollout aborted update to revision 2"
        argo.report(cluster, namespace, phase="Degraded", message=message, abort=True, updatedReplicas=0)
        wait_for(lambda: ready(cluster, namespace)["reason"] == "CanaryAborted")

        shop = cluster.get("ShopService", namespace, "web")
        assert condition(shop, "Available")["status"] == "True"
        assert condition(shop, "Stalled")["status"] == "True"
        assert shop["status"]["ready"] == "2/2"


def test_given_an_autoscaled_canary_when_it_is_removed_then_the_deployment_has_its_pods_before_the_rollout_is_deleted(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    with start():
        taken_over(cluster, namespace, autoscaling=AUTOSCALING)
        target = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web"}
        assert cluster.get("HorizontalPodAutoscaler", namespace, "web")["spec"]["scaleTargetRef"] == target
        cluster.scale("Rollout", namespace, "web", 5)
        argo.healthy(cluster, namespace, "one")
        since = cluster.get("Rollout", namespace, "web")["metadata"]["resourceVersion"]

        cluster.patch("ShopService", namespace, "web", {"spec": {"rollout": None}})
        wait_for(lambda: own_pods(cluster, namespace) == 5)
        wait_for(lambda: backends(cluster, namespace) == {"web": 1})
        assert cluster.get("Rollout", namespace, "web")["spec"]["paused"] is True
        roll_out(cluster, namespace, "web")
        wait_for(lambda: cluster.find("Rollout", namespace, "web") is None)

        scaled = cluster.get("HorizontalPodAutoscaler", namespace, "web")["spec"]["scaleTargetRef"]
        assert scaled["kind"] == "Deployment"
        wait_for(lambda: {"Service/web-stable", "Service/web-canary"}.isdisjoint(cluster.children(namespace)))
        assert own_pods(cluster, namespace) == 5
    states = cluster.history("Rollout", namespace, "web", since)
    assert {each["spec"]["replicas"] for each in states} == {5}
