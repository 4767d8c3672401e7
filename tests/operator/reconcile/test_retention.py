"""The retention rules: no child is removed while running pods or their clients still need it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shop_operator.objects.rollouts import rolled_out
from shop_operator.reconcile.retention import (
    DELETION_MARGIN,
    ROUTE_GRACE,
    Ports,
    ended,
    old_parents,
    ports,
    route_wait,
    uses_account,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


DONE: dict[str, Any] = {
    "metadata": {"generation": 2},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    "account": "mine",
    "port": 9090,
}


def but(**status: int) -> dict[str, Any]:
    return {**DONE, "status": DONE["status"] | status}


@pytest.mark.parametrize(
    "state",
    [
        but(observedGeneration=1),
        but(replicas=3),
        but(updatedReplicas=1),
        # The old pods were lost with their node, and their ReplicaSet is about to replace them.
        but(availableReplicas=0),
        but(replicas=1, updatedReplicas=1),
    ],
)
def test_given_an_old_pod_that_remains_or_may_return_then_the_rollout_is_incomplete(
    state: dict[str, Any],
) -> None:
    assert rolled_out(DONE)
    assert not rolled_out(state)
    assert uses_account("web", [DONE, state])


def test_given_a_complete_rollout_then_only_the_service_account_of_the_newest_template_is_in_use() -> None:
    assert uses_account("mine", [DONE])
    assert not uses_account("web", [DONE])
    assert not uses_account("web", [])


def route(*said: tuple[str, str], ref: str = "shop", age: float = 0.0, **spec: Any) -> dict[str, Any]:
    """An HTTPRoute with the conditions of a Gateway, as (type, status)."""
    conditions = [{"type": kind, "status": status} for kind, status in said]
    return {
        "metadata": {"generation": 1, "creationTimestamp": (NOW - timedelta(seconds=age)).isoformat()},
        "spec": {"parentRefs": [{"name": "shop"}], "ports": [8080], **spec},
        "status": {"parents": [{"ref": {"name": ref}, "conditions": conditions}] if said else []},
    }


ACCEPTED = ("Accepted", "True")


GRACE = ROUTE_GRACE.total_seconds()


@pytest.mark.parametrize(
    ("old", "successors", "seconds"),
    [
        (route(ACCEPTED), [], 0),
        (route(ACCEPTED), [route(ACCEPTED)], 0),
        (route(ACCEPTED), [route(ACCEPTED), route(age=60)], GRACE - 60),
        (route(ACCEPTED), [None], GRACE),
        # No Gateway controller reports anything, so waiting does not help.
        (route(ACCEPTED), [route(age=GRACE)], 0),
        (route(), [route()], 0),
        # A refusal is a report: the old route serves until the new one is fixed.
        (route(ACCEPTED), [route(("Accepted", "False"), age=10 * GRACE)], GRACE),
    ],
)
def test_given_a_former_httproute_then_it_waits_until_its_successors_are_accepted(
    old: dict[str, Any], successors: list[dict[str, Any] | None], seconds: float
) -> None:
    assert route_wait(old, successors, NOW) == seconds


def test_given_a_former_gateway_then_the_httproute_names_it_until_the_next_one_has_accepted_it() -> None:
    new = {"name": "public"}

    assert old_parents(route(ACCEPTED), [new]) == [{"name": "shop"}]
    both = route(ACCEPTED, parentRefs=[new, {"name": "shop"}])
    assert old_parents(both, [new]) == [{"name": "shop"}]
    both["status"]["parents"].append({"ref": new, "conditions": [{"type": "Accepted", "status": "True"}]})
    assert old_parents(both, [new]) == []
    # A Gateway that has never accepted the route sends no requests to it.
    assert old_parents(route(), [new]) == []


OLD = {"ports": [8080]}


BOTH = {"ports": [9090, 8080]}


@pytest.mark.parametrize(
    ("service", "web", "callers", "routes", "kept"),
    [
        (None, None, [], [], Ports()),
        ({"ports": [9090]}, DONE, [], [], Ports()),
        # Old pods exist, or the new template does not.
        (OLD, {**DONE, "port": 8080}, [], [], Ports((8080,), 8080)),
        (BOTH, but(availableReplicas=1), [], [], Ports((8080,), 8080)),
        (BOTH, None, [], [], Ports((8080,), 8080)),
        # Pods of callers have the old port in their environment, or may have.
        (BOTH, DONE, [8080], [], Ports((8080,))),
        (BOTH, DONE, [9090, 0], [], Ports((8080,))),
        (BOTH, DONE, [9090, None], [], Ports()),
        # A route uses the old port, or a Gateway has not observed yet that it no longer does.
        (BOTH, DONE, [], [route(ACCEPTED)], Ports((8080,))),
        (BOTH, DONE, [], [route(ACCEPTED, ports=[9090])], Ports()),
        # After many consecutive changes, routes keep their port, and the oldest ports are removed.
        ({"ports": [5, 4, 3, 2, 1]}, None, [], [route(ports=[4])], Ports((5, 4, 3), 4)),
    ],
)
def test_given_a_changed_port_then_the_former_one_stays_until_pods_callers_and_routes_have_moved(
    service: dict[str, Any] | None,
    web: dict[str, Any] | None,
    callers: list[int | None],
    routes: list[dict[str, Any]],
    kept: Ports,
) -> None:
    assert ports(9090, service, web, callers, routes, drained=True) == kept


def test_given_terminating_pods_when_the_port_changes_then_the_former_port_stays_until_they_have_ended() -> (
    None
):
    assert ports(9090, BOTH, DONE, [9090], [], drained=False) == Ports((8080,))
    assert ports(9090, {"ports": [9090]}, DONE, [9090], [], drained=False) == Ports()


@pytest.mark.parametrize(
    ("deleted", "phase", "over"),
    [
        (None, "Running", False),
        (NOW + timedelta(seconds=30), "Running", False),
        (NOW - DELETION_MARGIN + timedelta(seconds=1), "Running", False),
        # Its node no longer reports.
        (NOW - DELETION_MARGIN, "Running", True),
        # A finalizer keeps it, or an eviction has left it.
        (NOW + timedelta(seconds=30), "Succeeded", True),
        (None, "Failed", True),
    ],
)
def test_given_a_pod_then_it_has_ended_when_its_containers_have_or_after_its_grace_period_and_margin(
    deleted: datetime | None, phase: str, over: bool
) -> None:
    metadata = {} if deleted is None else {"deletionTimestamp": deleted.isoformat()}

    assert ended({"metadata": metadata, "status": {"phase": phase}}, NOW) == over
