"""The conditions of a ShopService."""

from dataclasses import replace
from typing import Any

import pytest

from shop_operator.api.v1alpha1.reasons import IMMUTABLE, recreation
from shop_operator.errors import ApiUnavailable, Conflict, Refused
from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, conditions, deployment, rolled_out, seen


@pytest.mark.parametrize(("wanted", "available", "holds"), [(1, 0, "False"), (2, 1, "True"), (0, 0, "True")])
def test_a_shopservice_is_available_only_with_at_least_one_pod_unless_scaled_to_zero(
    wanted: int, available: int, holds: str
) -> None:
    """The Deployment controller reports True for one wanted pod if one may be unavailable."""
    found = conditions(seen(deployment(wanted=wanted, there=wanted, updated=wanted, available=available)))

    assert found["Available"]["status"] == holds


def test_a_shopservice_with_complete_rollouts_is_ready_and_nothing_else() -> None:
    found = conditions(seen(rolled_out()))

    states = {kind: condition["status"] for kind, condition in found.items()}
    assert states == {
        "Ready": "True",
        "Available": "True",
        "Progressing": "False",
        "Reconciling": "False",
        "Stalled": "False",
    }
    assert {condition["observedGeneration"] for condition in found.values()} == {3}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"observedGeneration": 0}, "has not been observed by the Deployment controller yet"),
        ({"updatedReplicas": 1}, "1 of 2 pods updated"),
        ({"replicas": 3}, "1 old pod terminating"),
        ({"availableReplicas": 1}, "1 of 2 pods available"),
    ],
)
def test_a_shopservice_is_available_and_not_ready_during_a_rollout(
    state: dict[str, Any], message: str
) -> None:
    found = conditions(seen(rolled_out(**state)))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "RollingOut")
    assert message in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"
    assert found["Progressing"]["status"] == found["Reconciling"]["status"] == "True"


def test_a_rollout_that_exceeds_its_deadline_is_stalled() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    found = conditions(seen(rolled_out(availableReplicas=0, conditions=[late])))

    assert found["Stalled"]["status"] == "True"
    assert found["Reconciling"]["status"] == found["Progressing"]["status"] == "False"
    assert found["Ready"]["reason"] == "ProgressDeadlineExceeded"


def test_a_conflict_stalls_and_names_the_object_and_the_pods_stay_available() -> None:
    found = conditions(seen(rolled_out(), error=Conflict("Service web already exists. Delete it.")))

    assert (found["Stalled"]["status"], found["Stalled"]["reason"]) == ("True", "Conflict")
    assert "Service web" in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"


def test_a_temporary_error_is_reconciling_and_not_stalled() -> None:
    found = conditions(seen(rolled_out(), error=ApiUnavailable("The API server answered 503.")))

    assert (found["Reconciling"]["status"], found["Stalled"]["status"]) == ("True", "False")


@pytest.mark.parametrize("suspend", [False, True])
def test_an_immutable_field_is_reported_with_the_object_to_delete(suspend: bool) -> None:
    error = Refused(
        f"Could not apply Deployment web: {IMMUTABLE}. {recreation('Deployment web')}; it retries."
    )
    shop = replace(SHOP, document={**SHOP.document, "suspend": suspend})

    found = status(shop, replace(seen(rolled_out()), error=error), {}, now=lambda: NOW)

    stalled = next(each for each in found["conditions"] if each["type"] == "Stalled")
    assert stalled["message"] == f"{recreation('Deployment web')}. See the Ready condition."
