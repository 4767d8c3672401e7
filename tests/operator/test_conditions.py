"""What users wait for and read: conditions, columns, children."""

from typing import Any

import pytest

from shop_operator.conditions import Observed, status
from shop_operator.errors import ApiUnavailable, Conflict, InvalidSpec, OperatorError
from shop_operator.spec import ShopService

NOW = "2030-01-01T00:00:00Z"
SHOP = ShopService(
    name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 2}
)


def deployment(**state: Any) -> dict[str, Any]:
    complete = {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}],
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": 2},
        "status": complete | state,
    }


def seen(*children: dict[str, Any], error: OperatorError | None = None) -> Observed:
    return Observed({(child["kind"], child["metadata"]["name"]): child for child in children}, error)


def conditions(observed: Observed, previous: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    found = status(SHOP, observed, previous or {}, now=lambda: NOW)
    return {each["type"]: each for each in found["conditions"]}


def test_when_everything_is_rolled_out_it_is_ready_and_nothing_else() -> None:
    found = conditions(seen(deployment()))

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
        ({"observedGeneration": 0}, "was not looked at by the Deployment controller yet"),
        ({"updatedReplicas": 1}, "1 of 2 pods are of the newest version"),
        ({"replicas": 3}, "1 old pods are still ending"),
        ({"availableReplicas": 1}, "1 of 2 pods are available"),
    ],
)
def test_during_a_roll_out_it_is_available_and_not_ready(state: dict[str, Any], message: str) -> None:
    found = conditions(seen(deployment(**state)))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "RollingOut")
    assert message in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"
    assert found["Progressing"]["status"] == found["Reconciling"]["status"] == "True"


def test_a_roll_out_over_its_deadline_is_stalled() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    found = conditions(seen(deployment(availableReplicas=0, conditions=[late])))

    assert found["Stalled"]["status"] == "True"
    assert found["Reconciling"]["status"] == found["Progressing"]["status"] == "False"
    assert found["Ready"]["reason"] == "ProgressDeadlineExceeded"


def test_a_conflict_stalls_and_names_the_object_while_the_pods_stay_available() -> None:
    found = conditions(seen(deployment(), error=Conflict("Service web exists already. Delete it.")))

    assert (found["Stalled"]["status"], found["Stalled"]["reason"]) == ("True", "Conflict")
    assert "Service web" in found["Ready"]["message"]
    assert found["Available"]["status"] == "True"


def test_a_temporary_error_reconciles_and_does_not_stall() -> None:
    found = conditions(seen(deployment(), error=ApiUnavailable("The API server answered 503.")))

    assert (found["Reconciling"]["status"], found["Stalled"]["status"]) == ("True", "False")


def test_an_invalid_spec_keeps_what_is_known_of_what_runs() -> None:
    before = status(SHOP, seen(deployment()), {}, now=lambda: NOW)

    after = status(
        SHOP, seen(deployment(), error=InvalidSpec("spec.image: Field required.")), before, now=lambda: NOW
    )

    assert after["ready"] == "2/2"
    found = {each["type"]: each["status"] for each in after["conditions"]}
    assert (found["Ready"], found["Available"], found["Stalled"]) == ("False", "True", "True")


def test_a_condition_that_stays_keeps_its_time() -> None:
    earlier = status(SHOP, seen(deployment()), {}, now=lambda: "2029-01-01T00:00:00Z")

    later = status(SHOP, seen(deployment(updatedReplicas=1)), earlier, now=lambda: NOW)

    times = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert (times["Available"], times["Ready"]) == ("2029-01-01T00:00:00Z", NOW)


def test_a_status_computed_again_is_the_same() -> None:
    once = status(SHOP, seen(deployment()), {}, now=lambda: "2029-01-01T00:00:00Z")

    assert status(SHOP, seen(deployment()), once, now=lambda: NOW) == once


def test_the_image_is_the_one_that_was_rolled_out() -> None:
    running = status(SHOP, seen(deployment(updatedReplicas=1)), {"image": "web:1"}, now=lambda: NOW)

    assert running["image"] == "web:1"
    assert status(SHOP, seen(deployment()), running, now=lambda: NOW)["image"] == "web:2"


@pytest.mark.parametrize(
    ("parents", "ready", "message"),
    [
        ([], False, "is there such a Gateway"),
        ([{"conditions": [{"type": "Accepted", "status": "True"}]}], True, ""),
        (
            [{"conditions": [{"type": "Accepted", "status": "False", "message": "no listener"}]}],
            False,
            "no listener",
        ),
    ],
)
def test_a_route_is_ready_when_its_gateway_took_it(parents: list[Any], ready: bool, message: str) -> None:
    route = {
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
        "spec": {"parentRefs": [{"name": "public", "namespace": "shop"}]},
        "status": {"parents": parents},
    }

    found = status(SHOP, seen(deployment(), route), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HTTPRoute")
    assert child["ready"] is ready
    assert message in child["message"]
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == str(ready)


def test_an_autoscaler_without_measurements_shows_but_keeps_nobody_from_being_ready() -> None:
    hpa = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "status": {
            "conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]
        },
    }

    found = status(SHOP, seen(deployment(), hpa), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HorizontalPodAutoscaler")
    assert (child["ready"], child["message"]) == (False, "does not scale: FailedGetResourceMetric")
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"
