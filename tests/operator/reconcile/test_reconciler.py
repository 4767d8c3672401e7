"""A pass: what it writes, what it leaves alone, and what it makes of everything that goes wrong."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_hashes import Configs
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.store import Store
from shop_operator.errors import (
    ApiUnavailable,
    Contested,
    Forbidden,
    NotInstalled,
    NotLeader,
    Refused,
    Stale,
    Throttled,
    Unreachable,
)
from shop_operator.names import HASH_ANNOTATION, ChildId, Key
from shop_operator.objects.merging import merge_patch
from shop_operator.objects.ownership import CONFLICT_RECHECK
from shop_operator.objects.pod_security import Level
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.render import KINDS
from shop_operator.status.writer import Reporter
from tests.operator.clock import Clock
from tests.operator.fake_api import FakeApi, FixedKey

KEY = Key("ns", "web")


class World:
    """A cluster, an informer that misses nothing, and a reconciler."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.store = Store()
        self.wrote_children: list[str] = []
        self.repaired: list[str] = []
        self.rollbacks = 0
        self.terminals = 0
        self.states: dict[tuple[str, str], tuple[bool | None, str | None]] = {}
        self.woken: list[Key] = []
        self.clock = Clock()
        self.told: list[tuple[str, str, bool]] = []
        self.served = frozenset(kind.kind for kind in KINDS)
        self.configs = Configs(self.api, FixedKey(), self.woken.extend)
        self.diagnose_logs = True
        self.level: Level = "restricted"
        self.protected = frozenset({"kube-system"})
        self.restart()

    def restart(self) -> None:
        """A new process over the same cluster."""
        reporter = Reporter(
            self.api, self.store, self, self, self.woken.extend, self.clock, logs=self.diagnose_logs
        )
        self.reconciler = Reconciler(
            self.api,
            self.store,
            reporter,
            self,
            configs=self.configs,
            served=lambda: self.served,
            namespaces=Namespaces(self.level, self.protected, self.wake_namespace, lambda: None),
            now=self.clock.date,
            clock=self.clock,
        )

    def wake_namespace(self, name: str) -> None:
        self.woken.extend(self.store.in_namespace(name))

    def tell(self, _: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        self.told.append((reason, note, warning))

    def drifted(self, kind: str) -> None:
        self.repaired.append(kind)

    def rolled_back(self) -> None:
        self.rollbacks += 1

    def terminal(self) -> None:
        self.terminals += 1

    def status(self, namespace: str, name: str, *, ready: bool | None, stalled: str | None) -> None:
        self.states[namespace, name] = (ready, stalled)

    def gone(self, namespace: str, name: str) -> None:
        self.states.pop((namespace, name), None)

    def wrote(self, kind: str, operation: str) -> None:
        self.wrote_children.append(f"{operation} {kind}")

    def shop(self, **spec: Any) -> None:
        """Create or change the ShopService."""
        found = self.api.objects.get(("ShopService", *KEY), {})
        metadata = found.get(
            "metadata",
            {
                "namespace": "ns",
                "name": "web",
                "generation": 0,
                "creationTimestamp": self.clock.date().isoformat(),
            },
        )
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

    def hide(self, kind: str, name: str) -> None:
        """Somebody takes our label off an object, and its watch shows it no more."""
        found = self.edit(kind, name)
        found["metadata"]["labels"] = {}
        self.store.remove(self.api.put(found))

    async def pass_(self) -> float | None:
        """One pass, a while after the one before; `writes` has only what this one wrote."""
        self.clock.now += 2
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

    world.restart()
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


async def test_an_edited_field_is_put_back_and_said_and_a_foreign_one_left_alone(world: World) -> None:
    world.shop()
    await world.pass_()
    edited = world.edit("Service")
    edited["spec"] = {**edited["spec"], "selector": {"evil": "yes"}, "sessionAffinity": "ClientIP"}
    edited["metadata"]["managedFields"] = [
        {
            "manager": "mallory",
            "time": "2030",
            "operation": "Update",
            "fieldsV1": {"f:spec": {"f:selector": {}}},
        }
    ]
    world.see(edited)

    await world.pass_()

    assert world.writes == {"apply Service web", "status ShopService web"}
    spec = world.api.objects["Service", "ns", "web"]["spec"]
    assert spec["sessionAffinity"] == "ClientIP"
    drift = world.api.objects["ShopService", "ns", "web"]["status"]["drift"]
    assert drift["count"] == 1
    assert drift["last"]["object"] == "Service web"
    assert "spec.selector.evil" in drift["last"]["fields"]
    assert drift["last"]["manager"] == "mallory"
    ((reason, note, warning),) = world.told
    assert (reason, warning, world.repaired) == ("DriftRepaired", True, ["Service"])
    assert "Service web: " in note
    assert "mallory" in note

    await world.pass_()
    assert world.writes == set()


async def test_a_change_of_the_spec_is_no_drift(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(args=["x"], port=9090)

    await world.pass_()

    assert "drift" not in world.api.objects["ShopService", "ns", "web"]["status"]


async def test_somebody_who_never_gives_up_is_answered_ever_more_slowly_and_named(world: World) -> None:
    world.shop()
    await world.pass_()

    async def fight() -> None:
        edited = world.edit("Service")
        edited["spec"] = {**edited["spec"], "selector": {"evil": "yes"}}
        edited["metadata"]["managedFields"] = [
            {
                "manager": "mallory",
                "time": "2030",
                "operation": "Update",
                "fieldsV1": {"f:spec": {"f:selector": {}}},
            }
        ]
        world.see(edited)
        world.clock.now -= 2  # all at once
        await world.pass_()

    for _ in range(9):
        await fight()
    with pytest.raises(Contested, match="Service web: mallory keeps overwriting") as contested:
        await fight()
    assert "apply Service web" in world.writes
    assert contested.value.retry_after == 2

    with pytest.raises(Contested):
        await fight()
    assert "apply Service web" not in world.writes
    # Once in a while it is put back, and that it is contested stays said.
    with pytest.raises(Contested):
        await world.pass_()
    assert "apply Service web" in world.writes
    assert world.condition("Reconciling")["reason"] == "Contested"
    await world.pass_()
    assert world.condition("Reconciling")["reason"] != "Contested"


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


async def test_what_left_the_spec_is_pruned_although_somebody_took_our_label_off_it(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    # What its watch shows of that: it has gone.
    world.hide("Deployment", "web-relay")
    world.restart()

    world.shop()
    await world.pass_()
    assert "delete Deployment web-relay" in world.writes

    reads = world.api.reads
    world.shop(env=[{"name": "A", "value": "1"}])
    await world.pass_()
    assert world.api.reads == reads


async def test_what_no_status_lists_yet_is_pruned_too_when_no_watch_shows_it(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    world.api.refusing["ShopService"] = Throttled("busy")
    with pytest.raises(Throttled):
        await world.pass_()
    world.hide("Deployment", "web-relay")

    world.shop()
    del world.api.refusing["ShopService"]
    await world.pass_()

    assert "delete Deployment web-relay" in world.writes


async def test_a_pruned_child_is_not_looked_for(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    world.shop()
    await world.pass_()
    world.shop(env=[{"name": "A", "value": "1"}])
    await world.pass_()

    assert world.api.reads == 0


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
    assert "Service web" in world.condition("Ready")["message"]


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


async def test_a_child_that_lost_its_owner_to_an_orphaning_deletion_is_left_alone(world: World) -> None:
    world.shop()
    await world.pass_()
    # The watch of ShopServices is behind that of their children.
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
    "error", [Refused("no."), Forbidden("no."), NotInstalled("no."), ApiUnavailable("no."), Throttled("no.")]
)
async def test_a_child_that_cannot_be_written_keeps_no_other_from_it(world: World, error: Exception) -> None:
    world.api.refusing["Service"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    if isinstance(error, Refused):
        assert await world.pass_() == pytest.approx(15, rel=0.2)
        assert world.condition("Stalled")["status"] == "True"
    elif isinstance(error, NotInstalled):
        # A watch tells when it is.
        assert await world.pass_() == CONFLICT_RECHECK
        assert world.condition("Reconciling")["status"] == "True"
    else:
        with pytest.raises(type(error)):
            await world.pass_()
        assert world.condition("Reconciling")["status"] == "True"

    assert world.writes == {"create Deployment web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["message"] == "no."


@pytest.mark.parametrize("error", [Unreachable("gone"), NotLeader("lost")])
async def test_a_failure_that_all_would_share_ends_the_pass_at_once(world: World, error: Exception) -> None:
    world.api.refusing["ServiceAccount"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    with pytest.raises(type(error)):
        await world.pass_()

    assert world.writes == set()


async def test_an_api_server_that_is_too_busy_for_two_kinds_is_asked_for_no_third(world: World) -> None:
    world.shop(autoscaling={"maxReplicas": 3})
    for kind in ("Service", "Deployment"):
        world.api.refusing[kind] = Throttled("busy.", retry_after=3)

    with pytest.raises(Throttled) as caught:
        await world.pass_()

    assert caught.value.retry_after == 3
    assert world.writes == {"create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["reason"] == "Throttled"


async def test_a_spec_that_cannot_be_rendered_changes_no_child_and_says_why(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(nonsense=True)

    assert await world.pass_() is None

    assert world.writes == {"status ShopService web"}
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "nonsense" in world.condition("Ready")["message"]


async def test_a_shopservice_that_is_gone_or_going_is_left_to_the_garbage_collector(world: World) -> None:
    assert await world.pass_() is None

    world.shop()
    going = world.edit("ShopService")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.see(going)
    await world.pass_()

    assert world.writes == set()


def overruled(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """A webhook changes whatever is applied of one kind."""
    apply = world.api.apply

    async def mutating(configuration: Any, **given: Any) -> dict[str, Any]:
        live = await apply(configuration, **given)
        if configuration["kind"] == kind:
            change(live)
            live = world.api.put(live)
        return live

    monkeypatch.setattr(world.api, "apply", mutating)


async def test_a_field_that_a_webhook_overrules_is_not_fought_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def links(live: dict[str, Any]) -> None:
        live["spec"]["template"]["spec"]["enableServiceLinks"] = True

    overruled(world, monkeypatch, "Deployment", links)
    world.shop()
    await world.pass_()

    await world.pass_()

    assert world.writes == set()


async def test_a_field_that_a_webhook_overrules_is_named_by_ready_until_it_is_as_the_spec_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_port(live: dict[str, Any]) -> None:
        live["spec"]["ports"][0]["port"] = 1

    overruled(world, monkeypatch, "Service", another_port)
    world.shop()
    await world.pass_()
    state = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    progressed = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    live = world.edit("Deployment")
    generation = live["metadata"]["generation"]
    world.see({**live, "status": {"observedGeneration": generation, "conditions": [progressed], **state}})

    def said() -> tuple[str, str]:
        ready = world.condition("Ready")
        return ready["status"], ready["message"]

    await world.pass_()
    status, message = said()
    assert status == "True"
    assert message == (
        "All resources are ready. These fields do not match the spec, because the API server or an admission webhook changes"
        " them: Service web (spec.ports[port=8080,protocol=TCP])."
    )
    await world.pass_()
    assert world.writes == set()
    world.store = Store()
    for obj in list(world.api.objects.values()):
        world.store.put(obj)
    world.restart()
    await world.pass_()
    assert said() == (status, message)
    await world.pass_()
    assert world.writes == set()

    service = world.edit("Service")
    port = {**service["spec"]["ports"][0], "port": 8080}
    world.see({**service, "spec": {**service["spec"], "ports": [port]}})
    await world.pass_()
    assert said() == ("True", "All resources match the spec and are ready.")


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

    assert world.writes == {"apply Service web", "status ShopService web"}
    assert drift_of(world)["fields"] == [f"metadata.annotations.{HASH_ANNOTATION}"]


def drift_of(world: World) -> dict[str, Any]:
    """The last drift that the status tells of."""
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]["drift"]["last"]
    return found


async def test_a_roll_out_that_somebody_undoes_is_drift_although_it_takes_our_annotation_along(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    earlier = world.edit("Deployment")["metadata"]["annotations"]
    world.shop(args=["new"])
    await world.pass_()
    undone = world.edit("Deployment")
    undone["metadata"]["annotations"] = earlier
    undone["spec"] = {**undone["spec"], "template": {"spec": {"containers": []}}}
    world.see(undone)

    await world.pass_()

    assert "apply Deployment web" in world.writes
    assert drift_of(world)["object"] == "Deployment web"
    assert any(path.startswith("spec.template") for path in drift_of(world)["fields"])


@pytest.mark.parametrize(
    ("spec", "count"),
    [({"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}, 8), ({"replicas": 3}, 3)],
)
@pytest.mark.parametrize("hidden", ["no label", "another label"])
async def test_a_deployment_that_lost_our_label_gets_it_back_and_keeps_its_count(
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


async def test_a_count_that_a_person_has_set_stays_when_the_autoscaler_goes(world: World) -> None:
    world.shop(autoscaling={"minReplicas": 2, "maxReplicas": 9})
    await world.pass_()
    scaled = world.edit("Deployment")
    scaled["spec"] = {**scaled["spec"], "replicas": 7}
    scaled["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    world.see(scaled)
    await world.pass_()

    world.shop()
    await world.pass_()
    await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 7


async def test_a_child_that_no_watch_shows_and_that_is_not_put_back_at_once_is_asked_for_again(
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

    # Its ShopService is made anew, and no watch shows that the garbage collector takes it: it has not got our label back.
    again = world.edit("ShopService")
    again["metadata"]["uid"] = "another"
    world.see(again)
    world.api.forget(("Service", "ns", "web"))
    world.clock.now += 60
    await world.pass_()

    assert "create Service web" in world.writes


async def test_a_child_that_is_deleted_again_and_again_is_made_again_ever_more_slowly(world: World) -> None:
    world.shop()
    await world.pass_()
    for _ in range(9):
        world.lose("Service")
        world.clock.now -= 2  # all at once
        await world.pass_()

    world.lose("Service")
    world.clock.now -= 2
    with pytest.raises(Contested, match="Service web: another manager keeps overwriting"):
        await world.pass_()


async def test_a_field_that_a_webhook_overrules_is_not_told_as_put_back_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_port(live: dict[str, Any]) -> None:
        live["spec"]["ports"][0]["port"] = 1

    overruled(world, monkeypatch, "Service", another_port)
    world.shop()
    await world.pass_()
    world.store.put(world.api.objects["Service", "ns", "web"])
    world.restart()

    await world.pass_()

    assert world.repaired == []


async def test_variables_that_cannot_be_read_keep_pods_as_they_are_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    world.lose("Service")

    async def forbidden(*_: Any) -> None:
        raise Forbidden("no right to read ConfigMaps")

    world.configs = Configs(world.api, FixedKey(), world.woken.extend)
    monkeypatch.setattr(world.api, "get", forbidden)
    world.restart()
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}], args=["new"])
    with pytest.raises(Forbidden):
        await world.pass_()

    assert {"create Service web", "status ShopService web"} == world.writes
    assert world.condition("Reconciling")["reason"] == "Forbidden"


async def test_an_account_that_we_made_and_the_user_now_names_is_kept(world: World) -> None:
    world.shop()
    await world.pass_()

    world.shop(serviceAccount={"name": "web"})
    await world.pass_()
    await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def test_what_somebody_contests_does_not_hide_what_fails(world: World) -> None:
    world.shop()
    await world.pass_()
    for _ in range(10):
        world.lose("Service")
        world.clock.now -= 2
        with contextlib.suppress(Contested):
            await world.pass_()
    world.lose("Service")
    world.lose("Deployment")
    world.api.refusing["Deployment"] = ApiUnavailable("broken")

    world.clock.now -= 2
    with pytest.raises(ApiUnavailable):
        await world.pass_()


def other(world: World, name: str, *, available: bool = False, **spec: Any) -> None:
    """Another ShopService of the namespace, as its own pass has left it."""
    conditions = [{"type": "Available", "status": str(available)}]
    metadata = {"namespace": "ns", "name": name, "generation": 1}
    found = world.api.objects.get(("ShopService", "ns", name))
    if found is not None:
        metadata = found["metadata"]
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": metadata,
            "spec": {"image": "shop:1", **spec},
            "status": {"conditions": conditions},
        }
    )


async def test_the_first_pods_wait_for_dependencies_and_nothing_else_does(world: World) -> None:
    other(world, "product", port=80)
    world.shop(dependsOn=["product"])

    again = await world.pass_()

    assert again == pytest.approx(118)
    assert world.writes == {"create Service web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["reason"] == "WaitingForDependencies"
    assert world.condition("DependenciesReady")["reason"] == "Unavailable"
    assert [reason for reason, *_ in world.told] == ["WaitingForDependencies"]

    other(world, "product", port=80, available=True)
    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["status"] == "True"
    env = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "PRODUCT_URL", "value": "http://product.ns.svc:80"}]


async def test_whoever_waits_is_woken_by_the_status_that_we_write_ourselves(world: World) -> None:
    """Its event comes from the watch when the store knows it already, and is no news then."""
    other(world, "order", dependsOn=["web"])
    world.shop()
    await world.pass_()
    world.woken.clear()
    live = world.edit("Deployment")
    live["status"] = {"availableReplicas": 1, "conditions": [{"type": "Available", "status": "True"}]}
    world.see(live)

    await world.pass_()

    assert world.woken == [Key("ns", "order")]


async def test_how_it_is_can_be_measured_until_it_is_gone(world: World) -> None:
    world.shop()
    await world.pass_()
    assert world.states == {("ns", "web"): (False, None)}
    world.shop(nonsense=True)
    await world.pass_()
    assert world.states == {("ns", "web"): (False, "InvalidSpec")}
    world.lose("ShopService")
    await world.pass_()
    assert world.states == {}


async def test_nobody_waits_longer_than_the_grace(world: World) -> None:
    world.shop(dependsOn=["product"])
    await world.pass_()
    assert world.condition("DependenciesReady")["reason"] == "Missing"

    world.clock.now += 120
    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["reason"] == "Missing"


async def test_a_dependency_that_fails_later_takes_nobody_down(world: World) -> None:
    other(world, "product", available=True)
    world.shop(dependsOn=["product"])
    await world.pass_()

    other(world, "product", available=False)
    await world.pass_()
    assert world.writes == {"status ShopService web"}
    world.lose("Deployment")
    status = world.edit("ShopService")
    status["status"] = {**status["status"], "image": "shop:1"}
    world.see(status)
    await world.pass_()

    assert "create Deployment web" in world.writes


async def test_those_who_depend_on_each_other_do_not_wait_and_are_told(world: World) -> None:
    other(world, "product", dependsOn=["web"])
    world.shop(dependsOn=["product"])

    await world.pass_()

    assert "create Deployment web" in world.writes
    assert world.condition("DependenciesReady")["reason"] == "Cycle"
    assert "web → product → web" in world.condition("DependenciesReady")["message"]


async def test_a_dependant_is_let_in_as_soon_as_it_is_one(world: World) -> None:
    world.shop(networkPolicy={})
    await world.pass_()
    assert world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"] == []

    other(world, "order", dependsOn=["web"])
    await world.pass_()

    (rule,) = world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["order"]


async def test_what_is_suspended_is_left_as_it_is(world: World) -> None:
    world.shop()
    await world.pass_()
    world.lose("Service")
    world.shop(suspend=True, args=["x"])

    await world.pass_()

    assert world.writes == {"status ShopService web"}
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Suspended")
    assert world.api.objects["ShopService", "ns", "web"]["status"]["suspended"] is True

    world.shop(args=["x"])
    await world.pass_()
    assert {"apply Deployment web", "create Service web"} <= world.writes
    assert "suspended" not in world.api.objects["ShopService", "ns", "web"]["status"]


async def test_a_queue_without_keda_is_said_and_scaled_by_what_else_there_is(world: World) -> None:
    world.served = frozenset({"Deployment"})
    queue = {"urlFrom": "QUEUE", "region": "eu-west-1"}
    world.shop(autoscaling={"maxReplicas": 3, "cpu": 70, "queue": queue})

    assert await world.pass_() == CONFLICT_RECHECK

    assert "create HorizontalPodAutoscaler web" in world.writes
    assert "requires KEDA" in world.condition("Ready")["message"]

    world.served = frozenset({"Deployment", "ScaledObject"})
    await world.pass_()

    assert {"create ScaledObject web", "delete HorizontalPodAutoscaler web"} <= world.writes
    assert world.api.objects["Deployment", "ns", "web"]["spec"]["replicas"] == 1


def config(world: World, kind: str = "ConfigMap", **data: str) -> dict[str, Any]:
    return world.api.put(
        {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "ns", "name": "settings"}, "data": data}
    )


def template_of(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    return found


async def test_a_configmap_that_changes_brings_new_pods_and_one_that_is_only_touched_does_not(
    world: World,
) -> None:
    config(world, LEVEL="info")
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    before = template_of(world)
    assert before["metadata"]["annotations"].keys() == {"shopservice.dev/config-checksum"}
    assert world.api.reads == 1

    world.configs.seen("MODIFIED", config(world, LEVEL="info"))
    await world.pass_()
    assert (template_of(world), world.api.reads, world.woken) == (before, 2, [KEY])

    world.configs.seen("MODIFIED", config(world, LEVEL="debug"))
    await world.pass_()
    assert template_of(world) != before
    await world.pass_()
    assert (world.writes, world.api.reads) == (set(), 3)


async def test_an_upgrade_replaces_no_pods_that_were_made_without_a_checksum(world: World) -> None:
    config(world, LEVEL="info")
    world.configs = Configs(world.api, FixedKey(), world.woken.extend, enabled=False)
    world.restart()
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    before = template_of(world)

    world.configs = Configs(world.api, FixedKey(), world.woken.extend)
    world.restart()
    await world.pass_()
    assert template_of(world) == before
    world.restart()
    await world.pass_()
    assert world.writes == set()

    world.configs.seen("MODIFIED", config(world, LEVEL="debug"))
    await world.pass_()
    changed = template_of(world)
    assert changed["metadata"]["annotations"].keys() == {"shopservice.dev/config-checksum"}
    await world.pass_()
    assert (world.writes, template_of(world)) == (set(), changed)


def good_of(world: World) -> str:
    """The image of the last good release, while none is rejected."""
    rollout = world.api.objects["ShopService", "ns", "web"]["status"]["rollout"]
    assert "rejectedImage" not in rollout
    image: str = rollout["lastAvailableImage"]
    return image


def rolling(world: World, reason: str = "", available: int = 0, **more: Any) -> None:
    """What the Deployment controller says of the Deployment as it is now."""
    live = world.edit("Deployment")
    progressing = [{"type": "Progressing", "status": "False", "reason": reason}] if reason else []
    live["status"] = {
        "observedGeneration": live["metadata"].get("generation", 0),
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": progressing,
        **more,
    }
    world.see(live)


def image_of(world: World) -> str:
    image: str = template_of(world)["spec"]["containers"][0]["image"]
    return image


async def given_up(world: World, **state: Any) -> float | None:
    """The Deployment is over its deadline, and still is when that is beyond doubt."""
    rolling(world, "ProgressDeadlineExceeded", **state)
    await world.pass_()
    world.clock.now += 8
    return await world.pass_()


async def test_an_image_that_fails_gives_way_to_the_last_good_one_until_the_spec_names_another(
    world: World,
) -> None:
    rollout = {"rollout": {"autoRollback": True}}
    world.shop(image="shop:1", **rollout)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()

    world.shop(image="shop:2", **rollout)
    await world.pass_()
    assert image_of(world) == "shop:2"
    await given_up(world)
    assert (image_of(world), world.rollbacks) == ("shop:2", 1)
    reasons = [reason for reason, *_ in world.told]
    assert [each for each in reasons if each != "Ready"] == ["ProgressDeadlineExceeded", "RollingBack"]

    await world.pass_()
    assert image_of(world) == "shop:1"
    rolling(world, available=1)
    await world.pass_()
    await world.pass_()
    assert image_of(world) == "shop:1"
    assert world.writes == set()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    assert ready["message"].startswith(
        "Rolled back to the release with shop:1, which is available: the rollout of shop:2 failed."
    )
    assert world.condition("Stalled")["status"] == "True"
    assert world.rollbacks == 1

    world.shop(image="shop:3", **rollout)
    await world.pass_()
    assert image_of(world) == "shop:3"
    rolling(world, available=1)
    await world.pass_()
    status = world.api.objects["ShopService", "ns", "web"]["status"]
    assert status["rollout"]["lastAvailable"] == {"image": "shop:3"}
    assert "rejectedImage" not in status["rollout"]
    assert world.condition("Ready")["status"] == "True"


async def test_an_image_that_fails_stays_without_a_good_one_or_without_the_wish(world: World) -> None:
    for spec in ({"rollout": {"autoRollback": True}}, {}):
        world.shop(image="shop:1", **spec)
        await world.pass_()
        await given_up(world)
        await world.pass_()

        assert image_of(world) == "shop:1"
    assert world.rollbacks == 0


def container(world: World, **state: Any) -> None:
    """How the container of the one pod is."""
    labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "web"}
    world.api.put(
        {
            "kind": "Pod",
            "metadata": {"namespace": "ns", "name": "web-1", "labels": labels},
            "status": {"containerStatuses": [{"name": "app", **state}]},
        }
    )


def crash(world: World) -> None:
    """It has ended again and again."""
    container(
        world,
        restartCount=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 1}},
    )
    world.api.logs["web-1", "app", True] = "starting\nno such table: orders\n\n"


async def test_pods_that_do_not_get_ready_are_looked_at_after_a_while_and_say_why(world: World) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    assert await world.pass_() == pytest.approx(5)
    assert world.api.reads == 0
    crash(world)

    world.clock.now += 3
    assert await world.pass_() == pytest.approx(15)

    ready = world.condition("Ready")
    assert ready["reason"] == "CrashLoopBackOff"
    assert ready["message"] == (
        "Deployment web: container app exited with code 1 and was restarted; last log line: no such table: orders."
    )
    assert world.api.reads == 2

    rolling(world, available=1)
    assert await world.pass_() is None
    assert world.condition("Ready")["status"] == "True"


async def test_a_status_that_follows_its_children_is_written_once_a_second_and_nothing_is_lost(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    statuses = 0
    for number in range(20):
        rolling(world, available=number % 2)
        world.clock.now -= 1.9
        await world.pass_()
        statuses += len(world.writes)
        assert world.writes <= {"status ShopService web"}
    assert 1 <= statuses <= 3

    world.clock.now += 1
    await world.pass_()
    assert world.condition("Ready")["status"] == "True"
    world.shop(args=["x"])
    world.clock.now -= 2
    await world.pass_()
    assert "status ShopService web" in world.writes


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


CAREFUL = {"rollout": {"autoRollback": True}}


def status_of(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]
    return found


async def rolled_out(world: World, **spec: Any) -> None:
    """The ShopService is as it shall be, and its pods are available."""
    world.shop(**CAREFUL, **spec)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()


async def test_what_is_suspended_after_a_rollback_keeps_its_good_image(world: World) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    await given_up(world)
    await world.pass_()
    rolling(world, available=1)

    world.shop(image="shop:2", suspend=True, **CAREFUL)
    await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert status_of(world)["rollout"]["lastAvailableImage"] == "shop:1"
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    assert image_of(world) == "shop:1"


async def test_an_image_that_comes_with_the_suspension_never_ran(world: World) -> None:
    await rolled_out(world)

    world.shop(image="shop:2", suspend=True, **CAREFUL)
    await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert good_of(world) == "shop:1"


@pytest.mark.parametrize("error", [Stale("moved."), ApiUnavailable("no."), Forbidden("no."), Refused("no.")])
async def test_an_image_that_could_not_be_applied_is_no_good_one(world: World, error: Exception) -> None:
    await rolled_out(world)
    world.api.refusing["Deployment"] = error  # type: ignore[assignment]  # each is an OperatorError

    world.shop(image="shop:2", **CAREFUL)
    with contextlib.suppress(type(error)):
        await world.pass_()

    assert status_of(world)["image"] == "shop:1"
    assert good_of(world) == "shop:1"


async def test_a_rollback_that_was_decided_is_carried_out_at_once(world: World) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    # No pod of it could be created, and so none is waited for.
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    again = await given_up(world, available=1, updatedReplicas=0, conditions=[failed, late])

    assert (again, world.rollbacks) == (0, 1)
    await world.pass_()
    assert image_of(world) == "shop:1"


async def test_a_deadline_that_an_earlier_version_has_missed_rejects_no_image_that_was_not_tried(
    world: World,
) -> None:
    """The Deployment controller says it of the new version too, if it knows its ReplicaSet, until that shows progress."""
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    await given_up(world)
    world.shop(image="shop:0", **CAREFUL)
    await world.pass_()

    rolling(world, "ProgressDeadlineExceeded")
    assert await world.pass_() == pytest.approx(10)
    world.clock.now += 7
    assert await world.pass_() == pytest.approx(1)
    rolling(world)
    await world.pass_()
    rolling(world, available=1)
    world.clock.now += 10
    await world.pass_()

    assert good_of(world) == "shop:0"
    assert world.rollbacks == 1


async def test_a_deadline_is_doubted_anew_for_every_version(world: World) -> None:
    await rolled_out(world)
    world.shop(image="shop:2", **CAREFUL)
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    await world.pass_()
    world.clock.now += 6

    world.shop(image="shop:0", **CAREFUL)
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    await world.pass_()

    assert world.rollbacks == 0


async def test_a_restart_over_what_fails_writes_and_tells_nothing(world: World) -> None:
    world.shop()
    await world.pass_()
    rolling(world, "ProgressDeadlineExceeded")
    crash(world)
    await world.pass_()
    world.clock.now += 5
    await world.pass_()
    assert world.condition("Stalled")["reason"] == "CrashLoopBackOff"
    world.told.clear()

    world.restart()
    for _ in range(5):
        await world.pass_()
        assert world.writes == set()

    assert world.told == []


async def test_a_restart_during_a_roll_out_has_the_patience_of_the_process_before(world: World) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    await world.pass_()
    container(world, ready=False, state={"running": {}})

    world.restart()
    assert await world.pass_() == pytest.approx(5)

    assert (world.writes, world.api.reads) == (set(), 0)


async def test_a_container_that_has_ended_once_has_last_words_of_its_own(world: World) -> None:
    world.shop()
    await world.pass_()
    rolling(world)
    container(world, restartCount=0, state={"terminated": {"exitCode": 2}})
    world.api.logs["web-1", "app", False] = "no such queue: orders"
    await world.pass_()

    world.clock.now += 5
    await world.pass_()

    assert "last log line: no such queue: orders" in world.condition("Ready")["message"]


async def test_what_only_a_person_can_change_is_counted_and_what_is_repeated_is_not(world: World) -> None:
    world.shop(nonsense=True)
    await world.pass_()
    assert world.terminals == 1

    world.shop()
    world.api.refusing["Service"] = ApiUnavailable("no.")
    with pytest.raises(ApiUnavailable):
        await world.pass_()
    assert world.terminals == 1


async def test_a_child_of_a_deleted_shopservice_of_the_same_name_is_waited_for(world: World) -> None:
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
