"""charts/shop-operator over its life in a real cluster: install, upgrade, uninstall, and what its account may do."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm
from tests.integration.operators import running
from tests.waiting import wait_for

NAMESPACE = "shop-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:shop-operator"
CRD = "shopservices.shopservice.dev"
CART = {
    "apiVersion": "shopservice.dev/v1alpha1",
    "kind": "ShopService",
    "metadata": {"name": "cart", "namespace": "default"},
    "spec": {"image": "cart:v1"},
}


@dataclass(frozen=True)
class Releases:
    """Helm against one cluster."""

    helm: Helm
    cluster: Cluster

    def install(self, chart: Path, **values: Any) -> None:
        self._run(
            "upgrade", "--install", "shop-operator", str(chart), "--values", "-", stdin=yaml.safe_dump(values)
        )

    def uninstall(self) -> None:
        self._run("uninstall", "shop-operator")

    def served_fields(self) -> set[str]:
        crd = json.loads(self.cluster.kubectl("get", "crd", CRD, "-o", "json"))
        return set(
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        )

    def allowed(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether the operator's account may."""
        command = ["auth", "can-i", verb, resource, "--namespace", namespace, "--as", ACCOUNT]
        return self.cluster.answer(*command) == "yes"

    def operators_kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig of the operator's account, with a token that the API server signed."""
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        token = self.cluster.kubectl("create", "token", "shop-operator", "--namespace", NAMESPACE)
        config["users"][0]["user"] = {"token": token.strip()}
        path = folder / "operator.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def children(self, namespace: str) -> set[str]:
        """The kinds of what an operator made of ShopService cart."""
        kinds, label = "deployments,services,serviceaccounts", "shopservice.dev/name=cart"
        found = self.cluster.kubectl("get", kinds, "-n", namespace, "-l", label, "-o", "name").split()
        return {name.partition("/")[0].partition(".")[0] for name in found}

    def shop(self, release: str, chart: str, **values: Any) -> None:
        """Install or upgrade a release of the shop's namespace; it keeps the values that it has."""
        folder = str(self.helm.charts / chart)
        command = ("upgrade", "--install", release, folder, "--reuse-values", "--values", "-")
        self._run(*command, stdin=yaml.safe_dump(values), namespace="shop")

    def _run(self, *command: str, stdin: str | None = None, namespace: str = NAMESPACE) -> None:
        done = subprocess.run(
            [self.helm.binary, *command, "--namespace", namespace, "--kubeconfig", self.cluster.kubeconfig],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def releases(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    with ControlPlane(tmp_path_factory.mktemp("releases"), controller_manager=False) as plane:
        cluster = Cluster(plane.kubeconfig, tools.ensure("kubernetes") / "kubectl")
        for name in (NAMESPACE, "shop", "other"):
            cluster.namespace(name)
        yield Releases(helm, cluster)


@pytest.fixture
def chart(helm: Helm) -> Path:
    return helm.charts / "shop-operator"


@pytest.fixture
def older_chart(chart: Path, tmp_path: Path) -> Path:
    """The chart as it may have been before workers were there."""
    older = tmp_path / "older"
    shutil.copytree(chart, older)
    crd = yaml.safe_load((older / "files/crd.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["workers"]
    schema["x-kubernetes-validations"] = [
        rule for rule in schema["x-kubernetes-validations"] if "workers" not in rule["rule"]
    ]
    (older / "files/crd.yaml").write_text(yaml.safe_dump(crd))
    return older


def test_given_an_older_crd_when_the_release_is_upgraded_then_the_crd_is_upgraded_and_no_object_is_lost(
    releases: Releases, older_chart: Path, chart: Path
) -> None:
    releases.install(older_chart)
    releases.cluster.wait_for_crds()
    assert "workers" not in releases.served_fields()
    releases.cluster.apply(CART)
    before = json.loads(releases.cluster.kubectl("get", "shopservice", "cart", "-o", "json"))

    releases.install(chart)

    assert "workers" in releases.served_fields()
    assert json.loads(releases.cluster.kubectl("get", "shopservice", "cart", "-o", "json")) == before


def test_given_shopservices_when_the_release_is_uninstalled_then_they_stay_and_a_new_release_adopts_them(
    releases: Releases, chart: Path
) -> None:
    releases.install(chart)
    releases.cluster.apply(CART)

    releases.uninstall()

    assert (
        releases.cluster.kubectl("get", "shopservice", "cart", "-o", "name").strip()
        == "shopservice.shopservice.dev/cart"
    )
    assert releases.cluster.kubectl("get", "deployments,roles", "-n", NAMESPACE, "-o", "name") == ""
    releases.install(chart)


MAY = [
    ("patch", "deployments.apps"),
    ("list", "shopservices.shopservice.dev"),
    ("delete", "services"),
    ("get", "secrets"),
    ("list", "pods"),
]
MAY_NOT = [
    ("patch", "secrets"),
    ("delete", "pods"),
    ("create", "pods"),
    ("update", "deployments.apps"),
    ("patch", "shopservices.shopservice.dev"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
]


def test_given_the_whole_cluster_then_the_serviceaccount_has_exactly_its_permissions_everywhere(
    releases: Releases, chart: Path
) -> None:
    releases.install(chart)

    assert [(v, r) for v, r in MAY if not releases.allowed(v, r, "other")] == []
    assert [(v, r) for v, r in MAY_NOT if releases.allowed(v, r, "other")] == []
    assert not releases.allowed("get", "leases.coordination.k8s.io/shop-operator", "other")
    assert releases.allowed("update", "leases.coordination.k8s.io/shop-operator", NAMESPACE)
    assert not releases.allowed("update", "leases.coordination.k8s.io/another", NAMESPACE)


def test_given_one_watched_namespace_then_the_serviceaccount_has_its_permissions_only_there(
    releases: Releases, chart: Path
) -> None:
    releases.install(chart, watchNamespaces=["shop"])

    assert [(v, r) for v, r in MAY if not releases.allowed(v, r, "shop")] == []
    assert [(v, r) for v, r in [*MAY, *MAY_NOT] if releases.allowed(v, r, "other")] == []


def test_given_one_watched_namespace_then_the_operator_reconciles_it_without_a_forbidden_request(
    releases: Releases, chart: Path, tmp_path: Path
) -> None:
    releases.install(chart, watchNamespaces=["shop"], replicas=0)
    for namespace in ("shop", "other"):
        cart = {**CART, "metadata": {"name": "cart", "namespace": namespace}}
        releases.cluster.apply(cart)

    with running(
        releases.operators_kubeconfig(tmp_path), tmp_path / "log", "--namespace", "shop"
    ) as operator:
        wait_for(lambda: releases.children("shop") >= {"deployment", "service", "serviceaccount"})
        refused = operator.metric("rest_client_requests_total", code="403")

    assert releases.children("other") == set()
    assert refused == 0


def test_given_a_service_of_the_shop_release_when_it_moves_to_its_own_release_then_the_shopservice_is_kept(
    releases: Releases, chart: Path
) -> None:
    """As docs/how-to/deliver-continuously.md says: at no time is there no ShopService, or another one of its name."""
    releases.install(chart)
    releases.cluster.wait_for_crds()
    releases.shop("shop", "shop", gateway={"create": False}, seed={"enabled": False})

    def order() -> dict[str, Any]:
        found = releases.cluster.kubectl("get", "shopservice", "order", "-n", "shop", "-o", "json")
        return dict(json.loads(found))

    before = order()

    handed_over = ("helm.sh/resource-policy=keep", "meta.helm.sh/release-name=order")
    releases.cluster.kubectl("annotate", "shopservice", "order", "-n", "shop", "--overwrite", *handed_over)
    releases.shop("shop", "shop", services={"order": False})
    kept = order()
    # As it runs: of what Helm takes over it changes nothing, it only remembers it.
    releases.shop("order", "shop-service", name="order", image={"repository": "shop-order", "tag": "0.1.0"})
    releases.shop("order", "shop-service", image={"tag": "v2"})
    after = order()

    assert before["metadata"]["uid"] == kept["metadata"]["uid"] == after["metadata"]["uid"]
    assert kept["spec"] == before["spec"]
    assert (before["spec"]["image"], after["spec"]["image"]) == ("shop-order:0.1.0", "shop-order:v2")
