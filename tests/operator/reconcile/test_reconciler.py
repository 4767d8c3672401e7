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


async def test_given_a_new_shopservice_then_a_pass_costs_one_write_per_child_one_status_write_and_no_read(
    world: World,
) -> None:
    world.shop()

    assert await world.pass_() is None

    assert sorted(world.api.writes) == [
        "create Deployment web",
        "create Service web",
        "create ServiceAccount web",
        "status ShopService web",
    ]
    assert world.api.reads == 0


async def test_given_an_unchanged_shopservice_when_a_second_pass_runs_then_nothing_is_written(
    world: World,
) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}], autoscaling={"maxReplicas": 3})
    await world.pass_()
    await world.pass_()
    assert world.writes == set()

    world.restart()
    await world.pass_()
    assert world.writes == set()
    assert world.api.reads == 0


async def test_when_the_spec_changes_then_only_the_children_that_it_affects_are_applied(world: World) -> None:
    world.shop()
    await world.pass_()

    world.shop(args=["--verbose"])
    await world.pass_()

    assert world.writes == {"apply Deployment web", "status ShopService web"}


async def test_when_a_child_is_deleted_then_it_is_created_again(world: World) -> None:
    world.shop()
    await world.pass_()
    world.lose("Service")

    await world.pass_()

    assert "create Service web" in world.writes


async def test_when_the_status_of_a_child_changes_then_only_the_shopservice_status_is_written(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    running = world.edit("Deployment")
    running["status"] = {"replicas": 1, "readyReplicas": 1}
    world.see(running)

    await world.pass_()

    assert world.writes == {"status ShopService web"}


async def test_given_an_invalid_spec_then_no_child_changes_and_stalled_reports_the_field(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.shop(nonsense=True)

    assert await world.pass_() is None

    assert world.writes == {"status ShopService web"}
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "nonsense" in world.condition("Ready")["message"]


async def test_given_a_deleted_shopservice_then_nothing_is_written(world: World) -> None:
    assert await world.pass_() is None

    world.shop()
    going = world.edit("ShopService")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.see(going)
    await world.pass_()

    assert world.writes == set()


async def test_given_a_shopservice_that_changed_during_the_pass_then_no_status_is_written(
    world: World,
) -> None:
    world.shop()
    world.api.put(world.edit("ShopService"))

    with pytest.raises(Stale):
        await world.pass_()

    assert world.api.objects["ShopService", "ns", "web"]["status"] == {}


async def test_given_a_suspended_shopservice_then_its_children_are_not_reconciled_until_it_is_resumed(
    world: World,
) -> None:
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


async def test_given_no_keda_when_autoscaling_names_a_queue_then_ready_names_keda_and_an_hpa_scales_by_cpu(
    world: World,
) -> None:
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


async def test_given_a_shopservice_then_the_metrics_report_its_state_until_it_is_deleted(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    assert world.states == {("ns", "web"): (False, None)}
    world.shop(nonsense=True)
    await world.pass_()
    assert world.states == {("ns", "web"): (False, "InvalidSpec")}
    world.lose("ShopService")
    await world.pass_()
    assert world.states == {}


async def test_given_a_networkpolicy_when_a_dependant_is_created_then_it_is_admitted_at_once(
    world: World,
) -> None:
    world.shop(networkPolicy={})
    await world.pass_()
    assert world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"] == []

    other(world, "order", dependsOn=["web"])
    await world.pass_()

    (rule,) = world.api.objects["NetworkPolicy", "ns", "web"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["order"]


async def test_given_an_invalid_spec_and_an_unavailable_api_then_only_the_former_counts_as_a_terminal_error(
    world: World,
) -> None:
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
async def test_given_a_child_that_cannot_be_written_then_the_other_children_are_written(
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
async def test_given_an_unreachable_api_server_or_a_lost_lease_then_the_pass_ends_at_once(
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


async def test_given_a_contested_and_a_failing_child_then_the_pass_reports_the_failure(world: World) -> None:
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
