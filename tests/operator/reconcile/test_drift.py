"""Drift: fields that other clients, webhooks or other managers change."""

from collections.abc import Callable
from typing import Any

import pytest

from shop_operator.cache.store import Store
from shop_operator.errors import (
    Contested,
)
from shop_operator.names import HASH_ANNOTATION
from tests.operator.world import (
    World,
)


def drift_of(world: World) -> dict[str, Any]:
    """The last drift in the status."""
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]["drift"]["last"]
    return found


async def test_given_an_edited_service_then_owned_fields_are_reverted_and_reported_and_foreign_fields_are_kept(
    world: World,
) -> None:
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


async def test_when_the_spec_changes_then_no_drift_is_reported(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(args=["x"], port=9090)

    await world.pass_()

    assert "drift" not in world.api.objects["ShopService", "ns", "web"]["status"]


async def test_given_an_edited_hash_annotation_then_drift_is_reported(world: World) -> None:
    world.shop()
    await world.pass_()
    edited = world.edit("Service")
    edited["metadata"]["annotations"] = {HASH_ANNOTATION: "0"}
    world.see(edited)

    await world.pass_()

    assert world.writes == {"apply Service web", "status ShopService web"}
    assert drift_of(world)["fields"] == [f"metadata.annotations.{HASH_ANNOTATION}"]


async def test_when_kubectl_rollout_undo_restores_an_earlier_hash_then_drift_is_reported_and_reverted(
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


async def test_given_a_manager_that_keeps_overwriting_fields_then_they_are_reverted_less_often_and_it_is_named(
    world: World,
) -> None:
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
    # It is reverted now and then, and the status still reports the contest.
    with pytest.raises(Contested):
        await world.pass_()
    assert "apply Service web" in world.writes
    assert world.condition("Reconciling")["reason"] == "Contested"
    await world.pass_()
    assert world.condition("Reconciling")["reason"] != "Contested"


async def test_given_a_child_that_is_deleted_repeatedly_then_it_is_reported_as_contested(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    for _ in range(9):
        world.lose("Service")
        world.clock.now -= 2  # all at once
        await world.pass_()

    world.lose("Service")
    world.clock.now -= 2
    with pytest.raises(Contested, match="Service web is deleted repeatedly; stop the client that deletes it"):
        await world.pass_()


def overruled(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """Let a webhook change the applied objects of one kind."""
    apply = world.api.apply

    async def mutating(configuration: Any, **given: Any) -> dict[str, Any]:
        live = await apply(configuration, **given)
        if configuration["kind"] == kind:
            change(live)
            live = world.api.put(live)
        return live

    monkeypatch.setattr(world.api, "apply", mutating)


async def test_given_a_field_that_a_webhook_changes_then_it_is_not_reverted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def links(live: dict[str, Any]) -> None:
        live["spec"]["template"]["spec"]["enableServiceLinks"] = True

    overruled(world, monkeypatch, "Deployment", links)
    world.shop()
    await world.pass_()

    await world.pass_()

    assert world.writes == set()


async def test_given_a_field_that_a_webhook_changes_then_ready_names_it_until_it_matches_the_spec(
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
    world.reconciler.clear()
    await world.pass_()
    assert (said(), world.writes) == ((status, message), set())
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


async def test_given_a_field_that_a_webhook_changes_when_the_operator_restarts_then_no_repair_is_reported(
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
