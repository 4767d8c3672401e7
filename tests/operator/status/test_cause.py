"""The Ready condition contains the whole cause and its cure; the other conditions refer to it."""

from dataclasses import replace

import pytest

from shop_operator.errors import Conflict
from shop_operator.status.compute import status
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.observed import Observed
from tests.operator.status.observing import CRASH, LATE, NOW, SHOP, conditions, deployment, seen, states


def test_given_replicas_0_in_the_spec_then_ready_is_true_with_reason_scaled_to_zero() -> None:
    found = conditions(
        seen(deployment(wanted=0, there=0, updated=0, available=0)),
        replace(SHOP, document={"image": "web:2", "replicas": 0}),
    )

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "ScaledToZero")
    assert found["Available"]["reason"] == "ScaledToZero"


@pytest.mark.parametrize(
    "observed",
    [
        seen(deployment(available=0, conditions=[]), diagnoses={"web": CRASH}),
        seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH}),
        seen(deployment(), error=Conflict("Service web already exists.")),
        seen(deployment(updated=0, paused=True)),
    ],
)
def test_given_a_failure_then_only_ready_gives_the_cause_and_the_other_conditions_refer_to_it(
    observed: Observed,
) -> None:
    found = conditions(observed)

    for kind in ("Progressing", "Reconciling", "Stalled"):
        assert found["Ready"]["message"] not in found[kind]["message"]
    if found["Stalled"]["status"] == "True":
        assert "See the Ready condition." in found["Stalled"]["message"]
        assert found["Stalled"]["reason"] == found["Ready"]["reason"]


TYPO = Dependencies({}, missing=("databse",), similar={"databse": "database"})


CIRCLE = Dependencies({}, cycle=("web", "a", "web"))


@pytest.mark.parametrize(
    ("dependencies", "reason", "words"),
    [
        (
            TYPO,
            "DependencyMissing",
            "ShopService databse does not exist in this namespace; did you mean database?",
        ),
        (CIRCLE, "DependencyCycle", "web → a → web: circular dependency"),
    ],
)
def test_given_a_missing_or_circular_dependency_then_ready_is_false_with_its_cause(
    dependencies: Dependencies, reason: str, words: str
) -> None:
    soon = conditions(seen(deployment(), dependencies=dependencies))
    later = conditions(seen(deployment(), dependencies=dependencies, unmet=True))

    for found in (soon, later):
        assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", reason)
        assert words in found["Ready"]["message"]
        assert found["Available"]["status"] == "True"
    assert (soon["Reconciling"]["status"], soon["Stalled"]["status"]) == ("True", "False")
    assert (later["Reconciling"]["status"], later["Stalled"]["status"]) == ("False", "True")


def test_given_an_unavailable_dependency_then_ready_stays_true_and_dependencies_ready_is_false() -> None:
    found = conditions(seen(deployment(), dependencies=Dependencies({"a": 1}, unavailable=("a",))))

    assert (found["Ready"]["status"], found["DependenciesReady"]["status"]) == ("True", "False")
    assert "see the DependenciesReady condition" in found["Ready"]["message"]


def test_given_several_causes_then_ready_reports_a_crash_before_a_missing_dependency_before_a_rollout() -> (
    None
):
    rolling = deployment(updated=1, there=3)

    assert conditions(seen(rolling, dependencies=TYPO))["Ready"]["reason"] == "DependencyMissing"
    crashing = seen(rolling, dependencies=TYPO, diagnoses={"web": CRASH})
    assert conditions(crashing)["Ready"]["reason"] == "CrashLoopBackOff"


SUSPENDED = replace(SHOP, document={**SHOP.document, "suspend": True})


def test_given_a_shopservice_created_suspended_then_ready_is_true_and_no_child_is_listed() -> None:
    found = conditions(seen(), SUSPENDED)

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "Suspended")
    assert states(found) | {"Reconciling": "False", "Stalled": "False", "Progressing": "False"} == states(
        found
    )
    assert status(SUSPENDED, seen(), {}, now=lambda: NOW)["children"] == []
    assert found["Available"]["status"] == "False", "nothing serves"


def test_given_a_suspended_shopservice_with_crashing_pods_then_ready_is_false_with_their_cause() -> None:
    broken = seen(deployment(available=0, conditions=[LATE]), diagnoses={"web": CRASH})

    found = conditions(broken, SUSPENDED)

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "Suspended")
    assert "exited with code 1" in found["Ready"]["message"]
