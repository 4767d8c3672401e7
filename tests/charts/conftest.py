from collections.abc import Iterator
from pathlib import Path

import pytest

from shopdev.checkout import ROOT
from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm, fresh


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The charts as a fresh clone has them."""
    return fresh(tmp_path_factory.mktemp("fresh") / "charts")


@pytest.fixture(scope="session")
def promtool() -> Path:
    return tools.ensure("promtool") / "promtool"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server that has the CRDs of the charts and of every optional kind."""
    with ControlPlane(tmp_path_factory.mktemp("cluster"), controller_manager=False) as plane:
        cluster = Cluster(plane.kubeconfig, tools.ensure("kubernetes") / "kubectl")
        cluster.install_crds(
            ROOT / "charts/shop-operator/files/crd.yaml",
            *tools.ensure("gateway-api").glob("*.yaml"),
            tools.ensure("keda-crds") / "keda.sh_scaledobjects.yaml",
            *(
                tools.ensure("argo-rollouts-crds") / f"{each}-crd.yaml"
                for each in ("rollout", "analysis-template")
            ),
            *tools.ensure("prometheus-operator-crds").glob("*monitors.yaml"),
            tools.ensure("prometheus-operator-crds") / "monitoring.coreos.com_prometheusrules.yaml",
        )
        yield cluster
