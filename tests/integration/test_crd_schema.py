"""The CRD on a real API server: it is accepted, it agrees with the models, and every valid object can be rendered."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, reject, settings
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.kubernetes.client import encoded
from shop_operator.objects.compare import differences
from shop_operator.render import KINDS, render
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import ROOT, run
from tests.integration.shopservices import shopservice
from tests.operator.refusals import REFUSALS
from tests.operator.refusals.refusal import Refusal
from tests.operator.specs import changed, documents, names
from tests.waiting import wait_for

GOLDEN: Final = sorted((ROOT / "tests/operator/golden").glob("*/in.yaml"))
EXAMPLES: Final = sorted((ROOT / "manifests/examples").glob("*.yaml"))
NAME: Final = "shopservices.shopservice.dev"
UID: Final = "11111111-1111-1111-1111-111111111111"

pytestmark = pytest.mark.usefixtures("optional_kinds")
# The fixtures are of the session or made once: nothing in them changes from example to example.
thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)


@pytest.fixture(scope="module", autouse=True)
def crd(cluster: Cluster, kubectl: Path) -> dict[str, Any]:
    """The CRD as the API server has it."""
    printed = run([sys.executable, "-m", "shop_operator.main", "crd"])
    run([kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side", "-f", "-"], printed)

    def established() -> dict[str, Any]:
        found: dict[str, Any] = cluster.http.get(
            f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}"
        ).json()
        # At first the conditions are null, which `kubectl wait` takes for an error.
        assert found["status"]["conditions"]
        assert condition(found, "Established")["status"] == "True"
        return found

    return wait_for(established)


@pytest.fixture
def restricted(cluster: Cluster, namespace: str) -> str:
    """A namespace whose API server warns of every pod template that is not `restricted`."""
    label = {"pod-security.kubernetes.io/warn": "restricted"}
    cluster.http.patch(
        f"/api/v1/namespaces/{namespace}",
        json={"metadata": {"labels": label}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    return namespace


def tried(cluster: Cluster, obj: Mapping[str, Any]) -> httpx.Response:
    """The API server's dry-run answer to `kubectl create`, which is strict about unknown fields."""
    return cluster.http.post(
        cluster.path(obj["kind"], obj["metadata"]["namespace"]),
        json=obj,
        params={"dryRun": "All", "fieldValidation": "Strict"},
    )


def applied(cluster: Cluster, child: Mapping[str, Any]) -> httpx.Response:
    """The API server's dry-run answer to the operator's apply."""
    metadata = child["metadata"]
    return cluster.http.patch(
        cluster.path(child["kind"], metadata["namespace"], metadata["name"]),
        content=encoded(child),
        headers={"Content-Type": "application/apply-patch+yaml"},
        params={
            "dryRun": "All",
            "fieldValidation": "Strict",
            "fieldManager": "shop-operator",
            "force": "true",
        },
    )


def model(namespace: str, name: str, spec: Mapping[str, Any]) -> ShopService:
    return ShopService(name=name, namespace=namespace, uid=UID, generation=1, document=spec)


def verdict(shop: ShopService) -> str | None:
    """The models' sentence of refusal, None when they take it."""
    try:
        _ = shop.spec
    except InvalidSpec as refusal:
        return refusal.message
    return None


def test_given_the_crd_when_it_is_installed_then_it_is_structural_and_its_rules_are_within_the_cost_budget(
    crd: dict[str, Any],
) -> None:
    assert "NonStructuralSchema" not in {each["type"] for each in crd["status"]["conditions"]}
    assert condition(crd, "NamesAccepted")["status"] == "True"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.given)
def test_given_an_invalid_spec_when_it_is_created_then_the_api_server_names_the_mistake(
    cluster: Cluster, namespace: str, refusal: Refusal
) -> None:
    answer = tried(cluster, shopservice(namespace, refusal.name, **refusal.spec))

    assert answer.status_code in {httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.BAD_REQUEST}, answer.text
    assert refusal.server in answer.json()["message"]


def test_given_an_unknown_field_then_kubectl_apply_refuses_it(
    cluster: Cluster, namespace: str, kubectl: Path
) -> None:
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "-f", "-"]

    with pytest.raises(AssertionError, match=r'unknown field "spec\.replcas"'):
        run(command, json.dumps(shopservice(namespace, replcas=2)))


@thorough
@given(data=st.data(), name=names)
def test_given_any_document_then_the_models_and_the_api_server_give_the_same_verdict(
    cluster: Cluster, namespace: str, data: st.DataObject, name: str
) -> None:
    spec = data.draw(documents())
    if data.draw(st.booleans()):
        spec = data.draw(changed(spec))
    assume(isinstance(spec, dict))

    answer = tried(cluster, {**shopservice(namespace, name), "spec": spec})

    refused = verdict(model(namespace, name, spec))
    assert (refused is None) is answer.is_success, f"{refused or 'the models take it'}\n{answer.text}"
    if answer.is_success:
        # Defaults included.
        assert (
            model(namespace, name, answer.json()["spec"]).spec.to_dict()
            == model(namespace, name, spec).spec.to_dict()
        )


