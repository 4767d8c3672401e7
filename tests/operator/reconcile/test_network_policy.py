"""A NetworkPolicy is widened at once, and narrowed only when no running pod needs what it admitted."""

from typing import Any

import pytest

from shop_operator.errors import (
    Forbidden,
    Refused,
)
from tests.operator.world import (
    ENDS,
    KEPT,
    POLICY,
    World,
    accept,
    neighbor,
    new_process,
    pod,
    policy,
    settle,
)


async def test_given_a_removed_dependency_then_it_stays_reachable_until_the_old_pods_have_ended(
    world: World,
) -> None:
    world.shop(**POLICY)
    await world.pass_()
    caller = neighbor(world, "shop", dependsOn=["web"], **POLICY)
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    neighbor(world, "shop", **POLICY)
    # The dependency may be reconciled first.
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")
    await world.reconciler.reconcile(caller)
    assert "'web'" in policy(world, "egress", "shop")
    settle(world, "shop", old=1)
    world.restart()
    await world.pass_()
    await world.reconciler.reconcile(caller)
    assert "'web'" in policy(world, "egress", "shop")
    assert "'shop'" in policy(world, "ingress")

    settle(world, "shop")
    ending = pod(world, "shop", deletionTimestamp=ENDS)
    assert await world.pass_() == 5
    assert await world.reconciler.reconcile(caller) == 5
    assert "'web'" in policy(world, "egress", "shop")
    assert "'shop'" in policy(world, "ingress")

    world.api.forget(ending)
    await world.pass_()
    await world.reconciler.reconcile(caller)
    assert "'web'" not in policy(world, "egress", "shop")
    assert "'shop'" not in policy(world, "ingress")
    await world.pass_()
    assert world.writes == set()


async def test_given_a_deleted_dependant_then_its_pods_are_admitted_until_they_have_ended(
    world: World,
) -> None:
    world.shop(**POLICY)
    await world.pass_()
    caller = neighbor(world, "shop", dependsOn=["web"])
    await world.reconciler.reconcile(caller)
    await world.pass_()

    world.lose("ShopService", "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    ending = pod(world, "shop")
    world.lose("Deployment", "shop")
    await world.pass_()
    assert "'shop'" in policy(world, "ingress")

    world.api.forget(ending)
    await world.pass_()
    assert "'shop'" not in policy(world, "ingress")


async def test_given_a_removed_worker_then_its_connections_are_admitted_until_its_pods_have_ended(
    world: World,
) -> None:
    everywhere = [{"ports": [{"port": 443}]}]
    worker = {"name": "relay", "command": ["relay"], "port": 9000}
    monitored: dict[str, Any] = {"monitoring": {"enabled": True}}
    world.shop(workers=[worker], networkPolicy={"egress": everywhere}, **monitored)
    await world.pass_()
    for name in ("web", "web-relay"):
        settle(world, name)
    ending = pod(world, "web", "worker-relay")

    world.shop(**POLICY, **monitored)
    look = await world.pass_()

    assert look == 5
    assert "443" in policy(world, "egress")
    assert "9000" in policy(world, "ingress")
    world.api.forget(ending)
    await world.pass_()
    assert "443" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_given_changed_rules_in_the_spec_then_the_former_ones_stay_until_the_pods_are_replaced(
    world: World,
) -> None:
    worker: dict[str, Any] = {"name": "relay", "command": ["relay"], "port": 9000}
    world.shop(
        workers=[worker],
        monitoring={"enabled": True},
        networkPolicy={"egress": [{"ports": [{"port": 443}]}], "ingress": [{"ports": [{"port": 9000}]}]},
    )
    await world.pass_()
    for name in ("web", "web-relay"):
        settle(world, name)

    world.shop(
        workers=[worker | {"port": 9100}],
        monitoring={"enabled": True},
        networkPolicy={"egress": [{"ports": [{"port": 8443}]}], "ingress": [{"ports": [{"port": 9100}]}]},
    )
    await world.pass_()
    for direction, both in (("egress", ("443", "8443")), ("ingress", ("9000", "9100"))):
        assert all(f"'port': {each}" in policy(world, direction) for each in both)

    settle(world, "web-relay")
    await world.pass_()
    assert "'port': 443}" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_given_removed_rules_when_no_pod_is_replaced_then_they_are_removed_at_once(
    world: World,
) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)

    world.shop(**POLICY)
    await world.pass_()

    assert "443" not in policy(world, "egress")


async def test_given_a_deployment_that_cannot_be_applied_then_the_former_rules_stay(world: World) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)
    world.api.refusing["Deployment"] = Refused("no")

    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    assert "443" in policy(world, "egress")


