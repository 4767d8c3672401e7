"""A discovery hostname belongs to one ShopService, across all namespaces."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for


@pytest.fixture
def other(cluster: Cluster) -> Iterator[str]:
    """The namespace of another team."""
    name = cluster.namespace(f"t-{uuid.uuid4().hex[:10]}")
    yield name
    cluster.http.delete(cluster.path("ShopService", name)).raise_for_status()


def discovered(namespace: str, name: str, hostname: str) -> dict[str, Any]:
    return shopservice(namespace, name, replicas=0, discovery={"hostname": hostname})


def refused(cluster: Cluster, namespace: str, name: str) -> str:
    """Condition message of a ShopService whose hostname is in use by another one."""
    found = cluster.get("ShopService", namespace, name)
    stalled, ready = condition(found, "Stalled"), condition(found, "Ready")
    assert (stalled["status"], stalled["reason"]) == ("True", "Conflict")
    return str(ready["message"])


def registered(cluster: Cluster, namespace: str, name: str) -> bool:
    return cluster.find("Service", namespace, f"{name}-discovery") is not None


def can_be_younger(cluster: Cluster, obj: dict[str, Any]) -> bool:
    """Whether an object that is created now has a later creationTimestamp, which has no fractions of a second."""
    return cluster.now() > datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def test_given_a_hostname_in_use_when_another_namespace_claims_it_then_it_waits_until_the_hostname_is_free(
    cluster: Cluster, operator: Operator, namespace: str, other: str
) -> None:
    hostname = f"payment-{uuid.uuid4().hex[:6]}.shop.internal"
    # Given a ShopService that is older and has no hostname yet, and one that is registered.
    older = cluster.create(shopservice(other, "hijack", replicas=0))
    wait_for(lambda: cluster.find("Service", other, "hijack"))
    wait_for(lambda: can_be_younger(cluster, older))
    cluster.create(discovered(namespace, "payment", hostname))
    wait_for(lambda: registered(cluster, namespace, "payment"))

    # When the other namespace asks for the hostname, with an older and with a younger ShopService.
    cluster.patch("ShopService", other, "hijack", {"spec": {"discovery": {"hostname": hostname}}})
    cluster.create(discovered(other, "late", hostname))

    # Both report it, without a name from another namespace, and neither is registered.
    for name in ("hijack", "late"):
        message = wait_for(partial(refused, cluster, other, name))
        assert f"{hostname} is in use by a ShopService of another namespace." in message
        assert namespace not in message
        assert not registered(cluster, other, name)
        assert cluster.find("Service", other, name) is not None
    assert registered(cluster, namespace, "payment")

    # When the registered one takes another hostname, then the older one is woken, and the younger one names it.
    cluster.patch("ShopService", namespace, "payment", {"spec": {"discovery": {"hostname": f"x.{hostname}"}}})
    wait_for(lambda: registered(cluster, other, "hijack"), deadline=15)
    wait_for(lambda: f"{hostname} is in use by ShopService hijack." in refused(cluster, other, "late"), 60)
    assert not registered(cluster, other, "late")

    # When that one is deleted, then the last one is woken.
    cluster.delete("ShopService", other, "hijack")
    wait_for(lambda: registered(cluster, other, "late"), deadline=15)
    wait_for(lambda: condition(cluster.get("ShopService", other, "late"), "Stalled")["status"] == "False")


def test_given_a_suspended_holder_when_another_shopservice_claims_the_hostname_then_that_one_waits(
    cluster: Cluster, operator: Operator, namespace: str, other: str
) -> None:
    hostname = f"payment-{uuid.uuid4().hex[:6]}.shop.internal"
    # Given a suspended ShopService that is registered, and that asks for another hostname meanwhile.
    cluster.create(discovered(namespace, "payment", hostname))
    wait_for(lambda: registered(cluster, namespace, "payment"))
    cluster.patch("ShopService", namespace, "payment", {"spec": {"suspend": True}})
    cluster.patch("ShopService", namespace, "payment", {"spec": {"discovery": {"hostname": f"x.{hostname}"}}})

    # When another one asks for the hostname.
    cluster.create(discovered(other, "late", hostname))

    # Then it has to wait until the first one is reconciled again.
    wait_for(lambda: refused(cluster, other, "late"))
    assert not registered(cluster, other, "late")
    cluster.patch("ShopService", namespace, "payment", {"spec": {"suspend": False}})
    wait_for(lambda: registered(cluster, other, "late"), deadline=15)
