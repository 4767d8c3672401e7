"""One real API server for the tier, and a namespace for every test."""

import inspect
import uuid
from collections.abc import Generator, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

from shop_operator.objects.pod_security import LABEL
from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.operators import Operator, install, leader, run

OPTIONAL_CRDS: Final = (
    ("keda-crds", "keda.sh_scaledobjects.yaml"),
    ("argo-rollouts-crds", "rollout-crd.yaml"),
    ("argo-rollouts-crds", "analysis-template-crd.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_servicemonitors.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_podmonitors.yaml"),
    ("prometheus-operator-crds", "monitoring.coreos.com_prometheusrules.yaml"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for path, here in groupby(items, lambda item: item.path):
        _one_operator_at_a_time(path, [set(_parameters(item)) for item in here])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the log of the module's operator with the test that fails, which may not be the last one of the module."""
    report = yield
    started = item.funcargs.get("operator") if isinstance(item, pytest.Function) else None
    if report.failed and report.when == "call" and isinstance(started, Operator):
        report.sections.append((f"Log of the operator, {started.log}", started.tail()))
    return report


def _one_operator_at_a_time(path: Path, parameters: list[set[str]]) -> None:
    """The operator of a module works until the module's end, also while a test says that its own one is away."""
    shared = any("operator" in each for each in parameters)
    if shared and any("operator_kubeconfig" in each and "operator" not in each for each in parameters):
        raise pytest.UsageError(f"{path}: tests with the module's operator beside tests that start their own")


def _parameters(item: pytest.Item) -> list[str]:
    return list(inspect.signature(item.function).parameters) if isinstance(item, pytest.Function) else []


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


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that only one module uses."""
    with ControlPlane(tmp_path_factory.mktemp("lone"), controller_manager=False) as plane:
        client = Cluster(plane.kubeconfig)
        with client.http:
            yield client


@pytest.fixture(scope="module")
def lone_kubeconfig(lone: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an operator in that cluster."""
    folder, kubectl = tmp_path_factory.mktemp("lone-operator"), tools.ensure("kubernetes") / "kubectl"
    return install(lone, kubectl, tools.ensure("helm3") / "helm", folder)


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
    with leader(operator_kubeconfig, tmp_path_factory.mktemp("log") / "operator.log") as started:
        yield started


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """A node to which pods are bound: without one they are in no EndpointSlice, and have no grace period.

    Its lease is not renewed, and Kubernetes marks a node as dead after most of a minute, so every test has its own.
    """
    name = f"node-{uuid.uuid4().hex[:8]}"
    cluster.http.post("/api/v1/nodes", json={"metadata": {"name": name}}).raise_for_status()
    yield name
    cluster.http.delete(f"/api/v1/nodes/{name}").raise_for_status()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of one's own; its ShopServices go with the test, lest a later operator works on them."""
    # Any pod is allowed here: test_pod_security.py has namespaces of its own.
    name = cluster.namespace(f"t-{uuid.uuid4().hex[:10]}", **{LABEL: "privileged"})
    yield name
    cluster.http.delete(cluster.path("ShopService", name)).raise_for_status()
