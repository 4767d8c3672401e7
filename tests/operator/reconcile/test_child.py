"""One child: its creation, its ownership, and the state that no watch has shown yet."""

import asyncio
import contextlib
from typing import Any

import pytest

from shop_operator.errors import (
    Contested,
    Stale,
)
from shop_operator.objects.ownership import CONFLICT_RECHECK
from tests.operator.world import (
    KEY,
    World,
    neighbor,
)


@pytest.mark.parametrize("labelled", [True, False])
async def test_given_an_object_of_another_owner_then_it_is_kept_and_reported_and_the_other_children_are_created(
    world: World,
    labelled: bool,
) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "ns",
            "name": "web",
            "labels": {"shopservice.dev/name": "web"} if labelled else {},
        },
        "spec": {"ports": [{"port": 1}]},
    }
    world.see(foreign)
    world.shop()

    again = await world.pass_()

    assert again == CONFLICT_RECHECK
    assert world.writes == {"create Deployment web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Stalled")["reason"] == "Conflict"
    assert "Service web" in world.condition("Ready")["message"]


async def test_given_two_shopservices_that_create_the_same_child_at_once_then_one_reports_the_conflict(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = world.api.apply

    both = asyncio.Barrier(2)

    async def at_once(configuration: Any, **given: Any) -> dict[str, Any]:
        if (configuration["kind"], configuration["metadata"]["name"]) == ("Deployment", "web-a"):
            await both.wait()
        return await apply(configuration, **given)

    monkeypatch.setattr(world.api, "apply", at_once)
    world.shop(workers=[{"name": "a", "command": ["work"]}])
    other = neighbor(world, "web-a")

    async with asyncio.timeout(5):
        await asyncio.gather(*map(world.reconciler.reconcile, (KEY, other)))

    statuses = [world.api.objects["ShopService", *key]["status"] for key in (KEY, other)]
    reasons = [{each["type"]: each["reason"] for each in status["conditions"]} for status in statuses]
    assert [each["Stalled"] == "Conflict" for each in reasons].count(True) == 1


async def test_given_a_child_that_no_watch_has_shown_yet_then_it_is_recognized(world: World) -> None:
    world.shop()
    await world.pass_()
    world.store._children.clear()
    world.store._filed.clear()

    await world.pass_()

    assert world.condition("Stalled")["status"] == "False"
    assert world.api.reads == 3


async def test_given_a_child_without_its_owner_reference_then_the_reference_is_restored(world: World) -> None:
    world.shop()
    await world.pass_()
    orphan = world.edit("Service")
    del orphan["metadata"]["ownerReferences"]
    world.see(orphan)

    await world.pass_()

    assert world.api.objects["Service", "ns", "web"]["metadata"]["ownerReferences"][0]["name"] == "web"


async def test_given_an_orphaning_deletion_then_the_owner_reference_is_not_restored(world: World) -> None:
    world.shop()
    await world.pass_()
    # The watch of ShopServices is behind the watch of their children.
    going = world.edit("ShopService")
    going["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["orphan"]}
    deleted = world.api.put(going)
    orphan = world.edit("Service")
    del orphan["metadata"]["ownerReferences"]
    world.see(orphan)

    with pytest.raises(Stale):
        await world.pass_()

    assert world.writes == set()
    world.store.put(deleted)
    assert await world.pass_() is None
    assert "ownerReferences" not in world.api.objects["Service", "ns", "web"]["metadata"]


async def test_given_a_child_that_is_being_deleted_then_the_pass_waits_for_its_end(world: World) -> None:
    world.shop()
    await world.pass_()
    going = world.edit("Service")
    going["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    world.see(going)

    assert await world.pass_() == CONFLICT_RECHECK

    assert world.writes == {"status ShopService web"}
    assert "example.com/hold" in world.condition("Ready")["message"]


async def test_given_a_child_of_a_deleted_shopservice_of_the_same_name_then_the_pass_waits_for_its_end(
    world: World,
) -> None:
    world.see(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": "ns",
                "name": "web",
                "labels": {"shopservice.dev/name": "web"},
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"kind": "ShopService", "name": "web", "uid": "old", "controller": True}],
            },
            "spec": {},
        }
    )
    world.shop()

    assert await world.pass_() == CONFLICT_RECHECK

    ready = world.condition("Ready")
    assert (ready["reason"], ready["message"]) == (
        "Terminating",
        "Service web of a deleted ShopService is still being deleted.",
    )
    assert world.condition("Stalled")["status"] == "False"


async def test_given_a_child_replaced_by_another_object_before_the_write_then_the_store_drops_it(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.api.objects["Deployment", "ns", "web"]["metadata"]["uid"] = "another"
    world.shop(args=["x"])

    with pytest.raises(Exception, match="another one"):
        await world.pass_()

    assert all(child.kind != "Deployment" for child in world.store.children(KEY))


def drift_of(world: World) -> dict[str, Any]:
    """The last drift in the status."""
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]["drift"]["last"]
    return found


@pytest.mark.parametrize(
    ("spec", "count"),
    [({"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}, 8), ({"replicas": 3}, 3)],
)
@pytest.mark.parametrize("hidden", ["no label", "another label"])
async def test_given_a_deployment_without_its_label_then_the_label_is_restored_and_the_replica_count_is_kept(
    world: World, spec: dict[str, Any], count: int, hidden: str
) -> None:
    world.shop(**spec)
    await world.pass_()
    scaled = world.edit("Deployment")
    scaled["spec"] = {**scaled["spec"], "replicas": count}
    scaled["metadata"]["managedFields"] = [
        {"manager": "kube-controller-manager", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    world.see(scaled)
    await world.pass_()
    if hidden == "no label":
        world.hide("Deployment", "web")
    else:
        moved = world.edit("Deployment")
        moved["metadata"]["labels"] = {**moved["metadata"]["labels"], "shopservice.dev/name": "other"}
        world.see(moved)

    await world.pass_()

    live = world.api.objects["Deployment", "ns", "web"]
    assert live["metadata"]["labels"]["shopservice.dev/name"] == "web"
    assert live["spec"]["replicas"] == count
    assert drift_of(world)["fields"][-1].startswith("metadata.labels.")
    await world.pass_()
    assert world.writes == set()


async def test_given_a_contested_child_that_no_watch_shows_when_it_has_gone_then_it_is_created_again(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    for _ in range(11):
        world.hide("Service", "web")
        world.clock.now -= 2  # all at once
        with contextlib.suppress(Contested):
            await world.pass_()
    assert world.api.objects["Service", "ns", "web"]["metadata"]["labels"] == {}

    # The ShopService is created again. No watch shows that the garbage collector deletes the child, which still lacks the label.
    again = world.edit("ShopService")
    again["metadata"]["uid"] = "another"
    world.see(again)
    world.api.forget(("Service", "ns", "web"))
    world.clock.now += 60
    await world.pass_()

    assert "create Service web" in world.writes
