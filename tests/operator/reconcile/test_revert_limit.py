"""The limit on reverts: ten at once, then one every two seconds."""

import pytest

from shop_operator.errors import Contested
from shop_operator.reconcile.revert_limit import RevertLimit
from tests.operator.clock import Clock


def test_given_ten_reverts_at_once_then_the_last_one_is_reported_and_the_next_one_waits_two_seconds() -> None:
    clock = Clock()
    limit = RevertLimit(clock)

    assert [limit.spend("Busy.") for _ in range(9)] == [None] * 9
    last = limit.spend("Busy.")

    assert last is not None
    assert last.message == "Busy. The operator reverts this at most every 2 s."
    with pytest.raises(Contested):
        limit.spend("Busy.")
    clock.now += 2
    assert limit.spend("Busy.") is not None


def test_given_no_reverts_that_are_left_when_a_minute_passes_then_ten_are_allowed_again() -> None:
    clock = Clock()
    limit = RevertLimit(clock, left=0)
    with pytest.raises(Contested):
        limit.spend("Busy.")

    clock.now += 60

    assert [limit.spend("Busy.") for _ in range(9)] == [None] * 9
