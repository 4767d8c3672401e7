"""The examples on a real API server: the API server stores their rendered objects unchanged, and their pods are restricted."""

import sys
from pathlib import Path
from typing import Final

import httpx
import pytest

from shop_operator.cli import documents
from shop_operator.cli.diff.plan import rendered
from shop_operator.kubernetes.client import encoded
from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, run
from tests.waiting import wait_for

EXAMPLES: Final = sorted((ROOT / "manifests/examples").glob("*.yaml"))

pytestmark = pytest.mark.usefixtures("optional_kinds")


@pytest.fixture(scope="module", autouse=True)
def crd(cluster: Cluster, kubectl: Path) -> None:
    printed = run([sys.executable, "-m", "shop_operator.main", "crd"])
    run([kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side", "-f", "-"], printed)
    wait_for(lambda: cluster.http.get("/apis/shopservice.dev/v1alpha1").is_success)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_given_an_example_then_the_api_server_accepts_it_and_its_children(
    cluster: Cluster, namespace: str, kubectl: Path, example: Path
) -> None:
    label = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    cluster.http.patch(
        f"/api/v1/namespaces/{namespace}",
        json={"metadata": {"labels": label}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "--namespace", namespace]
    run([*command, "apply", "--validate=strict", "-f", example])

    children = rendered(documents.read([str(example)], namespace))

    assert children
    for child in children:
        answer = cluster.http.patch(
            cluster.path(child["kind"], namespace, child["metadata"]["name"]),
            content=encoded(child),
            headers={"Content-Type": "application/apply-patch+yaml"},
            params={"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "shop-operator"},
        )
        assert answer.status_code in {httpx.codes.OK, httpx.codes.CREATED}, answer.text
        assert "PodSecurity" not in answer.headers.get("Warning", "")
