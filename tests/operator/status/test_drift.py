"""The value of status.drift."""

from shop_operator.status.drift import Repair, drift

FIRST = Repair("Deployment web", ("spec.replicas",), "kubectl")
SECOND = Repair("Service web", tuple(f"spec.{number}" for number in range(30)), "")


def test_repairs_are_counted_and_the_last_one_is_kept() -> None:
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


def test_a_pass_without_repairs_keeps_the_value() -> None:
    before = drift([FIRST], {}, lambda: "2030-01-01T00:00:00Z")

    assert drift([], {"drift": before}, lambda: "2030-01-02T00:00:00Z") == before
    assert drift([], {}, lambda: "2030-01-02T00:00:00Z") == {}
