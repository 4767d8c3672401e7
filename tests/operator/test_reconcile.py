"""A pass: what it writes, what it leaves alone, and what it makes of everything that goes wrong."""

from typing import Any

import pytest

from shop_operator.compare import HASH_ANNOTATION
from shop_operator.errors import (
    ApiUnavailable,
    Forbidden,
    NotInstalled,
    NotLeader,
    Refused,
    Stale,
    Throttled,
    Unreachable,
)
from shop_operator.reconcile import CONFLICT_RECHECK, Reconciler, merge_patch
from shop_operator.store import ChildId, Key, Store
from tests.operator.fake_api import FakeApi

KEY = Key("ns", "web")


class World:
    """A cluster, an informer that misses nothing, and a reconciler."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.store = Store()
        self.wrote_children: list[str] = []
        self.reconciler = Reconciler(self.api, self.store, self)

    def wrote(self, kind: str, operation: str) -> None:
        self.wrote_children.append(f"{operation} {kind}")

    def shop(self, **spec: Any) -> None:
        """Create or change the ShopService."""
        found = self.api.objects.get(("ShopService", *KEY), {})
        metadata = found.get("metadata", {"namespace": "ns", "name": "web", "generation": 0})
        self.see(
            {
                "apiVersion": "shopservice.dev/v1alpha1",
                "kind": "ShopService",
                "metadata": {**metadata, "generation": metadata["generation"] + 1},
                "spec": {"image": "shop:1", **spec},
                "status": found.get("status", {}),
            }
        )

    def see(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Somebody writes an object and the watch shows it."""
        written = self.api.put(obj)
        self.store.put(written)
        return written

    def edit(self, kind: str, name: str = "web") -> dict[str, Any]:
        """A copy of an object to change and to `see`."""
        found = self.api.objects["ShopService" if kind == "ShopService" else kind, "ns", name]
        return {**found, "metadata": dict(found["metadata"])}

    def lose(self, kind: str, name: str = "web") -> None:
        """Somebody deletes an object and the watch shows it."""
        self.store.remove(self.api.forget((kind, "ns", name)))

    async def pass_(self) -> float | None:
        """One pass; `writes` has only what this one wrote."""
        self.api.writes.clear()
        self.wrote_children.clear()
        return await self.reconciler.reconcile(KEY)

    @property
    def writes(self) -> set[str]:
        return set(self.api.writes)

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.api.objects["ShopService", "ns", "web"]["status"]["conditions"]
        found: dict[str, Any] = next(c for c in conditions if c["type"] == kind)
        return found


@pytest.fixture
def world() -> World:
    return World()


async def test_a_new_shopservice_costs_one_write_per_child_one_status_and_no_read(world: World) -> None:
    world.shop()

    assert await world.pass_() is None

    assert sorted(world.api.writes) == [
        "create Deployment web",
        "create Service web",
        "create ServiceAccount web",
        "status ShopService web",
    ]
    assert world.api.reads == 0


async def test_a_second_pass_writes_nothing_and_neither_does_one_after_a_restart(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}], autoscaling={"maxReplicas": 3})
    await world.pass_()
    await world.pass_()
    assert world.writes == set()

    world.reconciler = Reconciler(world.api, world.store, world)
    await world.pass_()
    assert world.writes == set()
    assert world.api.reads == 0


async def test_a_changed_spec_is_applied_to_what_it_changes(world: World) -> None:
    world.shop()
    await world.pass_()

    world.shop(args=["--verbose"])
    await world.pass_()

    assert world.writes == {"apply Deployment web", "status ShopService web"}


async def test_a_deleted_child_is_made_again(world: World) -> None:
    world.shop()
    await world.pass_()
    world.lose("Service")

    await world.pass_()

    assert "create Service web" in world.writes


