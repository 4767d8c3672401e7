"""The API server away, the Gateway API not installed, rights not granted: it goes on as soon as it can."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import tools
from localcluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster, condition, wait_for
from tests.integration.operators import install, run, running
from tests.integration.shopservices import ROUTE, shopservice


@pytest.fixture(scope="module")
def own_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that may be broken."""
    with ControlPlane(tmp_path_factory.mktemp("own-plane"), controller_manager=False) as started:
        yield started


@pytest.fixture(scope="module")
def own_cluster(own_plane: ControlPlane) -> Iterator[Cluster]:
    client = Cluster(own_plane.kubeconfig)
    with client.http:
        yield client


@pytest.fixture(scope="module")
def own_kubeconfig(
    own_plane: ControlPlane, own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    helm = tools.ensure("helm3") / "helm"
    return install(own_cluster, own_plane.bin / "kubectl", helm, tmp_path_factory.mktemp("own-operator"))


def test_given_no_gateway_api_then_a_condition_says_so_and_installing_it_is_enough(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    namespace = own_cluster.namespace("no-gateway")
    with running(own_kubeconfig, tmp_path / "operator.log", "--no-leader-elect"):
        own_cluster.create(shopservice(namespace, **ROUTE))

        def told() -> bool:
            found = condition(own_cluster.get("ShopService", namespace, "web"), "Ready")
            return found["status"] == "False" and "CRD" in found["message"]

        wait_for(told)
        assert own_cluster.children(namespace) >= {"Deployment/web", "Service/web"}

        crd = tools.ensure("gateway-api") / "gateway.networking.k8s.io_httproutes.yaml"
        run([own_plane.bin / "kubectl", "--kubeconfig", own_plane.kubeconfig, "create", "-f", crd])

        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(namespace), deadline=40)
        # And it is watched from now on.
        own_cluster.delete("HTTPRoute", namespace, "web")
        wait_for(lambda: "HTTPRoute/web" in own_cluster.children(namespace))


def test_given_an_api_server_that_goes_away_then_the_operator_waits_and_goes_on(
    own_plane: ControlPlane, own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    namespace = own_cluster.namespace("outage")
    with running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator:
        wait_for(operator.leading, deadline=30)
        own_cluster.create(shopservice(namespace))
        wait_for(lambda: "Deployment/web" in own_cluster.children(namespace))

        own_plane.stop_apiserver()
        wait_for(lambda: not operator.leading(), deadline=30)
        assert operator.ask("/healthz").status_code == 200
        own_plane.start_apiserver()

        own_cluster.delete("Deployment", namespace, "web")
        wait_for(lambda: "Deployment/web" in own_cluster.children(namespace), deadline=60)
