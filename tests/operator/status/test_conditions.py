"""What users wait for and read: conditions, columns, children."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.reasons import IMMUTABLE, recreation
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.status import ShopServiceStatus
from shop_operator.errors import ApiUnavailable, Conflict, InvalidSpec, OperatorError, Refused
from shop_operator.render import render
from shop_operator.status.compute import status
from tests.operator.specs import documents
from tests.operator.status.test_truth import NOW, SHOP, conditions, seen

APP = {"name": "app", "image": "web:2"}


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
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:7"}, APP]}},
        },
        "status": complete | state,
    }


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
        ({"observedGeneration": 0}, "has not been observed by the Deployment controller yet"),
        ({"updatedReplicas": 1}, "1 of 2 pods updated"),
        ({"replicas": 3}, "1 old pod terminating"),
        ({"availableReplicas": 1}, "1 of 2 pods available"),
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
    found = conditions(seen(deployment(), error=Conflict("Service web already exists. Delete it.")))

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


def of_image(image: str, name: str = "web", container: str = "app", **state: Any) -> dict[str, Any]:
    """The Deployment of one part, as the Deployment controller has left it."""
    found = deployment(**state)
    found["metadata"]["name"] = name
    found["spec"]["template"]["spec"]["containers"] = [{"name": container, "image": image}]
    return found


def careful(image: str = "web:2", **spec: Any) -> ShopService:
    return replace(SHOP, document={"image": image, "rollout": {"autoRollback": True}, **spec})


WORKER = {"name": "relay", "command": ["x"]}


@pytest.mark.parametrize("more", [{}, {"suspend": True}], ids=["applied in part", "suspended"])
def test_an_image_counts_once_every_part_runs_it(more: dict[str, Any]) -> None:
    shop = careful(workers=[WORKER], **more)
    before = {"image": "web:1", "rollout": {"lastAvailableImage": "web:1"}}
    mixed = seen(
        of_image("web:2"),
        of_image("web:1", "web-relay", "relay"),
        error=None if more else ApiUnavailable("It answered 503."),
    )

    found = status(shop, mixed, before, now=lambda: NOW)

    assert (found["image"], found["rollout"]) == ("web:1", {"lastAvailableImage": "web:1"})
    both = seen(of_image("web:2"), of_image("web:2", "web-relay", "relay"))
    found = status(shop, both, before, now=lambda: NOW)
    assert (found["image"], found["rollout"]) == ("web:2", {"lastAvailableImage": "web:2"})


def test_an_image_without_any_pod_has_not_shown_that_it_works() -> None:
    none = deployment(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0
    before = {"rollout": {"lastAvailableImage": "web:1"}}

    found = status(careful(replicas=0), seen(none), before, now=lambda: NOW)

    assert (found["image"], found["rollout"]) == ("web:2", {"lastAvailableImage": "web:1"})


LATE: dict[str, Any] = {
    "availableReplicas": 0,
    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
}


@pytest.mark.parametrize(
    ("given_up", "image", "error", "more", "rejected"),
    [
        (True, "web:2", None, {}, True),
        (False, "web:2", None, {}, False),
        (True, "web:2", None, {"suspend": True}, False),
        # It has not got there.
        (True, "web:0", ApiUnavailable("It answered 503."), {}, False),
        # Whatever it is, it is not the image.
        (True, "web:1", None, {}, False),
        # A webhook wrote it so.
        (True, "mirror.test/web:2", None, {}, True),
    ],
    ids=["late", "in doubt", "suspended", "not applied", "the good one", "rewritten"],
)
def test_an_image_is_rejected_when_it_was_tried_and_is_late_beyond_doubt(
    given_up: bool, image: str, error: OperatorError | None, more: dict[str, Any], rejected: bool
) -> None:
    observed = replace(
        seen(of_image(image, **LATE), error=error), overdue=frozenset({"web"} if given_up else ())
    )
    before = {"image": "web:1", "rollout": {"lastAvailableImage": "web:1"}}

    found = status(careful(**more), observed, before, now=lambda: NOW)["rollout"]

    assert found["lastAvailableImage"] == "web:1"
    assert found.get("rejectedImage") == ("web:2" if rejected else None)


def test_an_image_that_works_after_all_is_rejected_no_more() -> None:
    before = {"rollout": {"lastAvailableImage": "web:1", "rejectedImage": "web:2", "message": "late"}}

    found = status(careful(), seen(of_image("web:2")), before, now=lambda: NOW)

    assert found["rollout"] == {"lastAvailableImage": "web:2"}


@pytest.mark.parametrize(
    ("parents", "ready", "message"),
    [
        ([], False, "check that the Gateway exists"),
        (
            # Of the route as it was before.
            [{"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1}]}],
            False,
            "has not accepted the route",
        ),
        (
            [
                {
                    "conditions": [
                        {"type": "Accepted", "status": "True", "observedGeneration": 2},
                        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound"},
                    ]
                }
            ],
            False,
            "Gateway shop/public rejected the route: BackendNotFound",
        ),
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
        "metadata": {"name": "web", "generation": 2},
        "spec": {"parentRefs": [{"name": "public", "namespace": "shop"}]},
        "status": {"parents": parents},
    }

    found = status(SHOP, seen(deployment(), route), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HTTPRoute")
    assert child["ready"] is ready
    assert message in child["message"]
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == str(ready)


def test_a_route_without_a_gateway_says_so() -> None:
    route = {"kind": "HTTPRoute", "metadata": {"name": "web", "generation": 2}, "spec": {"parentRefs": []}}
    shop = replace(SHOP, document={**SHOP.document, "suspend": True})

    found = status(shop, seen(deployment(), route), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HTTPRoute")
    assert (child["ready"], child["message"]) == (False, "names no Gateway")


@pytest.mark.parametrize(
    ("kind", "condition", "reason"),
    [
        ("HorizontalPodAutoscaler", "ScalingActive", "FailedGetResourceMetric"),
        ("HorizontalPodAutoscaler", "AbleToScale", "FailedGetScale"),
        ("ScaledObject", "Ready", "ScaledObjectCheckFailed"),
    ],
)
def test_an_autoscaler_that_has_just_failed_shows_it_and_is_not_decisive_yet(
    kind: str, condition: str, reason: str
) -> None:
    scaler = {
        "kind": kind,
        "metadata": {"name": "web"},
        "status": {"conditions": [{"type": condition, "status": "False", "reason": reason, "message": "7"}]},
    }

    found = status(SHOP, seen(deployment(), scaler), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == kind)
    assert (child["ready"], child["message"]) == (False, f"is not scaling yet: {reason}")
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"


def scaled_object(*judged: tuple[str, str], **annotations: str) -> dict[str, Any]:
    names = {each: f"autoscaling.keda.sh/{each.replace('_', '-')}" for each in annotations}
    return {
        "kind": "ScaledObject",
        "metadata": {
            "name": "web",
            "annotations": {names[each]: value for each, value in annotations.items()},
        },
        "status": {"conditions": [{"type": kind, "status": state, "reason": "x"} for kind, state in judged]},
    }


@pytest.mark.parametrize(
    "scaler",
    [
        scaled_object(("Ready", "True"), ("Active", "False")),
        scaled_object(paused_replicas="0"),
        scaled_object(("Ready", "Unknown"), paused="true"),
    ],
)
def test_a_scaledobject_that_has_nothing_to_do_or_is_paused_is_ready(scaler: dict[str, Any]) -> None:
    found = status(SHOP, seen(deployment(), scaler), {}, now=lambda: NOW)

    assert next(each for each in found["children"] if each["kind"] == "ScaledObject")["ready"] is True


@pytest.mark.parametrize(
    "scaler",
    [
        scaled_object(),
        scaled_object(("Ready", "Unknown")),
        scaled_object(("Active", "False")),
        scaled_object(paused="false"),
    ],
)
def test_a_scaledobject_that_keda_does_not_accept_keeps_it_from_being_ready_after_a_while(
    scaler: dict[str, Any],
) -> None:
    soon = status(SHOP, seen(deployment(), scaler), {}, now=lambda: NOW)
    later = conditions(seen(deployment(), scaler, unscaled=frozenset({("ScaledObject", "web")})))["Ready"]

    child = next(each for each in soon["children"] if each["kind"] == "ScaledObject")
    assert (child["ready"], child["message"]) == (False, "is not scaling yet: not accepted by KEDA")
    assert next(c for c in soon["conditions"] if c["type"] == "Ready")["status"] == "True"
    assert (later["status"], later["reason"]) == ("False", "AutoscalerNotWorking")
    assert "check that the KEDA operator is running and watches this namespace" in later["message"]


@pytest.mark.parametrize("conditions_", [[], [{"type": "ScalingLimited", "status": "True", "reason": "x"}]])
def test_an_autoscaler_that_no_controller_reads_keeps_it_from_being_ready_after_a_while(
    conditions_: list[dict[str, str]],
) -> None:
    key = ("HorizontalPodAutoscaler", "web")
    scaler = {"kind": key[0], "metadata": {"name": "web"}, "status": {"conditions": conditions_}}

    soon = status(SHOP, seen(deployment(), scaler), {}, now=lambda: NOW)
    later = conditions(seen(deployment(), scaler, unscaled=frozenset({key})))["Ready"]

    child = next(each for each in soon["children"] if each["kind"] == key[0])
    unread = "not processed by the HorizontalPodAutoscaler controller"
    assert (child["ready"], child["message"]) == (False, f"is not scaling yet: {unread}")
    assert next(c for c in soon["conditions"] if c["type"] == "Ready")["status"] == "True"
    assert (later["status"], later["reason"]) == ("False", "AutoscalerNotWorking")
    assert later["message"].endswith(
        f"cannot scale: {unread}; check that kube-controller-manager is running."
    )


@pytest.mark.parametrize("kind", ["AbleToScale", "ScalingActive"])
def test_an_autoscaler_that_its_controller_has_read_is_ready(kind: str) -> None:
    said = [{"type": kind, "status": "True", "reason": "x"}]
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "status": {"conditions": said}}

    found = status(SHOP, seen(deployment(), scaler), {}, now=lambda: NOW)

    assert next(each for each in found["children"] if each["kind"] == scaler["kind"])["ready"] is True


@pytest.mark.parametrize("suspend", [False, True])
def test_a_deployment_that_only_another_one_can_replace_is_to_be_deleted(suspend: bool) -> None:
    error = Refused(
        f"Could not apply Deployment web: {IMMUTABLE}. {recreation('Deployment web')}; it retries."
    )
    shop = replace(SHOP, document={**SHOP.document, "suspend": suspend})

    found = status(shop, replace(seen(deployment()), error=error), {}, now=lambda: NOW)

    stalled = next(each for each in found["conditions"] if each["type"] == "Stalled")
    assert stalled["message"] == f"{recreation('Deployment web')}. See the Ready condition."


def test_a_child_that_fails_speaks_before_one_that_is_on_its_way() -> None:
    quota = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota",
    }
    rolling, failing = deployment(updatedReplicas=1), deployment(availableReplicas=0, conditions=[quota])
    failing["metadata"] = {"name": "web-relay", "generation": 1}

    found = conditions(seen(rolling, failing))

    assert (found["Ready"]["reason"], found["Ready"]["message"]) == (
        "FailedCreate",
        "Deployment web-relay: exceeded quota (and 1 more).",
    )
    assert found["Reconciling"]["status"] == "True"


def test_a_child_that_is_being_deleted_keeps_it_from_being_ready() -> None:
    service = {"kind": "Service", "metadata": {"name": "web", "deletionTimestamp": NOW}}

    found = conditions(seen(deployment(), service))

    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "Terminating")


def test_a_deployment_that_is_not_there_yet_is_being_created() -> None:
    found = conditions(seen())

    assert (found["Ready"]["reason"], found["Available"]["status"]) == ("Creating", "False")
    assert "Deployment web: is being created" in found["Ready"]["message"]


def test_scaled_to_zero_it_is_ready_with_nothing() -> None:
    shop = ShopService(
        name="web", namespace="shop", uid="u", generation=3, document={"image": "web:2", "replicas": 0}
    )
    none = deployment(replicas=0, updatedReplicas=0, readyReplicas=0, availableReplicas=0)
    none["spec"]["replicas"] = 0

    found = status(shop, seen(none), {}, now=lambda: NOW)

    assert found["ready"] == "0/0"
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == "True"


@pytest.mark.slow
@given(documents(), st.sampled_from([None, ApiUnavailable("It answered 503."), Conflict("It is not ours.")]))
def test_any_status_is_what_the_crd_says_it_is(spec: dict[str, Any], error: OperatorError | None) -> None:
    shop = ShopService(name="web", namespace="shop", uid="u", generation=3, document=spec)
    with suppress(InvalidSpec):
        found = status(shop, seen(*render(shop, live=None), error=error), {}, now=lambda: NOW)

        ShopServiceStatus.model_validate(found)
        # kstatus: never ready while something is going on or is stuck.
        states = {each["type"]: each["status"] for each in found["conditions"]}
        assert "True" not in {states["Reconciling"], states["Stalled"]} or states["Ready"] == "False"
        assert (states["Reconciling"], states["Stalled"]) != ("True", "True")
