"""The whole status: what stays, and what counts as news."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.status import ShopServiceStatus
from shop_operator.errors import ApiUnavailable, Conflict, InvalidSpec, OperatorError
from shop_operator.render import render
from shop_operator.status.compute import status
from shop_operator.status.diagnosis import Diagnosis
from tests.operator.specs import documents
from tests.operator.status.observing import NOW, SHOP, deployment, rolled_out, seen


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu", "0/4 nodes are available: 4 Insufficient cpu", False),
        (
            "0/3 nodes are available: 3 Insufficient cpu",
            "0/3 nodes are available: 3 Insufficient memory",
            True,
        ),
        ("lookup r.test on 10.0.0.1:53: no such host", "lookup r.test on 10.0.0.2:53: no such host", False),
        ("exited; last log line: GET / 12:00:01", "exited; last log line: GET / 12:00:16", False),
        ("GET /readyz on port 8080", "GET /readyz on port 9090", True),
        ("exited with code 1", "exited with code 2", True),
        ("image web:1.2.3.4: not found", "image web:1.2.3.5: not found", True),
        ("image a@sha256:0123456789abcdef0", "image a@sha256:fedcba98765432100", True),
    ],
)
def test_given_a_message_when_only_its_measurements_change_then_the_status_stays_the_same(
    before: str, after: str, news: bool
) -> None:
    def of(message: str, previous: Mapping[str, Any]) -> dict[str, Any]:
        found = Diagnosis("NotReady", message, "web-1", "app")
        rolling = deployment(available=0, conditions=[])
        return status(SHOP, seen(rolling, diagnoses={"web": found}), previous, now=lambda: NOW)

    once = of(before, {})

    assert (of(after, once) != once) is news


def test_given_a_new_generation_when_a_message_changes_then_the_status_reports_it() -> None:
    def of(generation: int, message: str, previous: Mapping[str, Any]) -> dict[str, Any]:
        found = Diagnosis("Unschedulable", message, "web-1")
        rolling = seen(deployment(available=0, conditions=[]), diagnoses={"web": found})
        return status(replace(SHOP, generation=generation), rolling, previous, now=lambda: NOW)

    once = of(3, "0/3 nodes are available", {})

    assert "0/4 nodes" in str(of(4, "0/4 nodes are available", once)["conditions"][0]["message"])


def test_given_an_invalid_spec_then_the_status_keeps_the_running_pods_and_available_stays_true() -> None:
    before = status(SHOP, seen(rolled_out()), {}, now=lambda: NOW)

    after = status(
        SHOP, seen(rolled_out(), error=InvalidSpec("spec.image: Field required.")), before, now=lambda: NOW
    )

    assert after["ready"] == "2/2"
    found = {each["type"]: each["status"] for each in after["conditions"]}
    assert (found["Ready"], found["Available"], found["Stalled"]) == ("False", "True", "True")


def test_given_an_unchanged_condition_then_its_last_transition_time_is_kept() -> None:
    earlier = status(SHOP, seen(rolled_out()), {}, now=lambda: "2029-01-01T00:00:00Z")

    later = status(SHOP, seen(rolled_out(updatedReplicas=1)), earlier, now=lambda: NOW)

    times = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert (times["Available"], times["Ready"]) == ("2029-01-01T00:00:00Z", NOW)


def test_given_an_unchanged_state_when_the_status_is_computed_again_then_it_is_equal() -> None:
    once = status(SHOP, seen(rolled_out()), {}, now=lambda: "2029-01-01T00:00:00Z")

    assert status(SHOP, seen(rolled_out()), once, now=lambda: NOW) == once


@pytest.mark.slow
@given(documents(), st.sampled_from([None, ApiUnavailable("It answered 503."), Conflict("It is not ours.")]))
def test_given_any_shopservice_when_its_status_is_computed_then_it_matches_the_crd_and_kstatus(
    spec: dict[str, Any], error: OperatorError | None
) -> None:
    shop = ShopService(name="web", namespace="shop", uid="u", generation=3, document=spec)
    with suppress(InvalidSpec):
        found = status(shop, seen(*render(shop, live=None), error=error), {}, now=lambda: NOW)

        ShopServiceStatus.model_validate(found)
        # kstatus: never ready while something is going on or is stuck.
        states = {each["type"]: each["status"] for each in found["conditions"]}
        assert "True" not in {states["Reconciling"], states["Stalled"]} or states["Ready"] == "False"
        assert (states["Reconciling"], states["Stalled"]) != ("True", "True")
