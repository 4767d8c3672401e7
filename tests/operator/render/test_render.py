"""The children of a ShopService, with one golden file for each behavior."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, reject

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.objects.rollouts import LiveRollout
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render import KINDS, LiveScale, Surroundings, render
from shop_operator.render.configuration import Record
from shop_operator.render.labels import version
from tests.operator.specs import documents, names

CASES = sorted(each.parent for each in (Path(__file__).parents[1] / "golden").glob("*/in.yaml"))


def rendered(case: Path) -> list[dict[str, Any]]:
    given_object = yaml.safe_load((case / "in.yaml").read_text())
    live, around = given_object.pop("live", None), given_object.pop("around", {})
    shop = ShopService.from_object(given_object)
    if "pods" in around:
        around["pods"] = replace(shop, document=around["pods"])
    around["rollouts"] = {name: LiveRollout(**each) for name, each in around.get("rollouts", {}).items()}
    around["routes"] = {name: LiveRoute((), (), **each) for name, each in around.get("routes", {}).items()}
    records = {name: Record(**each) for name, each in around.pop("records", {}).items()}
    return render(
        shop,
        live=LiveScale(**live) if live else None,
        around=Surroundings(**around, records=records),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_given_a_golden_shopservice_when_it_is_rendered_then_its_objects_equal_the_golden_file(
    case: Path, request: pytest.FixtureRequest
) -> None:
    objects, expected = rendered(case), case / "out.yaml"

    if request.config.getoption("--update-golden"):
        expected.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    assert objects == list(yaml.safe_load_all(expected.read_text()))


def valid(name: str, spec: dict[str, Any]) -> ShopService:
    """The ShopService, unless a rule between its fields rejects it."""
    shop = ShopService(name=name, namespace="shop", uid="u", generation=1, document=spec)
    try:
        _ = render(shop, live=None)
    except InvalidSpec:
        reject()
    return shop


@pytest.mark.slow
@given(name=names, spec=documents())
def test_given_any_shopservice_then_its_children_are_labeled_owned_and_rendered_deterministically(
    name: str, spec: dict[str, Any]
) -> None:
    shop = valid(name, spec)

    children = render(shop, live=None)

    assert children == render(shop, live=None)
    kinds = {(kind.api_version, kind.kind) for kind in KINDS}
    identities = [(child["kind"], child["metadata"]["name"]) for child in children]
    assert len(set(identities)) == len(identities)
    for child in children:
        metadata = child["metadata"]
        assert (child["apiVersion"], child["kind"]) in kinds
        assert len(metadata["name"]) <= 63
        assert metadata["labels"]["shopservice.dev/name"] == name
        assert all(len(value) <= 63 for value in metadata["labels"].values())
        assert [owner["uid"] for owner in metadata["ownerReferences"] if owner["controller"]] == ["u"]


@pytest.mark.slow
@given(name=names, spec=documents())
def test_given_any_shopservice_then_every_pod_meets_the_restricted_standard(
    name: str, spec: dict[str, Any]
) -> None:
    shop = valid(name, spec)

    for child in render(shop, live=None):
        if child["kind"] != "Deployment":
            continue
        pod = child["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["capabilities"]["drop"] == ["ALL"]
            assert not context["allowPrivilegeEscalation"]
            assert context["readOnlyRootFilesystem"]


TWO_TO_NINE = {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}
QUEUE = {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"}
NONE_TO_NINE = {"autoscaling": {"minReplicas": 0, "maxReplicas": 9, "queue": QUEUE}}
HPA: dict[str, Any] = {"autoscaled": {"web"}}
OPERATOR: dict[str, Any] = {"ours": {"web"}, "unchosen": {"web"}}
OTHERS: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("given_spec", "count", "owner", "sent"),
    [
        # No Deployment yet.
        ({}, None, OTHERS, 1),
        ({"replicas": 3}, None, OTHERS, 3),
        ({"replicas": 0}, None, OTHERS, 0),
        (TWO_TO_NINE, None, OTHERS, 2),
        # The count of the spec applies, whichever client changed the Deployment.
        ({"replicas": 3}, 5, OTHERS, 3),
        ({"replicas": 3}, 5, HPA, 3),
        ({}, 5, OPERATOR, 1),
        # Autoscaling was removed: the live count stays.
        ({}, 5, HPA, None),
        # Autoscaling was added: the live count stays, except for the operator's own zero, which an autoscaler never leaves.
        (TWO_TO_NINE, 5, OPERATOR, None),
        (TWO_TO_NINE, 1, OPERATOR, None),
        (TWO_TO_NINE, 0, OPERATOR, 2),
        # A zero of another manager disables a HorizontalPodAutoscaler, and is intended.
        (TWO_TO_NINE, 0, OTHERS, None),
        (TWO_TO_NINE, 0, HPA, None),
        # The operator owns its initial count until the autoscaler has scaled.
        (TWO_TO_NINE, 2, OPERATOR, 2),
        (TWO_TO_NINE, 2, HPA, None),
        (TWO_TO_NINE, 7, HPA, None),
        (TWO_TO_NINE, 7, OTHERS, None),
        # KEDA scales to zero and back.
        (NONE_TO_NINE, None, OTHERS, 0),
        (NONE_TO_NINE, 0, OPERATOR, 0),
        (NONE_TO_NINE, 0, OTHERS, None),
        (NONE_TO_NINE, 3, OTHERS, None),
        (NONE_TO_NINE, 5, OPERATOR, None),
    ],
)
def test_given_the_scaler_of_a_deployment_then_replicas_are_sent_only_if_the_operator_sets_them(
    given_spec: dict[str, Any], count: int | None, owner: dict[str, Any], sent: int | None
) -> None:
    shop = valid("web", {"image": "web:1", **given_spec})
    live = None if count is None else LiveScale(replicas={"web": count}, **owner)

    deployment = next(child for child in render(shop, live=live) if child["kind"] == "Deployment")

    assert deployment["spec"].get("replicas") == sent


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("web", "latest"),
        ("web:1.2.3", "1.2.3"),
        ("registry.example:5000/web", "latest"),
        ("registry.example:5000/web:v1", "v1"),
        ("web@sha256:0123456789abcdef", "0123456789ab"),
        ("web:v1@sha256:0123456789abcdef", "v1"),
        ("web:" + "a" * 70, "a" * 63),
        ("web:_", "latest"),
    ],
)
def test_given_an_image_then_the_version_label_is_its_tag(image: str, label: str) -> None:
    assert version(image) == label


def test_given_routes_of_the_same_host_names_then_they_share_an_httproute_in_any_order() -> None:
    def shop(*hostnames: list[str]) -> ShopService:
        routes = [{"path": f"/{number}", "hostnames": each} for number, each in enumerate(hostnames)]
        return valid("web", {"image": "web:1", "gateway": {"name": "g"}, "routes": routes})

    def found(shop: ShopService) -> list[str]:
        return [c["metadata"]["name"] for c in render(shop, live=None) if c["kind"] == "HTTPRoute"]

    one, two, other = ["a.example", "b.example"], ["b.example", "a.example"], ["a.example"]

    assert len(found(shop(one, two))) == 1
    assert sorted(found(shop(one, other))) == sorted(found(shop(other, two)))


def test_given_a_discovery_hostname_then_the_service_has_the_annotations_of_every_externaldns_version() -> (
    None
):
    """ExternalDNS 0.23 reads a different prefix than earlier versions, and deletes records that it does not find with policy=sync."""
    shop = valid("web", {"image": "web:1", "discovery": {"hostname": "web.shop.internal"}})

    (headless,) = (c for c in render(shop, live=None) if c["metadata"]["name"] == "web-discovery")

    assert headless["metadata"]["annotations"] == {
        "external-dns.alpha.kubernetes.io/hostname": "web.shop.internal",
        "external-dns.kubernetes.io/hostname": "web.shop.internal",
    }


def test_given_a_headless_service_then_it_has_its_own_component_label_and_the_selector_of_the_main_one() -> (
    None
):
    shop = valid("web", {"image": "web:1", "discovery": {"hostname": "web.shop.internal"}})

    services = {c["metadata"]["name"]: c for c in render(shop, live=None) if c["kind"] == "Service"}
    main, headless = services["web"], services["web-discovery"]

    assert main["spec"]["selector"] == headless["spec"]["selector"]
    assert main["metadata"]["labels"]["app.kubernetes.io/component"] == "web"
    assert headless["metadata"]["labels"]["app.kubernetes.io/component"] == "discovery"
