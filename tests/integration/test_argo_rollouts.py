"""The operator and the real controller of Argo Rollouts with its plugin, on a real API server. No pod runs: a test makes them ready."""

from pathlib import Path

import pytest

from tests.integration import argo
from tests.integration.cluster import Cluster
from tests.integration.kubelet import ready_pods
from tests.integration.operators import running
from tests.integration.shopservices import ROUTE, shopservice
from tests.integration.test_canary import backends, own_pods, ready
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("optional_kinds")

SECONDS = 60.0


def test_given_argo_rollouts_then_it_takes_the_pods_over_promotes_restarts_aborts_and_hands_them_back(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    def change(**spec: object) -> None:
        cluster.patch("ShopService", namespace, "web", {"spec": spec})

    def said(text: str) -> None:
        wait_for(lambda: text in ready(cluster, namespace)["message"], SECONDS, what=text)

    def all_ready() -> None:
        wait_for(lambda: ready(cluster, namespace)["status"] == "True", SECONDS)

    steps = [{"weight": 10, "pause": "3s"}, {"weight": 50, "pause": "9s"}]
    work = tmp_path / "argo"
    work.mkdir()
    with (
        argo.controller(cluster, work),
        ready_pods(cluster, namespace),
        running(operator_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"),
    ):
        cluster.create(shopservice(namespace, replicas=3, **ROUTE))
        all_ready()
        change(rollout={"autoRollback": True, "canary": {"steps": steps}})
        wait_for(lambda: own_pods(cluster, namespace) == 0, SECONDS)
        wait_for(lambda: backends(cluster, namespace) == {"web-stable": 100, "web-canary": 0}, SECONDS)
        all_ready()

        change(image="registry.test/shop-product:2")
        said("step 2 of 2")
        all_ready()
        assert backends(cluster, namespace) == {"web-stable": 100, "web-canary": 0}

        change(image="registry.test/shop-product:3")
        said("step 1 of 2")
        change(image="registry.test/shop-product:4")
        said("step 2 of 2")
        wait_for(lambda: backends(cluster, namespace) == {"web-stable": 50, "web-canary": 50}, SECONDS)
        argo.abort(cluster, namespace)
        said("Rollout aborted update")
        said("which is available")
        rollout = cluster.get("ShopService", namespace, "web")["status"]["rollout"]
        assert (rollout["rejectedImage"][-1], rollout["lastAvailableImage"][-1]) == ("4", "2")

        change(rollout=None, image="registry.test/shop-product:2")
        wait_for(lambda: cluster.find("Rollout", namespace, "web") is None, SECONDS)
        all_ready()
        assert (own_pods(cluster, namespace), backends(cluster, namespace)) == (3, {"web": 1})
        assert cluster.get("ShopService", namespace, "web")["status"].get("drift") is None
