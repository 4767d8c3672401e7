import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chartdocs.outputs import ROOT
from localcluster import tools
from localcluster.controlplane import ControlPlane
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm

_LOCAL_STATE = ("charts", "Chart.lock")


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The charts as a fresh clone has them, in a folder of their own: `dependency build` writes into it."""
    charts = tmp_path_factory.mktemp("fresh") / "charts"
    shutil.copytree(
        ROOT / "charts",
        charts,
        ignore=lambda folder, _: _LOCAL_STATE if Path(folder).parent == ROOT / "charts" else (),
    )
    binary = tools.ensure("helm3") / "helm"
    subprocess.run([binary, "dependency", "build", charts / "shop"], capture_output=True, check=True)
    return Helm(binary, charts)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server that has the CRDs of the charts and of the Gateway API."""
    with ControlPlane(tmp_path_factory.mktemp("cluster"), controller_manager=False) as plane:
        cluster = Cluster(plane.kubeconfig, tools.ensure("kubernetes") / "kubectl")
        cluster.install_crds(
            ROOT / "charts/shop-operator/files/crd.yaml", *tools.ensure("gateway-api").glob("*.yaml")
        )
        yield cluster
