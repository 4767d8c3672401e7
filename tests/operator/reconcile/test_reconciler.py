"""One pass: the writes, the pauses, and the handling of errors."""

import contextlib

import pytest

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
from shop_operator.objects.ownership import CONFLICT_RECHECK
from tests.operator.world import (
    World,
    other,
)


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


async def test_a_second_pass_writes_nothing_even_after_a_restart(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}], autoscaling={"maxReplicas": 3})
    await world.pass_()
    await world.pass_()
    assert world.writes == set()

    world.restart()
    await world.pass_()
    assert world.writes == set()
    assert world.api.reads == 0


async def test_a_changed_spec_is_applied_only_to_the_children_that_it_changes(world: World) -> None:
    world.shop()
    await world.pass_()

    world.shop(args=["--verbose"])
    await world.pass_()

    assert world.writes == {"apply Deployment web", "status ShopService web"}


async def test_a_deleted_child_is_created_again(world: World) -> None:
    world.shop()
    await world.pass_()
    world.lose("Service")

    await world.pass_()

    assert "create Service web" in world.writes


async def test_a_status_change_of_a_child_costs_no_apply(world: World) -> None:
    world.shop()
    await world.pass_()
    running = world.edit("Deployment")
    running["status"] = {"replicas": 1, "readyReplicas": 1}
    world.see(running)

    await world.pass_()

    assert world.writes == {"status ShopService web"}


async def test_a_spec_that_cannot_be_rendered_changes_no_child_and_is_reported(world: World) -> None:
    world.shop()
    await world.pass_()
    world.shop(nonsense=True)

    assert await world.pass_() is None

    assert world.writes == {"status ShopService web"}
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "nonsense" in world.condition("Ready")["message"]


async def test_a_deleted_shopservice_is_left_to_the_garbage_collector(world: World) -> None:
    assert await world.pass_() is None

    world.shop()
    going = world.edit("ShopService")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.see(going)
    await world.pass_()

    assert world.writes == set()


async def test_no_status_is_written_to_a_shopservice_that_has_changed_since(world: World) -> None:
    world.shop()
    world.api.put(world.edit("ShopService"))

    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["ShopService", "ns", "web"]["status"] == {}


async def test_a_suspended_shopservice_is_not_reconciled(world: World) -> None:
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


async def test_without_keda_a_queue_is_reported_and_the_pods_are_scaled_by_cpu(world: World) -> None:
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


async def test_the_metrics_report_a_shopservice_until_it_is_deleted(world: World) -> None:
    world.shop()
    await world.pass_()
    assert world.states == {("ns", "web"): (False, None)}
    world.shop(nonsense=True)
    await world.pass_()
    assert world.states == {("ns", "web"): (False, "InvalidSpec")}
    world.lose("ShopService")
    await world.pass_()
    assert world.states == {}


async def test_a_new_dependant_is_admitted_at_once(world: World) -> None:
    world.shop(networkPolicy={})
    await world.pass_()
    assert world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"] == []

    other(world, "order", dependsOn=["web"])
    await world.pass_()

    (rule,) = world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["order"]


async def test_only_an_error_that_no_retry_fixes_is_counted_as_terminal(world: World) -> None:
    world.shop(nonsense=True)
    await world.pass_()
    assert world.terminals == 1

    world.shop()
    world.api.refusing["Service"] = ApiUnavailable("no.")
    with pytest.raises(ApiUnavailable):
        await world.pass_()
    assert world.terminals == 1


@pytest.mark.parametrize(
    "error", [Refused("no."), Forbidden("no."), NotInstalled("no."), ApiUnavailable("no."), Throttled("no.")]
)
async def test_a_child_that_cannot_be_written_does_not_prevent_the_others(
    world: World, error: Exception
) -> None:
    world.api.refusing["Service"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    if isinstance(error, Refused):
        assert await world.pass_() == pytest.approx(15, rel=0.2)
        assert world.condition("Stalled")["status"] == "True"
    elif isinstance(error, NotInstalled):
        # A watch reports the installation.
        assert await world.pass_() == CONFLICT_RECHECK
        assert world.condition("Reconciling")["status"] == "True"
    else:
        with pytest.raises(type(error)):
            await world.pass_()
        assert world.condition("Reconciling")["status"] == "True"

    assert world.writes == {"create Deployment web", "create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["message"] == "no."


@pytest.mark.parametrize("error", [Unreachable("gone"), NotLeader("lost")])
async def test_a_failure_that_every_request_would_share_ends_the_pass_at_once(
    world: World, error: Exception
) -> None:
    world.api.refusing["ServiceAccount"] = error  # type: ignore[assignment]  # each is an OperatorError
    world.shop()

    with pytest.raises(type(error)):
        await world.pass_()

    assert world.writes == set()


async def test_given_two_throttled_kinds_then_no_further_request_is_sent(world: World) -> None:
    world.shop(autoscaling={"maxReplicas": 3})
    for kind in ("Service", "Deployment"):
        world.api.refusing[kind] = Throttled("busy.", retry_after=3)

    with pytest.raises(Throttled) as caught:
        await world.pass_()

    assert caught.value.retry_after == 3
    assert world.writes == {"create ServiceAccount web", "status ShopService web"}
    assert world.condition("Ready")["reason"] == "Throttled"


async def test_a_contested_child_does_not_hide_one_that_fails(world: World) -> None:
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