@thorough
@given(name=names, spec=documents())
@example(name="a" * 63, spec={"image": "web:1", "terminationGracePeriodSeconds": 0})
@example(name="a" * 22, spec={"image": "web:1", "workers": [{"name": "w" * 40, "command": ["run"]}]})
def test_given_any_valid_spec_then_its_children_are_restricted_and_stored_as_rendered(
    cluster: Cluster, restricted: str, name: str, spec: dict[str, Any]
) -> None:
    shop = model(restricted, name, spec)
    assume(verdict(shop) is None)
    assume(not _overcommitted(spec))
    try:
        children = render(shop, live=None)
    except InvalidSpec:
        # A podTemplate against what the operator owns: no schema knows that.
        reject()

    for child in children:
        answer = applied(cluster, child)
        assert answer.is_success, answer.text
        assert not _insecure(answer), answer.headers["Warning"]
        assert list(differences(child, answer.json())) == []


def _insecure(answer: httpx.Response) -> bool:
    """Whether the API server warned of a pod template that is not `restricted`."""
    return "PodSecurity" in answer.headers.get("Warning", "")


def _overcommitted(spec: Mapping[str, Any]) -> bool:
    """Whether some container requests what it also limits: only a quantity's own arithmetic knows whether too much."""
    resources = [each.get("resources", {}) for each in (spec, *spec.get("workers", ()))]
    return any(each.get("requests", {}).keys() & each.get("limits", {}).keys() for each in resources)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.parent.name)
def test_given_a_golden_case_when_its_children_are_applied_then_the_api_server_stores_them_as_rendered(
    cluster: Cluster, restricted: str, case: Path
) -> None:
    for child in yaml.safe_load_all((case.parent / "out.yaml").read_text()):
        child["metadata"]["namespace"] = restricted
        answer = applied(cluster, child)
        assert answer.is_success, answer.text
        assert not _insecure(answer), answer.headers["Warning"]
        assert list(differences(child, answer.json())) == []


def test_given_a_pod_template_with_nulls_and_patch_directives_then_the_api_server_stores_them(
    cluster: Cluster, namespace: str
) -> None:
    container = {"name": "app", "livenessProbe": None, "startupProbe": {"$patch": "delete"}}
    template = {"spec": {"containers": [container], "hostUsers": False}}

    answer = tried(cluster, shopservice(namespace, podTemplate=template))

    assert answer.is_success, answer.text
    assert answer.json()["spec"]["podTemplate"] == template


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case.stem)
def test_given_an_example_then_kubectl_applies_it(
    cluster: Cluster, namespace: str, kubectl: Path, case: Path
) -> None:
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "--namespace", namespace]

    assert "created" in run([*command, "apply", "-f", case])


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("shopservice", "creates and reconciles all Kubernetes objects that it needs"),
        ("shopservice.spec.port", "Port on which the container serves HTTP, and port of the Service."),
        ("shopservice.spec.routes.pathType", "matches whole path elements"),
        ("shopservice.spec.workers.autoscaling.minReplicas", "the number that a new Deployment starts with"),
        ("shopservice.spec.env.valueFrom.secretKeyRef.optional", "Whether the pod may start"),
        ("shopservice.status.conditions.reason", "Machine-readable reason, in CamelCase."),
        (
            "shopservice.spec.dependsOn",
            "The pods have the URL of every dependency in an environment variable, such as PRODUCT_URL for product.",
        ),
        ("shopservice.spec.networkPolicy.egress.to.ipBlock.except", "Address ranges to exclude."),
        ("shopservice.spec.autoscaling.queue.urlFrom", "environment variable that contains the URL"),
        ("shopservice.spec.podTemplate.spec", "are rejected here"),
        ("shopservice.status.drift.last.manager", "Field managers that owned these fields"),
        ("shopservice.status.suspended", "Whether reconciliation is suspended by spec.suspend."),
    ],
)
def test_given_a_field_then_kubectl_explains_it(
    cluster: Cluster, kubectl: Path, field: str, words: str
) -> None:
    assert words in " ".join(explained(cluster, kubectl, field).split())


def test_given_a_list_then_kubectl_explains_it_with_one_description(cluster: Cluster, kubectl: Path) -> None:
    text = explained(cluster, kubectl, "shopservice.spec.routes")

    described = text.partition("DESCRIPTION:")[2].partition("FIELDS:")[0]
    assert " ".join(described.split()) == (
        "Requests that the Gateway forwards to the microservice. Without routes, it is reachable only inside the"
        " cluster."
    )


def explained(cluster: Cluster, kubectl: Path, field: str) -> str:
    """Output of `kubectl explain`, once the API server has published the schema."""
    return wait_for(lambda: run([kubectl, "--kubeconfig", cluster.kubeconfig, "explain", field]))


def test_given_every_rendered_kind_then_the_api_server_serves_it(cluster: Cluster) -> None:
    for kind in KINDS:
        root = "api" if "/" not in kind.api_version else "apis"
        served = cluster.http.get(f"/{root}/{kind.api_version}").json()["resources"]
        assert kind.kind in {each["kind"] for each in served if each["name"] == kind.plural}
