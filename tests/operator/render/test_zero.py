"""Zero pods: their owner, disabled autoscalers, and the count with which a deleted Deployment returns."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.scaling import REPLICAS_AND_AUTOSCALING
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.snapshot import Child, Scaler
from shop_operator.errors import InvalidSpec, NotLeader
from shop_operator.names import HANDOVER_MANAGER, KEPT_COUNT_ANNOTATION
from shop_operator.render import LiveScale, Surroundings, render
from tests.operator.world import KEY, World

SCALED: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 6}
QUEUE: dict[str, Any] = {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"}
QUEUED: dict[str, Any] = {"minReplicas": 1, "maxReplicas": 6, "queue": QUEUE}
WORKER: dict[str, Any] = {"name": "relay", "command": ["relay"]}


def shop(**spec: Any) -> ShopService:
    return ShopService("web", "ns", "u", 1, document={"image": "shop:1", **spec})


def sent(given: ShopService, live: LiveScale | None) -> dict[str, int | None]:
    """The applied replica count of each Deployment."""
    children = render(given, live=live)
    return {c["metadata"]["name"]: c["spec"].get("replicas") for c in children if c["kind"] == "Deployment"}


def kinds(given: ShopService) -> set[str]:
    return {child["kind"] for child in render(given, live=None)}


def owned_by(*managers: str) -> Scaler:
    """The owner of the replica count of a Deployment with these managers of spec.replicas."""
    return Child.of(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "uid": "d",
                "resourceVersion": "2",
                "managedFields": [
                    {"manager": each, "fieldsV1": {"f:spec": {"f:replicas": {}}}} for each in managers
                ],
            },
            "spec": {"replicas": 0},
        }
    ).scaled_by


@pytest.mark.parametrize(
    ("managers", "scaler"),
    [
        (("shop-operator",), Scaler.OPERATOR),
        (("shop-operator", "kubectl"), Scaler.SHARED),
        (("kubectl",), Scaler.OTHER),
        (("shop-operator", HANDOVER_MANAGER), Scaler.AUTOSCALER),
        (("kube-controller-manager",), Scaler.AUTOSCALER),
        (("keda",), Scaler.KEDA),
        ((), Scaler.OTHER),
    ],
)
def test_given_managed_fields_then_they_tell_which_scaler_set_the_replica_count(
    managers: tuple[str, ...], scaler: Scaler
) -> None:
    assert owned_by(*managers) is scaler


def test_given_a_scaledobject_and_zero_replicas_then_no_count_is_sent() -> None:
    live = LiveScale({"web": 0}, event_driven={"web"}, unchosen={"web"})

    assert sent(shop(autoscaling=QUEUED), live) == {"web": None}


def test_given_zero_replicas_left_by_keda_when_an_hpa_takes_over_then_the_minimum_is_sent() -> None:
    # An idle queue has scaled it to zero, which a HorizontalPodAutoscaler never leaves.
    live = LiveScale({"web": 0}, event_driven={"web"})

    assert sent(shop(autoscaling=SCALED), live) == {"web": 2}
    assert sent(shop(autoscaling=SCALED), LiveScale({"web": 0}, unchosen={"web"})) == {"web": 2}


def test_given_zero_replicas_left_by_the_operator_when_a_scaledobject_takes_over_then_one_replica_is_sent() -> (
    None
):
    live = LiveScale({"web": 0}, ours={"web"}, unchosen={"web"})

    assert sent(shop(autoscaling=QUEUED), live) == {"web": 1}


def test_given_zero_replicas_left_by_keda_when_keda_is_uninstalled_then_one_replica_is_sent() -> None:
    """Nothing else would create the first pod, and messages would wait for ever."""
    live = LiveScale({"web": 0}, unchosen={"web"})

    objects = render(
        shop(autoscaling=QUEUED | {"minReplicas": 0}), live=live, around=Surroundings(served=frozenset())
    )

    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 1


def test_given_replicas_0_and_autoscaling_then_no_autoscaler_is_rendered() -> None:
    off = shop(replicas=0, autoscaling=SCALED)

    assert sent(off, LiveScale({"web": 4}, autoscaled={"web"})) == {"web": 0}
    assert not kinds(off) & {"HorizontalPodAutoscaler", "PodDisruptionBudget"}
    assert "ScaledObject" not in kinds(shop(replicas=0, autoscaling=QUEUED))
    assert "HorizontalPodAutoscaler" in kinds(shop(autoscaling=SCALED))


def test_given_a_worker_with_replicas_0_and_autoscaling_then_no_autoscaler_is_rendered() -> None:
    off = shop(workers=[WORKER | {"replicas": 0, "autoscaling": SCALED}])

    assert sent(off, None) == {"web": 1, "web-relay": 0}
    assert "HorizontalPodAutoscaler" not in kinds(off)


@pytest.mark.parametrize("spec", [{}, {"workers": [WORKER | {"replicas": 1, "autoscaling": SCALED}]}])
def test_given_replicas_above_0_and_autoscaling_then_they_are_refused_with_both_alternatives(
    spec: dict[str, Any],
) -> None:
    given = shop(**(spec or {"replicas": 3, "autoscaling": SCALED}))

    with pytest.raises(InvalidSpec, match="set replicas to 0 to turn it off"):
        assert given.spec
    assert "remove replicas" in REPLICAS_AND_AUTOSCALING


def scaled_by(world: World, manager: str, count: int, name: str = "web") -> None:
    """Set the count of a Deployment as another manager."""
    found = world.edit("Deployment", name)
    found["spec"] = {**found["spec"], "replicas": count}
    found["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    world.see(found)


def count(world: World, name: str = "web") -> int:
    number: int = world.api.objects["Deployment", "ns", name]["spec"]["replicas"]
    return number


async def test_given_zero_replicas_set_by_a_night_tool_then_they_stay_and_no_drift_is_reported(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()

    scaled_by(world, "kube-green", 0)
    await world.pass_()
    await world.pass_()

    assert count(world) == 0
    assert world.repaired == []
    assert "drift" not in world.api.objects["ShopService", "ns", "web"]["status"]

    world.shop(autoscaling=SCALED, env=[{"name": "A", "value": "1"}])
    await world.pass_()
    assert count(world) == 0


async def test_given_zero_replicas_during_a_pause_of_keda_then_they_stay_and_no_drift_is_reported(
    world: World,
) -> None:
    world.shop(autoscaling=QUEUED)
    await world.pass_()
    paused = world.edit("ScaledObject")
    paused["metadata"]["annotations"] = paused["metadata"]["annotations"] | {
        "autoscaling.keda.sh/paused-replicas": "0"
    }
    world.see(paused)

    scaled_by(world, "keda", 0)
    await world.pass_()
    world.restart()
    await world.pass_()

    assert count(world) == 0
    assert world.repaired == []
    assert "autoscaling.keda.sh/paused-replicas" in str(world.api.objects["ScaledObject", "ns", "web"])


async def test_given_an_autoscaled_shopservice_when_it_is_switched_off_and_on_then_it_returns_at_the_minimum(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()
    scaled_by(world, "kube-controller-manager", 5)

    world.shop(replicas=0, autoscaling=SCALED)
    await world.pass_()

    assert count(world) == 0
    assert ("HorizontalPodAutoscaler", "ns", "web") not in world.api.objects
    assert world.api.objects["ShopService", "ns", "web"]["status"]["autoscaling"] == "off"

    world.shop(autoscaling=SCALED)
    await world.pass_()

    assert count(world) == 2
    assert ("HorizontalPodAutoscaler", "ns", "web") in world.api.objects
    assert world.repaired == []


async def test_given_zero_replicas_set_by_a_tool_when_it_is_switched_off_and_on_then_it_returns_at_the_minimum(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()
    scaled_by(world, "kube-green", 0)
    await world.pass_()
    world.shop(replicas=0, autoscaling=SCALED)
    await world.pass_()

    world.shop(autoscaling=SCALED)
    await world.pass_()

    assert count(world) == 2


@pytest.mark.parametrize(("live", "back"), [(5, 5), (9, 6), (1, 2), (0, 2)])
async def test_given_an_autoscaled_deployment_when_it_is_deleted_then_it_returns_with_its_live_count_in_bounds(
    world: World, live: int, back: int
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()
    scaled_by(world, "kube-controller-manager", live)
    await world.pass_()

    world.lose("Deployment")
    await world.pass_()

    assert count(world) == back
    assert world.repaired == ["Deployment"]
    assert (
        "Recreated",
        f"Deployment web was deleted by another client and has been recreated with {back} replicas.",
        True,
    ) in world.told
    drift = world.api.objects["ShopService", "ns", "web"]["status"]["drift"]
    assert (drift["count"], drift["last"]["object"]) == (1, "Deployment web")

    await world.pass_()
    assert count(world) == back


async def test_given_a_stopped_operator_when_a_deployment_is_deleted_then_it_returns_with_its_live_count(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED, workers=[WORKER | {"autoscaling": SCALED}])
    await world.pass_()
    for name in ("web", "web-relay"):
        scaled_by(world, "kube-controller-manager", 4, name)
        autoscaler = world.edit("HorizontalPodAutoscaler", name)
        world.see(autoscaler | {"status": {"desiredReplicas": 4}})
    await world.pass_()

    gone = [world.api.forget(("Deployment", *KEY[:1], name)) for name in ("web", "web-relay")]
    fresh = World()
    fresh.api = world.api
    for obj in world.api.objects.values():
        fresh.store.put(obj)
    fresh.restart()
    await fresh.pass_()

    assert len(gone) == 2
    assert (count(fresh), count(fresh, "web-relay")) == (4, 4)
    assert [reason for reason, _, _ in fresh.told if reason == "Recreated"] == ["Recreated"] * 2


async def test_given_a_count_left_by_a_removed_autoscaler_when_the_deployment_is_deleted_then_it_returns_with_it(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()
    scaled_by(world, "kube-controller-manager", 5)
    world.shop()
    await world.pass_()

    world.lose("Deployment")
    await world.pass_()
    await world.pass_()

    assert count(world) == 5


async def test_given_a_recreated_deployment_when_the_operator_ends_at_once_then_the_replica_count_survives(
    world: World,
) -> None:
    world.shop(autoscaling=SCALED)
    await world.pass_()
    scaled_by(world, "kube-controller-manager", 5)
    world.shop()
    await world.pass_()
    world.lose("Deployment")
    # No further write succeeds.
    world.api.refusing["ShopService"] = NotLeader("killed")
    with pytest.raises(NotLeader):
        await world.pass_()
    world.api.refusing.clear()
    assert count(world) == 5

    world.restart()
    await world.pass_()
    world.shop(args=["--verbose"])
    await world.pass_()

    assert count(world) == 5
    live = world.api.objects["Deployment", "ns", "web"]["metadata"]
    assert KEPT_COUNT_ANNOTATION not in live["annotations"]
    assert Child.of(world.api.objects["Deployment", "ns", "web"]).scaled_by is Scaler.AUTOSCALER


@pytest.mark.parametrize("listed", [True, False], ids=["in the status", "before a status was written"])
async def test_given_an_hpa_of_keda_when_its_deployment_is_deleted_unseen_then_it_returns_with_the_hpa_count(
    world: World, *, listed: bool
) -> None:
    world.shop(workers=[WORKER | {"autoscaling": QUEUED}])
    await world.pass_()
    scaled_by(world, "kube-controller-manager", 4, "web-relay")
    labels = world.api.objects["ScaledObject", "ns", "web-relay"]["metadata"]["labels"]
    world.see(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "ns", "name": "keda-hpa-web-relay", "labels": labels},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web-relay"}},
            "status": {"desiredReplicas": 4},
        }
    )
    await world.pass_()

    world.api.forget(("Deployment", "ns", "web-relay"))
    if not listed:
        del world.api.objects["ShopService", "ns", "web"]["status"]
    fresh = World()
    fresh.api = world.api
    for obj in world.api.objects.values():
        fresh.store.put(obj)
    fresh.restart()
    await fresh.pass_()

    assert count(fresh, "web-relay") == 4
    assert ("HorizontalPodAutoscaler", "ns", "keda-hpa-web-relay") in world.api.objects


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (SCALED, QUEUED, ("HorizontalPodAutoscaler", "ScaledObject")),
        (QUEUED, SCALED, ("ScaledObject", "HorizontalPodAutoscaler")),
    ],
)
async def test_given_a_change_of_autoscaler_then_the_old_one_is_deleted_first_and_the_count_stays(
    world: World, before: dict[str, Any], after: dict[str, Any], kinds: tuple[str, str]
) -> None:
    world.shop(autoscaling=before)
    await world.pass_()
    scaled_by(world, "kube-controller-manager", 5)
    await world.pass_()

    world.shop(autoscaling=after)
    await world.pass_()

    old, new = kinds
    writes = world.api.writes
    assert writes.index(f"delete {old} web") < writes.index(f"create {new} web")
    assert count(world) == 5
    await world.pass_()
    assert world.writes == set()


async def test_given_any_child_when_it_is_deleted_then_it_is_recreated_with_an_event(world: World) -> None:
    world.shop(
        autoscaling=SCALED, gateway={"name": "shop"}, routes=[{"path": "/"}], networkPolicy={"enabled": True}
    )
    await world.pass_()
    await world.pass_()
    children = [(kind, name) for kind, _, name in world.api.objects if kind != "ShopService"]

    for kind, name in children:
        world.lose(kind, name)
    await world.pass_()

    told = {note.split(" was deleted")[0] for reason, note, _ in world.told if reason == "Recreated"}
    assert told == {f"{kind} {name}" for kind, name in children}


async def test_given_a_child_that_was_pruned_when_the_spec_names_it_again_then_no_recreation_is_reported(
    world: World,
) -> None:
    world.shop(routes=[{"path": "/"}], gateway={"name": "shop"})
    await world.pass_()
    world.shop()
    await world.pass_()
    world.shop(routes=[{"path": "/"}], gateway={"name": "shop"})
    await world.pass_()

    assert [reason for reason, _, _ in world.told if reason == "Recreated"] == []
    assert world.repaired == []
