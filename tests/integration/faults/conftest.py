"""A separate control plane that tests may break, with an audit log of every write."""

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.faults.controllers import collect_garbage
from tests.integration.faults.proxy import Proxy
from tests.integration.operators import Operator, install, running

# Who wrote what; and of leases their content too, which tells who held them.
_AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "Request", "resources": [{"group": "coordination.k8s.io"}]},
        {"level": "Metadata"},
    ],
}


@pytest.fixture(scope="package")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="package")
def own_plane(tmp_path_factory: pytest.TempPathFactory, audit_log: Path) -> Iterator[ControlPlane]:
    policy = audit_log.with_name("policy.yaml")
    policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
    flags = {"audit-policy-file": policy, "audit-log-path": audit_log, "audit-log-mode": "blocking"}
    folder = tmp_path_factory.mktemp("own-plane")
    with ControlPlane(folder, controller_manager=False, flags=flags) as started:
        yield started


@pytest.fixture(scope="package")
def own_cluster(own_plane: ControlPlane) -> Iterator[Cluster]:
    client = Cluster(own_plane.kubeconfig)
    with client.http:
        yield client


@pytest.fixture(scope="package")
def own_kubeconfig(
    own_plane: ControlPlane, own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    helm = tools.ensure("helm3") / "helm"
    folder = tmp_path_factory.mktemp("own-operator")
    kubeconfig = install(own_cluster, own_plane.bin / "kubectl", helm, folder)
    collect_garbage(own_plane, own_cluster)
    return kubeconfig


@contextmanager
def _namespace(cluster: Cluster) -> Iterator[str]:
    """Namespace for one test; its ShopServices are deleted at the end."""
    name = cluster.namespace(f"f-{uuid.uuid4().hex[:10]}")
    yield name
    cluster.http.delete(cluster.path("ShopService", name)).raise_for_status()


@pytest.fixture
def here(own_cluster: Cluster) -> Iterator[str]:
    """A namespace of one's own; its ShopServices go with the test."""
    with _namespace(own_cluster) as name:
        yield name


@pytest.fixture
def elsewhere(own_cluster: Cluster) -> Iterator[str]:
    """Another one."""
    with _namespace(own_cluster) as name:
        yield name


@pytest.fixture
def seed() -> int:
    """Of every chance in a test; pytest shows it with a failure, and FAULTS_SEED plays it again."""
    chosen = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"FAULTS_SEED={chosen}")  # noqa: T201  what a failure shows
    return chosen


@pytest.fixture
def proxy(own_plane: ControlPlane, own_kubeconfig: Path, tmp_path: Path, seed: int) -> Iterator[Proxy]:
    with Proxy(own_plane, own_kubeconfig, tmp_path, seed=seed) as started:
        yield started


@pytest.fixture
def operator(proxy: Proxy, tmp_path: Path) -> Iterator[Operator]:
    """An operator behind the proxy."""
    with running(proxy.kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as started:
        yield started
