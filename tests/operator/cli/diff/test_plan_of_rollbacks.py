"""`kubectl shop diff` and the operator agree on whether a release is rejected."""

from collections.abc import Mapping
from typing import Any

import pytest

from shop_operator.cli.diff.changes import Change
from shop_operator.cli.diff.plan import Children, Namespace, plan
from shop_operator.errors import Forbidden
from shop_operator.names import NAME_LABEL, RETRY_ANNOTATION
from tests.operator.status.rollback.releases import CAREFUL, fail, release, rollout
from tests.operator.world import World, neighbor, rolling, template_of

BAD: dict[str, Any] = {"image": "shop:2"}


@pytest.fixture
async def world() -> World:
    """The first release of a ShopService is available."""
    world = World()
    neighbor(world, "db", port=5432)
    await release(world, image="shop:1")
    rolling(world, available=1)
    await world.pass_()
    return world


class Unreadable:
    """Configuration whose Secrets the operator must not read."""

    async def digests(self, *_: object) -> None:
        raise Forbidden("secrets is forbidden")


async def rejected_by_image(world: World) -> None:
    """Let a release fail while its configuration cannot be read."""
    await release(world, **BAD)
    observation = world.reconciler._observation
    config_digests = observation._config_digests
    observation._config_digests = Unreadable()  # type: ignore[assignment]
    rolling(world, "ProgressDeadlineExceeded")
    for _ in range(2):
        with pytest.raises(Forbidden):
            await world.pass_()
        world.clock.now += 8
    observation._config_digests = config_digests
    await world.pass_()
    assert rollout(world)["rejectedImage"] == "shop:2"
    assert "rejectedRelease" not in rollout(world)


def planned(world: World, *documents: Mapping[str, Any]) -> list[Change]:
    """The changes that an apply would cause."""
    objects = {
        (kind, name): obj
        for (kind, _, name), obj in world.api.objects.items()
        if kind not in {"ShopService", "Pod"}
    }

    def children(owner: str) -> Children:
        return {
            key: obj
            for key, obj in objects.items()
            if (obj["metadata"].get("labels") or {}).get(NAME_LABEL) == owner
        }

    shops = {name: obj for (kind, _, name), obj in world.api.objects.items() if kind == "ShopService"}
    there = Namespace(shops, world.served, children, lambda kind, name: objects.get((kind, name)))
    return list(plan([{**each, "metadata": dict(each["metadata"])} for each in documents], there))


def document(name: str = "web", retry: str = "", **spec: Any) -> dict[str, Any]:
    annotations = {RETRY_ANNOTATION: retry} if retry else {}
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"namespace": "ns", "name": name, "annotations": annotations},
        "spec": spec,
    }


def image_in_plan(world: World, *documents: Mapping[str, Any]) -> str:
    """The image of the Deployment after an apply."""
    found = template_of(world)
    for change in planned(world, *documents):
        if (change.kind, change.name) == ("Deployment", "web"):
            assert change.after is not None
            found = change.after["spec"]["template"]
    return image(found)


def image(template: Mapping[str, Any]) -> str:
    found: str = template["spec"]["containers"][0]["image"]
    return found


@pytest.mark.parametrize(
    ("retry", "spec", "expected"),
    [
        ("", BAD, "shop:1"),
        ("", {**BAD, "replicas": 3}, "shop:1"),
        ("2", BAD, "shop:2"),
        ("", {"image": "shop:3"}, "shop:3"),
    ],
    ids=["the same", "scaled", "retried", "fixed"],
)
@pytest.mark.parametrize("known", [True, False], ids=["release known", "image known"])
async def test_given_a_rejected_release_when_a_file_is_applied_then_the_diff_and_the_operator_agree_on_the_pods(
    world: World, retry: str, spec: dict[str, Any], expected: str, *, known: bool
) -> None:
    if known:
        await release(world, **BAD)
        await fail(world)
    else:
        await rejected_by_image(world)

    in_plan = image_in_plan(world, document(retry=retry, **CAREFUL, **spec))
    found = world.edit("ShopService")
    if retry:
        found["metadata"]["annotations"] = {RETRY_ANNOTATION: retry}
        world.see(found)
    await release(world, **spec)

    assert in_plan == image(template_of(world)) == expected


async def test_given_a_rejected_release_when_the_port_of_its_dependency_changes_then_both_try_it_again(
    world: World,
) -> None:
    bad = {**BAD, "dependsOn": ["db"]}
    await release(world, **bad)
    await fail(world)
    same = document(**CAREFUL, **bad)
    assert image_in_plan(world, same) == "shop:1"

    in_plan = image_in_plan(world, same, document("db", image="shop:1", port=5433))
    neighbor(world, "db", port=5433)
    await world.pass_()

    assert in_plan == image(template_of(world)) == "shop:2"


async def test_given_a_last_release_that_is_no_longer_valid_then_both_report_the_failed_rollback_and_keep_the_pods(
    world: World,
) -> None:
    await release(world, **BAD)
    await fail(world)
    found = world.edit("ShopService")
    old = {**rollout(world), "lastAvailable": {"image": "shop:1", "port": -1}}
    world.see(found | {"status": {**found["status"], "rollout": old}})
    before = template_of(world)

    changes = planned(world, document(**CAREFUL, **BAD))
    await world.pass_()

    (change,) = (each for each in changes if each.reason)
    ready = world.condition("Ready")
    assert change.reason == ready["reason"] == "RollbackFailed"
    assert change.message in ready["message"]
    assert "Deployment" not in {each.kind for each in changes}
    assert template_of(world) == before


async def test_given_a_retry_annotation_when_a_release_of_unknown_configuration_fails_then_the_retry_is_recorded(
    world: World,
) -> None:
    found = world.edit("ShopService")
    found["metadata"]["annotations"] = {RETRY_ANNOTATION: "1"}
    world.see(found)

    await rejected_by_image(world)

    assert rollout(world)["retry"] == "1"
    assert image(template_of(world)) == "shop:1"
