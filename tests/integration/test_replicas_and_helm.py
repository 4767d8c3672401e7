"""Replicas between Helm and kubectl: a count that the chart leaves out survives upgrades by both versions of Helm."""

from pathlib import Path
from typing import Any

import pytest

from shopdev.cluster import tools
from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, run

pytestmark = pytest.mark.usefixtures("operator_kubeconfig")
CHART = ROOT / "charts/shop-service"


def upgrade(version: str, cluster: Cluster, namespace: str, *flags: str) -> None:
    run(
        [
            *(tools.ensure(version) / "helm", "upgrade", "--install", "cart", CHART),
            *("--kubeconfig", cluster.kubeconfig, "--namespace", namespace),
            *("--set", "image.repository=cart", "--set", "image.tag=1", *flags),
        ]
    )


@pytest.mark.parametrize(("first", "then"), [("helm4", "helm4"), ("helm3", "helm3"), ("helm3", "helm4")])
def test_given_no_replicas_in_the_values_when_helm_upgrades_then_the_count_of_kubectl_scale_stays(
    cluster: Cluster, kubectl: Path, namespace: str, first: str, then: str
) -> None:
    upgrade(first, cluster, namespace)
    scale: list[Any] = [kubectl, "--kubeconfig", cluster.kubeconfig, "--namespace", namespace, "scale"]
    run([*scale, "shopservice", "cart", "--replicas=3"])

    upgrade(then, cluster, namespace, "--set", "env.GREETING=hello")

    spec = cluster.get("ShopService", namespace, "cart")["spec"]
    assert spec["replicas"] == 3
    assert spec["image"] == "cart:1"
    assert spec["env"] == [{"name": "GREETING", "value": "hello"}]


def test_given_replicas_in_the_values_when_helm_4_upgrades_a_scaled_release_then_it_reports_the_conflict(
    cluster: Cluster, kubectl: Path, namespace: str
) -> None:
    upgrade("helm4", cluster, namespace, "--set", "replicas=1")
    scale: list[Any] = [kubectl, "--kubeconfig", cluster.kubeconfig, "--namespace", namespace, "scale"]
    run([*scale, "shopservice", "cart", "--replicas=3"])

    with pytest.raises(AssertionError, match=r"\.spec\.replicas"):
        upgrade("helm4", cluster, namespace, "--set", "replicas=1", "--set", "env.GREETING=hello")

    upgrade("helm4", cluster, namespace, "--set", "replicas=1", "--force-conflicts")
    assert cluster.get("ShopService", namespace, "cart")["spec"]["replicas"] == 1