async def test_given_a_rollout_when_another_manager_adds_a_rule_then_it_is_reverted(
    world: World,
) -> None:
    world.shop(**POLICY)
    await world.pass_()
    settle(world)
    world.shop(args=["--other"], **POLICY)
    await world.pass_()
    live = world.edit("NetworkPolicy")
    live["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
    live["metadata"]["managedFields"] = [
        {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:egress": {}}}}
    ]
    world.see(live)

    await world.pass_()

    assert "10.0.0.0" not in policy(world, "ingress")


async def test_given_a_changed_gateway_then_its_former_proxies_are_admitted_while_the_httproute_names_it(
    world: World,
) -> None:
    routes = [{"path": "/"}]
    world.shop(gateway={"name": "one"}, routes=routes, networkPolicy={"gatewayNamespaces": ["proxies-one"]})
    await world.pass_()
    settle(world)
    accept(world, "web")

    world.shop(gateway={"name": "two"}, routes=routes, networkPolicy={"gatewayNamespaces": ["proxies-two"]})
    await world.pass_()
    assert "proxies-one" in policy(world, "ingress")
    assert "proxies-two" in policy(world, "ingress")

    world.restart()
    await world.pass_()
    assert "proxies-one" in policy(world, "ingress")

    accept(world, "web")
    await world.pass_()
    assert "proxies-one" not in policy(world, "ingress")
    assert "proxies-two" in policy(world, "ingress")


async def test_given_a_rollout_when_the_networkpolicy_is_deleted_then_it_returns_with_the_former_rules(
    world: World,
) -> None:
    world.shop(
        networkPolicy={"egress": [{"ports": [{"port": 443}]}], "ingress": [{"ports": [{"port": 9000}]}]}
    )
    await world.pass_()
    settle(world)
    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    world.lose("NetworkPolicy")
    await world.pass_()
    assert "443" in policy(world, "egress")
    assert "9000" in policy(world, "ingress")

    settle(world)
    await world.pass_()
    assert "443" not in policy(world, "egress")
    assert "9000" not in policy(world, "ingress")


async def test_given_a_networkpolicy_removed_from_the_spec_when_it_is_set_again_then_former_rules_are_absent(
    world: World,
) -> None:
    world.shop(networkPolicy={"egress": [{"ports": [{"port": 443}]}]})
    await world.pass_()
    settle(world)
    world.shop(args=["--other"])
    await world.pass_()
    assert "delete NetworkPolicy web" in world.writes

    world.shop(args=["--other"], **POLICY)
    await world.pass_()

    assert "443" not in policy(world, "egress")


async def test_given_pods_of_the_former_template_when_a_first_networkpolicy_is_set_then_their_calls_are_admitted(
    world: World,
) -> None:
    database = neighbor(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    settle(world, "db")
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    settle(world)

    world.shop(**POLICY)
    await world.pass_()
    assert "DB_URL" not in str(world.api.objects["Deployment", "ns", "web"])
    assert "'db'" in policy(world, "egress")
    assert "'port': 5432" in policy(world, "egress")
    assert KEPT in world.condition("Ready")["message"]
    # The dependency gets its first policy in the same release.
    neighbor(world, "db", port=5432, **POLICY)
    await world.reconciler.reconcile(database)
    assert "'web'" in policy(world, "ingress", "db")

    settle(world)
    await world.pass_()
    await world.reconciler.reconcile(database)
    assert "'db'" not in policy(world, "egress")
    assert "'web'" not in policy(world, "ingress", "db")


async def test_given_a_former_dependant_not_reconciled_yet_when_a_first_networkpolicy_is_set_then_it_is_admitted(
    world: World,
) -> None:
    caller = neighbor(world, "shop", dependsOn=["web"])
    world.shop()
    await world.pass_()
    settle(world)
    await world.reconciler.reconcile(caller)
    settle(world, "shop")

    neighbor(world, "shop")
    world.shop(**POLICY)
    await world.pass_()

    assert "'shop'" in policy(world, "ingress")


async def test_given_remaining_pods_of_a_dropped_dependency_when_a_first_policy_is_set_then_egress_admits_it(
    world: World,
) -> None:
    database = neighbor(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    settle(world)
    template = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    world.shop()
    await world.pass_()
    pod(world, "web")
    (left,) = (each for each in world.api.objects.values() if each["kind"] == "Pod")
    world.see({**left, "spec": template["spec"]})
    await new_process(world)

    world.shop(**POLICY)
    await world.pass_()

    assert "'db'" in policy(world, "egress")


async def test_given_terminating_pods_when_a_first_networkpolicy_is_set_then_their_calls_are_admitted(
    world: World,
) -> None:
    database = neighbor(world, "db", port=5432)
    await world.reconciler.reconcile(database)
    world.shop(dependsOn=["db"])
    world.clock.now += 200
    await world.pass_()
    template = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    world.shop()
    await world.pass_()
    settle(world)
    ending = pod(world, "web", deletionTimestamp=ENDS)
    world.see({**world.api.objects[ending], "spec": template["spec"]})

    world.shop(**POLICY)
    assert await world.pass_() == 5
    assert "'db'" in policy(world, "egress")

    world.api.forget(ending)
    await world.pass_()
    assert "'db'" not in policy(world, "egress")


async def test_given_pods_that_cannot_be_listed_then_no_first_networkpolicy_is_applied(world: World) -> None:
    world.shop()
    await world.pass_()
    settle(world)
    world.shop(args=["--other"])
    await world.pass_()
    world.api.refusing["Pod"] = Forbidden("no")

    world.shop(args=["--other"], **POLICY)
    with pytest.raises(Forbidden):
        await world.pass_()
    assert ("NetworkPolicy", "ns", "web") not in world.api.objects

    del world.api.refusing["Pod"]
    await world.pass_()
    assert ("NetworkPolicy", "ns", "web") in world.api.objects


async def test_given_only_new_pods_when_a_first_networkpolicy_is_set_then_it_admits_only_callers_of_the_spec(
    world: World,
) -> None:
    caller = neighbor(world, "shop")
    await world.reconciler.reconcile(caller)
    settle(world, "shop")
    neighbor(world, "shop", args=["--other"])
    await world.reconciler.reconcile(caller)

    world.shop(**POLICY)
    await world.pass_()

    assert "'shop'" not in policy(world, "ingress")
    assert world.api.reads == 0
