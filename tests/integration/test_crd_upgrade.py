"""An upgrade from the first release to this one keeps every ShopService and restarts no pod.

The original files of the first release are in crds/: its schema, its install manifest, ShopServices that use
every field, and their children.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest
import yaml

from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import ROOT, run, running
from tests.waiting import wait_for

FIRST: Final = Path(__file__).parent / "crds"
CHART: Final = ROOT / "charts/shop-operator"
MANIFEST: Final = ROOT / "manifests/install.yaml"
CRD: Final = "shopservices.shopservice.dev"
RELEASE: Final = "shop-operator"
MANAGER: Final = "shop-operator"
PRESENT: Final = yaml.safe_load((CHART / "files/crd.yaml").read_text())
# Of the first schema and no later one. Nothing is lost: a variable refers to its own container.
DROPPED: Final = "containerName"
SHOPSERVICES: Final = list(yaml.safe_load_all((FIRST / "v0.1.0-shopservices.yaml").read_text()))
NAMES: Final = [each["metadata"]["name"] for each in SHOPSERVICES]
NAMESPACES: Final = [f"shop-{number}" for number in range(10)]
"""All ShopServices are in every one of them: fifty in total."""


@dataclass(frozen=True)
class Site:
    """A cluster with an administrator who installs and upgrades."""

    cluster: Cluster
    bin: Path
    folder: Path

    def kubectl(self, *arguments: str | Path, given: str = "") -> str:
        return run([self.bin / "kubectl", "--kubeconfig", self.cluster.kubeconfig, *arguments], given)

    def helm(self, chart: Path) -> None:
        """Install or upgrade the release; the operator itself runs as a process of the test."""
        run(
            [
                *(tools.ensure("helm3") / "helm", "upgrade", "--install", RELEASE, chart),
                *("--kubeconfig", self.cluster.kubeconfig, "--namespace", RELEASE, "--create-namespace"),
                *("--set", "replicas=0"),
            ]
        )

    def roll_back(self) -> None:
        """Restore the release from before the upgrade."""
        where = ("--kubeconfig", self.cluster.kubeconfig, "--namespace", RELEASE)
        run([tools.ensure("helm3") / "helm", "rollback", RELEASE, *where])

    def serves(self, crd: Mapping[str, Any]) -> bool:
        """Whether this is the schema by which the API server judges now."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + CRD
        found: dict[str, Any] = self.cluster.http.get(path).json()
        assert condition(found, "Established")["status"] == "True"
        fields = json.loads(self.kubectl("get", "--raw", "/openapi/v3/apis/shopservice.dev/v1alpha1"))
        (model,) = (m for name, m in fields["components"]["schemas"].items() if name.endswith(".ShopService"))
        return set(model["properties"]["spec"]["properties"]) == set(_schema(crd)["properties"])

    def operators_kubeconfig(self) -> Path:
        """A kubeconfig with the rights that the release gives its ServiceAccount."""
        config = json.loads(self.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        token = self.kubectl("create", "token", RELEASE, "--namespace", RELEASE)
        config["users"][0]["user"] = {"token": token.strip()}
        path = self.folder / "operator.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def populate(self, namespace: str) -> None:
        """The ShopServices of the first release, and the children that it made of them."""
        uids = {}
        for each in SHOPSERVICES:
            made = self.cluster.create({**each, "metadata": {**each["metadata"], "namespace": namespace}})
            uids[made["metadata"]["name"]] = made["metadata"]["uid"]
        for child in yaml.safe_load_all((FIRST / "v0.1.0-children.yaml").read_text()):
            self._apply(_filled_in(child, namespace, uids))

    def _apply(self, child: Mapping[str, Any]) -> None:
        metadata = child["metadata"]
        path = self.cluster.path(child["kind"], metadata["namespace"], metadata["name"])
        self.cluster.http.patch(
            path,
            content=orjson.dumps(child),
            headers={"Content-Type": "application/apply-patch+yaml"},
            params={"fieldManager": MANAGER, "force": "true"},
        ).raise_for_status()

    def pods(self, namespace: str) -> dict[str, Any]:
        """Pod template and ReplicaSets of every Deployment, once its controller has observed it."""
        path = f"/apis/apps/v1/namespaces/{namespace}"
        sets: dict[str, list[str]] = {}
        for each in self.cluster.http.get(f"{path}/replicasets").json()["items"]:
            sets.setdefault(each["metadata"]["ownerReferences"][0]["name"], []).append(
                each["metadata"]["name"]
            )
        deployments = self.cluster.http.get(f"{path}/deployments").json()["items"]
        for each in deployments:
            assert each["status"]["observedGeneration"] == each["metadata"]["generation"]
        return {
            each["metadata"]["name"]: (each["spec"]["template"], sets[each["metadata"]["name"]])
            for each in deployments
        }

    def generations(self, namespace: str) -> dict[str, int]:
        """How often each Deployment was changed."""
        found = self.cluster.http.get(f"/apis/apps/v1/namespaces/{namespace}/deployments").json()["items"]
        return {each["metadata"]["name"]: each["metadata"]["generation"] for each in found}

    def reconciled(self, namespace: str) -> bool:
        """Whether an operator has observed every ShopService and reports no problem."""
        for name in NAMES:
            found = self.cluster.get("ShopService", namespace, name)
            assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
            stalled = condition(found, "Stalled")
            assert stalled["status"] == "False", stalled["message"]
        return True


def _schema(crd: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def _filled_in(child: dict[str, Any], namespace: str, uids: Mapping[str, str]) -> dict[str, Any]:
    """A recorded child as the first release would have applied it here, signature included."""
    text = yaml.safe_dump(child).replace("NAMESPACE", namespace)
    filled: dict[str, Any] = yaml.safe_load(text)
    (owner,) = filled["metadata"]["ownerReferences"]
    owner["uid"] = uids[owner["name"]]
    digest = hashlib.blake2b(orjson.dumps(filled, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
    filled["metadata"].setdefault("annotations", {})["shopservice.dev/applied-hash"] = digest
    return filled


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A cluster of its own, since a CRD is the whole cluster's."""
    with ControlPlane(tmp_path / "control-plane") as plane:
        cluster = Cluster(plane.kubeconfig)
        with cluster.http:
            site = Site(cluster, plane.bin, tmp_path)
            crd = tools.ensure("gateway-api") / "gateway.networking.k8s.io_httproutes.yaml"
            site.kubectl("apply", "--server-side", "-f", crd)
            yield site


@pytest.fixture
def first_chart(tmp_path: Path) -> Path:
    """The chart with the schema of the first release."""
    chart = tmp_path / "first"
    shutil.copytree(CHART, chart)
    shutil.copy(FIRST / "v0.1.0.yaml", chart / "files/crd.yaml")
    return chart


@pytest.fixture
def first_crd() -> dict[str, Any]:
    crd: dict[str, Any] = yaml.safe_load((FIRST / "v0.1.0.yaml").read_text())
    return crd


def test_given_the_objects_of_the_first_release_then_they_use_every_field_of_its_schema(
    first_crd: dict[str, Any],
) -> None:
    used = {path for each in SHOPSERVICES for path in _used(each["spec"], "")}

    assert set(_declared(_schema(first_crd), "")) - used == set()


def _declared(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every field of a schema; the keys of a map count as none."""
    for name, field in schema.get("properties", {}).items():
        yield path + name
        yield from _declared(field.get("items", field), f"{path}{name}.")


def _used(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield path + name
            yield from _used(inner, f"{path}{name}.")
    if isinstance(value, list):
        for each in value:
            yield from _used(each, path)


def test_given_fifty_shopservices_of_the_first_release_when_helm_upgrades_and_rolls_back_then_no_pod_is_restarted(
    site: Site, first_chart: Path, first_crd: dict[str, Any]
) -> None:
    site.helm(first_chart)
    wait_for(lambda: site.serves(first_crd), deadline=60)
    for each in NAMESPACES:
        site.cluster.namespace(each)
        site.populate(each)
    before = wait_for(lambda: {each: site.pods(each) for each in NAMESPACES}, deadline=60)
    shops = [(namespace, name) for namespace in NAMESPACES for name in NAMES]
    specs = {shop: site.cluster.get("ShopService", *shop)["spec"] for shop in shops}
    assert len(specs) == 50

    site.helm(CHART)
    wait_for(lambda: site.serves(PRESENT), deadline=60)
    with running(site.operators_kubeconfig(), site.folder / "operator.log") as operator:
        wait_for(lambda: all(site.reconciled(each) for each in NAMESPACES), deadline=60)
        wait_for(lambda: operator.metric("workqueue_depth") == 0)

        assert wait_for(lambda: {each: site.pods(each) for each in NAMESPACES}, deadline=60) == before
    _check_specs(site, specs)

    site.roll_back()
    wait_for(lambda: site.serves(first_crd), deadline=60)
    assert wait_for(lambda: {each: site.pods(each) for each in NAMESPACES}, deadline=60) == before
    _check_specs(site, specs)


def _check_specs(site: Site, specs: Mapping[tuple[str, str], Any]) -> None:
    """Check that each ShopService has its fields, and that the schema still accepts them, once for each name."""
    for (namespace, name), spec in specs.items():
        found = site.cluster.get("ShopService", namespace, name)
        assert _kept(spec, found["spec"]) == []
        if namespace == NAMESPACES[0]:
            assert _taken(site.cluster, {**found, "spec": spec}).is_success


def _kept(before: Any, after: Any, path: str = "") -> list[str]:
    """Fields that an object lost or that changed; added defaults are ignored."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [each for name in before for each in _kept(before[name], after.get(name), f"{path}.{name}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [each for one, other in zip(before, after, strict=True) for each in _kept(one, other, path)]
    return [] if before == after or path.endswith(f".{DROPPED}") else [f"{path}: {before!r}, now {after!r}"]


def _without_what_was_dropped(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key != DROPPED}


def _taken(cluster: Cluster, shop: Mapping[str, Any]) -> httpx.Response:
    """The API server's answer to a new object with that spec: validation of existing objects is more lenient."""
    namespace = shop["metadata"]["namespace"]
    new = {**shop, "metadata": {"name": "another", "namespace": namespace}}
    return cluster.http.post(cluster.path("ShopService", namespace), json=new, params={"dryRun": "All"})


def test_given_a_running_operator_when_the_crd_is_upgraded_then_it_rewrites_no_child_and_knows_the_new_fields(
    site: Site, first_chart: Path, first_crd: dict[str, Any]
) -> None:
    site.helm(first_chart)
    wait_for(lambda: site.serves(first_crd))
    namespace = site.cluster.namespace("shop")
    for each in SHOPSERVICES:
        lasting = json.loads(json.dumps(each), object_hook=_without_what_was_dropped)
        site.cluster.create({**lasting, "metadata": {**lasting["metadata"], "namespace": namespace}})
    with running(site.operators_kubeconfig(), site.folder / "operator.log") as operator:
        wait_for(lambda: site.reconciled(namespace), deadline=60)
        before, generations = wait_for(lambda: site.pods(namespace)), site.generations(namespace)
        written = operator.metric("shop_operator_child_writes_total")

        site.helm(CHART)
        wait_for(lambda: site.serves(PRESENT))
        site.cluster.patch("ShopService", namespace, "smallest", {"spec": {"networkPolicy": {}}})

        wait_for(lambda: "NetworkPolicy/smallest" in site.cluster.children(namespace))
        wait_for(lambda: operator.metric("shop_operator_child_writes_total") == written + 1)
        assert site.pods(namespace) == before
        assert site.generations(namespace) == generations


def test_given_the_first_install_manifest_when_the_current_one_is_applied_then_every_object_is_current(
    site: Site, first_crd: dict[str, Any]
) -> None:
    first = ("-f", FIRST / "v0.1.0.yaml", "-f", FIRST / "v0.1.0-install.yaml")
    site.kubectl("apply", "--server-side", *first)
    wait_for(lambda: site.serves(first_crd))
    namespace = site.cluster.namespace("shop")
    site.populate(namespace)

    site.kubectl("apply", "--server-side", "-f", MANIFEST)

    wait_for(lambda: site.serves(PRESENT))
    live = json.loads(site.kubectl("get", "-f", MANIFEST, "-o", "json"))["items"]
    for wanted, found in zip(yaml.safe_load_all(MANIFEST.read_text()), live, strict=True):
        # The API server leaves defaults out of a CRD that is asked for.
        assert wanted["kind"] == "CustomResourceDefinition" or _kept(wanted, found) == []
    for name in NAMES:
        assert site.cluster.get("ShopService", namespace, name)["spec"]["image"]
