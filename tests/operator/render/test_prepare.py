"""The operator and `kubectl shop diff` prepare the children of a ShopService from the same facts, so they agree."""

from collections.abc import Mapping
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cli.diff.plan import Namespace, plan
from shop_operator.names import PART_OF_LABEL, ChildId, Key
from shop_operator.render.configuration import Configuration, Record, Use
from shop_operator.render.prepare import Facts, LiveDeployment, Prepared, prepare
from tests.operator.world import CAREFUL, World, given_up, other, rolled_out, rolling

DISCOVERY: dict[str, Any] = {"discovery": {"hostname": "web.shop.internal"}}


def shop(image: str = "shop:1", **spec: Any) -> ShopService:
    return ShopService(
        "web", "ns", "uid", 1, labels={PART_OF_LABEL: "new"}, document={"image": image, **spec}
    )


def part_of(prepared: Prepared) -> str:
    (deployment,) = (each for each in prepared.desired if each["kind"] == "Deployment")
    return str(deployment["spec"]["template"]["metadata"]["labels"][PART_OF_LABEL])


def test_given_a_hostname_of_another_shopservice_then_it_is_a_problem_and_no_service_carries_it() -> None:
    prepared = prepare(shop(**DISCOVERY), Facts(hostname_holder=Key("ns", "pay")))

    assert [each.reason for each in prepared.problems] == ["Conflict"]
    assert "ShopService pay" in prepared.problems[0].message
    assert ChildId("Service", "web-discovery") not in prepared.kept


def test_given_its_own_hostname_then_a_service_carries_it() -> None:
    prepared = prepare(shop(**DISCOVERY), Facts(hostname_holder=Key("ns", "web")))

    assert prepared.problems == ()
    assert ChildId("Service", "web-discovery") in prepared.kept


def test_given_a_changed_part_of_label_then_pods_keep_the_former_one_until_their_image_changes() -> None:
    live = LiveDeployment(frozenset({"shop:1"}), "old", Record())
    facts = Facts(deployments={"web": live})

    assert part_of(prepare(shop("shop:1"), facts)) == "old"
    assert part_of(prepare(shop("shop:2"), facts)) == "new"
    assert part_of(prepare(shop("shop:2"), Facts(deployments={"web": live}, pods=shop("shop:1")))) == "old"


def test_given_pods_of_another_release_then_their_service_account_is_kept() -> None:
    named: dict[str, Any] = {"serviceAccount": {"name": "theirs"}}

    assert ChildId("ServiceAccount", "theirs") in prepare(shop(**named), Facts()).kept
    assert ChildId("ServiceAccount", "web") not in prepare(shop(**named), Facts()).kept
    assert ChildId("ServiceAccount", "web") in prepare(shop(**named), Facts(pods=shop())).kept


def test_given_live_deployments_then_their_records_are_used_unless_others_are_passed() -> None:
    uses = Configuration({"web": frozenset({Use("ConfigMap", "settings")})})
    live = {"web": LiveDeployment(frozenset(), None, Record(None, "live"))}

    def recorded(**facts: Any) -> Mapping[str, Record]:
        return prepare(shop(), Facts(deployments=live, **facts)).around.records

    assert recorded(configuration=uses) == {"web": Record(None, "live")}
    assert recorded(configuration=uses, records={"web": Record(None, "good")}) == {
        "web": Record(None, "good")
    }
    assert recorded() == {}


def test_given_no_keda_when_a_shopservice_scales_by_a_queue_then_it_is_a_problem() -> None:
    queued = shop(
        autoscaling={"maxReplicas": 3, "queue": {"urlFrom": "QUEUE", "region": "eu-west-1"}},
        env=[{"name": "QUEUE", "value": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"}],
    )

    assert [each.reason for each in prepare(queued, Facts(served=frozenset())).problems] == ["NotInstalled"]
    assert prepare(queued, Facts()).problems == ()


def namespace(world: World) -> Namespace:
    """The namespace of a world, as the plugin reads it."""
    objects = {(kind, name): obj for (kind, _, name), obj in world.api.objects.items()}
    shops = {name: obj for (kind, name), obj in objects.items() if kind == "ShopService"}

    def children(shop: str) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {
            child: obj
            for child, obj in objects.items()
            if obj["metadata"].get("labels", {}).get("shopservice.dev/name") == shop
        }

    return Namespace(shops, None, children, lambda *_: None)


def changed(world: World, **spec: Any) -> list[tuple[str, str, str]]:
    """The changes of children that the plugin shows for an apply."""
    document = {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {"image": "shop:1", **spec},
    }
    found = plan([document], namespace(world))
    return [(each.action, each.kind, each.name) for each in found if each.kind != "ShopService"]


async def test_given_children_applied_by_the_operator_when_the_same_spec_is_planned_then_no_change_is_shown(
    world: World,
) -> None:
    spec: dict[str, Any] = {
        "workers": [{"name": "relay", "command": ["relay"]}],
        "dependsOn": ["product"],
        "networkPolicy": {"enabled": True},
        "gateway": {"name": "shop"},
        "routes": [{"path": "/"}],
        "autoscaling": {"maxReplicas": 3},
    }
    other(world, "product", port=80, available=True)
    world.shop(**spec)
    await world.pass_()

    assert changed(world, **spec) == []


async def test_given_an_automatic_rollback_when_the_rejected_spec_is_planned_then_no_change_is_shown(
    world: World,
) -> None:
    other(world, "product", port=80, available=True)
    good: dict[str, Any] = {"port": 8080, "dependsOn": ["product"], "networkPolicy": {"enabled": True}}
    await rolled_out(world, **good)
    rejected: dict[str, Any] = {
        **CAREFUL,
        "image": "shop:2",
        "port": 8080,
        "networkPolicy": {"enabled": True},
        "serviceAccount": {"name": "theirs"},
    }
    world.shop(**rejected)
    await world.pass_()
    await given_up(world)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()

    assert changed(world, **rejected) == []


@pytest.mark.parametrize(
    ("served", "prometheus", "said"),
    [
        (
            frozenset({"Deployment"}),
            "http://prometheus:9090",
            "requires Argo Rollouts, which is not installed",
        ),
        (
            frozenset({"Deployment", "Rollout"}),
            "http://prometheus:9090",
            "requires the CustomResourceDefinition of AnalysisTemplate, which is not installed",
        ),
        (None, "", "requires the address of Prometheus"),
        (None, "http://prometheus:9090", ""),
    ],
)
def test_given_a_canary_when_the_cluster_lacks_a_part_of_it_then_the_problem_names_the_part(
    served: frozenset[str] | None, prometheus: str, said: str
) -> None:
    canary = {"steps": [{"weight": 10}], "analysis": {"maxErrorRate": "1%"}}
    spec = {"image": "shop:1", "rollout": {"canary": canary}, "monitoring": {}}
    shop = ShopService("web", "ns", "u", 1, document=spec)

    problems = prepare(shop, Facts(served=served, prometheus=prometheus)).problems

    assert [said in each.message for each in problems] == [True] * bool(said)
