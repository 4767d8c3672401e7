"""The real API server of the integration tier, with the operator's rights on it, and a program that builds images."""

import os
import subprocess
import sys

import pytest

from shopdev.checkout import ROOT
from shopdev.console import CommandError
from shopdev.demo import images
from tests.integration.conftest import cluster, control_plane, gateway_api, kubectl, operator_kubeconfig

__all__ = ["cluster", "control_plane", "gateway_api", "kubectl", "operator_kubeconfig"]


@pytest.fixture(scope="session")
def engine() -> None:
    """Where neither docker nor podman answers, buildah and the local node's base image take their place."""
    try:
        images.container_engine(os.environ)
    except CommandError:
        subprocess.run([sys.executable, str(ROOT / "dev/cluster"), "base-image"], check=True)
