"""The value of status.drift."""

from shop_operator.status.drift import Repair, drift

FIRST = Repair("Deployment web", ("spec.replicas",), "kubectl")
SECOND = Repair("Service web", tuple(f"spec.{number}" for number in range(30)), "")


def test_given_repaired_drift_then_the_status_has_the_count_and_the_last_repair() -> None:
    once = drift([FIRST], {}, lambda: "2030-01-01T00:00:00Z")
    twice = drift([FIRST, SECOND], {"drift": once}, lambda: "2030-01-02T00:00:00Z")

    assert once == {
        "count": 1,
        "last": {
            "time": "2030-01-01T00:00:00Z",
            "object": "Deployment web",
            "fields": ["spec.replicas"],
            "manager": "kubectl",
        },
    }
    assert (twice["count"], twice["last"]["object"]) == (3, "Service web")
    assert len(twice["last"]["fields"]) == 20, "the size of a status is limited"


def test_given_a_pass_without_repairs_then_the_drift_status_is_kept() -> None:
    before = drift([FIRST], {}, lambda: "2030-01-01T00:00:00Z")

    assert drift([], {"drift": before}, lambda: "2030-01-02T00:00:00Z") == before
    assert drift([], {}, lambda: "2030-01-02T00:00:00Z") == {}
