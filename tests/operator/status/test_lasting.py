"""Facts and the time since which they hold."""

import pytest

from shop_operator.status.lasting import Lasting


def test_given_a_fact_that_holds_when_its_patience_ends_then_it_counts() -> None:
    facts = Lasting[str]()

    assert facts.see(["a"], now=0, patience=10) == (frozenset(), 10)
    assert facts.see(["a", "b"], now=4, patience=10) == (frozenset(), 6)
    assert facts.see(["a", "b"], now=10, patience=10) == (frozenset({"a"}), 4)


def test_given_a_fact_that_stops_when_it_holds_again_then_its_patience_starts_again() -> None:
    facts = Lasting[str]()
    facts.see(["a"], now=0, patience=10)
    facts.see([], now=5, patience=10)

    assert facts.see(["a"], now=11, patience=10) == (frozenset(), 10)


@pytest.mark.parametrize("now", [0, 100])
def test_given_a_fact_observed_by_an_earlier_process_then_it_counts_at_once(now: float) -> None:
    assert Lasting[str]().see(["a"], now, patience=10, known=["a", "b"]) == (frozenset({"a"}), None)
