"""The operator is killed repeatedly during changes, and its successor continues from the current state."""

import random
import signal
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster
from tests.integration.faults.proxy import READS, WRITES, Fault, Proxy, Tell
from tests.integration.faults.traffic import Traffic
from tests.integration.faults.truth import has_nothing_to_do, settled_for_good
from tests.integration.operators import running, started
from tests.integration.shopservices import AUTOSCALING, shopservice
from tests.waiting import wait_for

KILLS = 50
ALONE = "--no-leader-elect"


@pytest.mark.timeout(900)
def test_given_an_operator_that_is_killed_repeatedly_then_the_children_converge(
    own_cluster: Cluster, here: str, proxy: Proxy, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311  repeatable, not secret
    traffic = Traffic(own_cluster, here, seed)
    traffic.populate()
    with traffic.flowing():
        for i in range(KILLS):
            with started(proxy.kubeconfig, tmp_path / f"operator-{i}.log", ALONE) as operator:
                # One in four dies at anything, so mostly while it gets to know the cluster; the others at a write, before
                # the API server has it, or after that and before they know.
                methods = READS | WRITES if chance.random() < 0.25 else WRITES
                tell = Tell(lambda o=operator: o.signal(signal.SIGKILL), before=chance.random() < 0.5)  # type: ignore[misc]  # bound per round
                with proxy.failing(Fault(tell, methods=methods, probability=0.2)):
                    wait_for(operator.ended, deadline=60, what=f"the end of operator {i}")
            assert not any(line["msg"] == "pass failed" for line in operator.lines())

    with running(proxy.kubeconfig, tmp_path / "operator.log", ALONE) as last:
        settled_for_good(own_cluster, here, last)
    with running(proxy.kubeconfig, tmp_path / "once-more.log", ALONE) as fresh:
        has_nothing_to_do(own_cluster, fresh)


def test_given_an_operator_killed_after_it_recreated_a_deployment_then_the_next_one_keeps_the_replica_count(
    own_cluster: Cluster, here: str, proxy: Proxy, tmp_path: Path
) -> None:
    def replicas() -> int:
        count: int = own_cluster.get("Deployment", here, "web")["spec"]["replicas"]
        return count

    with started(proxy.kubeconfig, tmp_path / "killed.log", ALONE) as operator:
        # A count that an autoscaler has left, and that nothing asks for any more.
        own_cluster.create(shopservice(here, autoscaling=AUTOSCALING))
        wait_for(lambda: replicas() == AUTOSCALING["minReplicas"])
        own_cluster.scale("Deployment", here, "web", 5)
        own_cluster.patch("ShopService", here, "web", {"spec": {"autoscaling": None}})
        wait_for(lambda: "HorizontalPodAutoscaler/web" not in own_cluster.children(here))
        wait_for(lambda: own_cluster.get("ShopService", here, "web")["status"]["ready"] == "0/5")
        kill = Tell(lambda: operator.signal(signal.SIGKILL), before=False)
        with proxy.failing(Fault(kill, methods=WRITES, path="/deployments/web")):
            own_cluster.delete("Deployment", here, "web")
            wait_for(operator.ended)
    created = own_cluster.get("Deployment", here, "web")["metadata"]["resourceVersion"]
    assert replicas() == 5

    with running(proxy.kubeconfig, tmp_path / "operator.log", ALONE) as last:
        settled_for_good(own_cluster, here, last)
    own_cluster.patch("ShopService", here, "web", {"spec": {"args": ["--verbose"]}})
    with running(proxy.kubeconfig, tmp_path / "once-more.log", ALONE) as fresh:
        settled_for_good(own_cluster, here, fresh)

    states = own_cluster.history("Deployment", here, "web", created)
    assert "--verbose" in str(states[-1]["spec"])
    assert {state["spec"]["replicas"] for state in states} == {5}
