"""The conditions of a ShopService."""

from dataclasses import replace
from typing import Any

import pytest

from shop_operator.api.v1alpha1.reasons import IMMUTABLE, recreation
from shop_operator.errors import ApiUnavailable, Conflict, Refused
from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, conditions, deployment, rolled_out, seen


@pytest.mark.parametrize(("wanted", "available", "holds"), [(1, 0, "False"), (2, 1, "True"), (0, 0, "True")])
def test_given_a_desired_count_above_zero_then_available_requires_at_least_one_available_pod(
    wanted: int, available: int, holds: str
) -> None:
    """The Deployment controller reports True for one wanted pod if one may be unavailable."""
    found = conditions(seen(deployment(wanted=wanted, there=wanted, updated=wanted, available=available)))

    assert found["Available"]["status"] == holds


def test_given_a_complete_rollout_then_only_ready_and_available_are_true() -> None:
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
def test_given_a_rollout_in_progress_then_available_is_true_and_ready_is_false(
    state: dict[str, Any], message: str
) -> None:
    found = conditions(seen(rolled_out(**state)))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "RollingOut")
    assert message in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"
    assert found["Progressing"]["status"] == found["Reconciling"]["status"] == "True"


def test_given_a_rollout_over_its_progress_deadline_then_stalled_is_true() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    found = conditions(seen(rolled_out(availableReplicas=0, conditions=[late])))

    assert found["Stalled"]["status"] == "True"
    assert found["Reconciling"]["status"] == found["Progressing"]["status"] == "False"
    assert found["Ready"]["reason"] == "ProgressDeadlineExceeded"


def test_given_a_conflict_then_stalled_is_true_ready_names_the_object_and_available_stays_true() -> None:
    found = conditions(seen(rolled_out(), error=Conflict("Service web already exists. Delete it.")))

    assert (found["Stalled"]["status"], found["Stalled"]["reason"]) == ("True", "Conflict")
    assert "Service web" in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"


def test_given_a_temporary_api_error_then_reconciling_is_true_and_stalled_is_false() -> None:
    found = conditions(seen(rolled_out(), error=ApiUnavailable("The API server answered 503.")))

    assert (found["Reconciling"]["status"], found["Stalled"]["status"]) == ("True", "False")


@pytest.mark.parametrize("suspend", [False, True])
def test_given_a_change_of_an_immutable_field_then_stalled_says_to_delete_the_deployment(
    suspend: bool,
) -> None:
    error = Refused(
        f"Could not apply Deployment web: {IMMUTABLE}. {recreation('Deployment web')}; it retries."
    )
    shop = replace(SHOP, document={**SHOP.document, "suspend": suspend})

    found = status(shop, replace(seen(rolled_out()), error=error), {}, now=lambda: NOW)

    stalled = next(each for each in found["conditions"] if each["type"] == "Stalled")
    assert stalled["message"] == f"{recreation('Deployment web')}. See the Ready condition."
