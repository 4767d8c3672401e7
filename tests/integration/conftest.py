"""One real API server for the tier, a namespace for every test."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localcluster import tools
from localcluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.operators import Operator, install, run, running

OPTIONAL_CRDS: Final = (
    ("keda-crds", "keda.sh_scaledobjects.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_servicemonitors.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_podmonitors.yaml"),
)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as started:
        yield started


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Path:
    return control_plane.bin / "kubectl"


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    client = Cluster(control_plane.kubeconfig)
    with client.http:
        yield client


@pytest.fixture(scope="session")
def gateway_api(cluster: Cluster, kubectl: Path) -> None:
    """The Gateway API's HTTPRoute, as a cluster that has it."""
    crd = tools.ensure("gateway-api") / "gateway.networking.k8s.io_httproutes.yaml"
    run([kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side", "-f", crd])


@pytest.fixture(scope="session")
def optional_kinds(cluster: Cluster, kubectl: Path, gateway_api: None) -> None:
    """Every kind that the operator makes only where it is installed, as a cluster that has all of them."""
    for tool, name in OPTIONAL_CRDS:
        run(
            [
                *(kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side"),
                *("-f", tools.ensure(tool) / name),
            ]
        )


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(cluster, kubectl, tools.ensure("helm3") / "helm", tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, gateway_api: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The one operator of a module's tests."""
    with running(operator_kubeconfig, tmp_path_factory.mktemp("log") / "operator.log") as started:
        yield started


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of one's own; its ShopServices go with the test, lest a later operator works on them."""
    name = cluster.namespace(f"t-{uuid.uuid4().hex[:10]}")
    yield name
    cluster.http.delete(cluster.path("ShopService", name)).raise_for_status()
