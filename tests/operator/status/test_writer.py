"""The status writer: what it writes and what it counts."""

from tests.operator.status.deployments import DONE, FULL, state
from tests.operator.world import World


async def test_given_no_prometheus_operator_then_ready_is_true_and_says_that_no_servicemonitor_is_created(
    world: World,
) -> None:
    world.served -= {"ServiceMonitor", "PodMonitor"}
    world.shop(monitoring={})
    await world.pass_()
    state(world, DONE, **FULL)

    await world.pass_()

    ready = world.condition("Ready")
    assert ready["status"] == "True"
    assert (
        "no ServiceMonitor is created, because the Prometheus operator is not installed" in ready["message"]
    )


async def test_given_objectives_without_the_crd_of_their_rules_then_ready_says_that_no_alert_exists(
    world: World,
) -> None:
    world.served -= {"PrometheusRule"}
    objective = {"name": "availability", "objective": "99.9", "indicator": {"availability": {}}}
    world.shop(monitoring={"slos": [objective]})
    await world.pass_()
    state(world, DONE, **FULL)

    await world.pass_()

    ready = world.condition("Ready")
    assert ready["status"] == "True"
    assert "the alerts of monitoring.slos do not exist" in ready["message"]


async def test_given_a_suspended_shopservice_then_its_metrics_report_neither_ready_nor_not_ready(
    world: World,
) -> None:
    world.shop(suspend=True)

    await world.pass_()

    assert world.condition("Ready")["reason"] == "Suspended"
    assert world.states == {("ns", "web"): (None, None)}