async def test_an_edited_field_is_put_back_and_a_foreign_one_left_alone(world: World) -> None:
    world.shop()
    await world.pass_()
    edited = world.edit("Service")
    edited["spec"] = {**edited["spec"], "selector": {"evil": "yes"}, "sessionAffinity": "ClientIP"}
    world.see(edited)

    await world.pass_()

    assert world.writes == {"apply Service web"}
    spec = world.api.objects["Service", "ns", "web"]["spec"]
    assert spec["sessionAffinity"] == "ClientIP"


async def test_a_status_event_of_a_child_costs_no_apply(world: World) -> None:
    world.shop()
    await world.pass_()
    running = world.edit("Deployment")
    running["status"] = {"replicas": 1, "readyReplicas": 1}
    world.see(running)

    await world.pass_()

    assert world.writes == {"status ShopService web"}


async def test_what_left_the_spec_is_pruned_and_only_what_is_ours(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    theirs = world.edit("Deployment", "web-relay")
    theirs["metadata"] |= {"name": "theirs", "uid": "t1", "ownerReferences": []}
    world.see(theirs)

    world.shop()
    await world.pass_()

    assert "delete Deployment web-relay" in world.writes
    assert ("Deployment", "ns", "theirs") in world.api.objects


@pytest.mark.parametrize("labelled", [True, False])
async def test_a_foreign_object_is_kept_and_named_and_the_others_are_made(
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
    assert "Service web" in world.condition("Stalled")["message"]


async def test_a_child_that_the_watch_has_not_shown_yet_is_recognised_as_ours(world: World) -> None:
    world.shop()
    await world.pass_()
    world.store._children.clear()
    world.store._filed.clear()

    await world.pass_()

    assert world.condition("Stalled")["status"] == "False"
    assert world.api.reads == 3


async def test_a_child_that_lost_its_owner_gets_it_back(world: World) -> None:
    world.shop()
    await world.pass_()
    orphan = world.edit("Service")
    del orphan["metadata"]["ownerReferences"]
    world.see(orphan)

    await world.pass_()

    assert world.api.objects["Service", "ns", "web"]["metadata"]["ownerReferences"][0]["name"] == "web"


async def test_a_child_that_is_being_deleted_is_waited_for(world: World) -> None:
    world.shop()
    await world.pass_()
    going = world.edit("Service")
    going["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    world.see(going)

    assert await world.pass_() == CONFLICT_RECHECK

    assert world.writes == {"status ShopService web"}
    assert "example.com/hold" in world.condition("Ready")["message"]


async def test_an_object_that_was_replaced_under_the_write_is_looked_at_again(world: World) -> None:
    world.shop()
    await world.pass_()
    world.api.objects["Deployment", "ns", "web"]["metadata"]["uid"] = "another"
    world.shop(args=["x"])

    with pytest.raises(Exception, match="another one"):
        await world.pass_()

    assert all(child.kind != "Deployment" for child in world.store.children(KEY))


@pytest.mark.parametrize(
    "error", [Refused("no."), Forbidden("no."), NotInstalled("no."), ApiUnavailable("no.")]
)
async def test_a_child_that_cannot_be_written_keeps_no_other_from_it(world: World, error: Exception) -> None:
    world.api.refusing["Service"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    if isinstance(error, Refused):
        assert await world.pass_() is None
        assert world.condition("Stalled")["status"] == "True"
    else:
        with pytest.raises(type(error)):
            await world.pass_()
        assert world.condition("Reconciling")["status"] == "True"

    assert world.writes == {"create Deployment web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["message"] == "no."


@pytest.mark.parametrize("error", [Unreachable("gone"), Throttled("busy", retry_after=3), NotLeader("lost")])
async def test_a_failure_that_all_would_share_ends_the_pass_at_once(world: World, error: Exception) -> None:
    world.api.refusing["ServiceAccount"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    with pytest.raises(type(error)):
        await world.pass_()

    assert world.writes == set()


async def test_a_spec_that_cannot_be_rendered_changes_no_child_and_says_why(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(nonsense=True)

    assert await world.pass_() is None

    assert world.writes == {"status ShopService web"}
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "nonsense" in world.condition("Stalled")["message"]


async def test_a_shopservice_that_is_gone_or_going_is_left_to_the_garbage_collector(world: World) -> None:
    assert await world.pass_() is None

    world.shop()
    going = world.edit("ShopService")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.see(going)
    await world.pass_()

    assert world.writes == set()


async def test_a_field_that_a_webhook_overrules_is_not_fought_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = world.api.apply

    async def mutating(configuration: Any, **given: Any) -> dict[str, Any]:
        live = await apply(configuration, **given)
        if configuration["kind"] == "Deployment":
            live["spec"]["template"]["spec"]["enableServiceLinks"] = True
            live = world.api.put(live)
        return live

    monkeypatch.setattr(world.api, "apply", mutating)
    world.shop()
    await world.pass_()

    await world.pass_()

    assert world.writes == set()


async def test_replicas_pass_to_an_autoscaler_with_a_second_owner_first(world: World) -> None:
    world.shop(replicas=4)
    await world.pass_()

    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    await world.pass_()

    assert world.api.writes.count("apply Deployment web") == 2  # by the second owner, then by us
    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 4


async def scaled_unseen(world: World, count: int) -> None:
    """An autoscaler sets the count, and the watch has not shown it yet."""
    deployment = world.edit("Deployment")
    deployment["spec"] = {**deployment["spec"], "replicas": count}
    world.api.put(deployment)


async def test_a_count_that_was_set_a_moment_ago_survives_the_hand_over(world: World) -> None:
    world.shop(replicas=4)
    await world.pass_()
    await scaled_unseen(world, 5)

    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    await world.pass_()

    assert world.api.writes.count("apply Deployment web") == 1


async def test_a_count_that_an_autoscaler_set_a_moment_ago_is_not_overwritten(world: World) -> None:
    autoscaling = {"minReplicas": 2, "maxReplicas": 6}
    world.shop(autoscaling=autoscaling)
    await world.pass_()
    await scaled_unseen(world, 5)

    world.shop(autoscaling=autoscaling, args=["x"])
    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 5
    assert world.store.children(KEY)[ChildId("Deployment", "web")]  # it is still believed in


async def test_a_count_that_the_watch_shows_in_the_middle_of_a_pass_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass was rendered from the count before: what the store has learned since must not vouch for it."""
    autoscaling = {"minReplicas": 2, "maxReplicas": 6}
    world.shop(autoscaling=autoscaling)
    await world.pass_()
    apply = world.api.apply

    async def scaled_meanwhile(configuration: Any, **given: Any) -> dict[str, Any]:
        if configuration["kind"] == "ServiceAccount":
            deployment = world.edit("Deployment")
            deployment["spec"] = {**deployment["spec"], "replicas": 5}
            world.see(deployment)
        return await apply(configuration, **given)

    monkeypatch.setattr(world.api, "apply", scaled_meanwhile)
    world.lose("ServiceAccount")
    world.shop(autoscaling=autoscaling, args=["x"])
    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 5


async def test_a_status_is_not_written_on_a_shopservice_that_has_changed(world: World) -> None:
    world.shop()
    world.api.put(world.edit("ShopService"))

    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["ShopService", "ns", "web"]["status"] == {}


async def test_an_edited_hash_is_drift_too(world: World) -> None:
    world.shop()
    await world.pass_()
    edited = world.edit("Service")
    edited["metadata"]["annotations"] = {HASH_ANNOTATION: "0"}
    world.see(edited)

    await world.pass_()

    assert world.writes == {"apply Service web"}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2}}, {"a": {"b": 2, "c": None}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
    ],
)
def test_a_status_patch_has_only_what_changed(
    old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]
) -> None:
    assert merge_patch(old, new) == patch
