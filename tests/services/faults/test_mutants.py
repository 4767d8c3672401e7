"""The audit sees what it is there for: a shop with a defect breaks exactly the promises that the defect is about."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.services.faults.mutants import MUTANTS
from tests.services.faults.proxy import Break, Fault
from tests.services.faults.shop import world

ORDERS = 24
SETTLED_WITHIN = 12.0
FAST = 50.0

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.timeout(200),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by POSIX signals"),
]


@dataclass(frozen=True)
class Expected:
    """What shows a defect.

    Args:
        rules: the promises of which at least one is broken.
        orders: payment token and postal code -> how often.
        faults: that happen meanwhile.
    """

    rules: frozenset[str]
    orders: Mapping[tuple[str, str], int]
    faults: tuple[Fault, ...] = ()


GOOD = ("tok_approve", "10115")
EXPECTED = {
    "charge-twice": Expected(frozenset({"charged twice"}), {("tok_charge_then_timeout", "10115"): 1}),
    "forget-the-refund": Expected(frozenset({"money kept"}), {("tok_approve", "00000"): 1}),
    "acknowledge-before-commit": Expected(
        frozenset({"not ended"}), {GOOD: 1}, (Fault(Break(), 0.75, ("dynamodb:TransactWriteItems",)),)
    ),
    "release-stock-twice": Expected(frozenset({"stock not conserved"}), {("tok_decline", "10115"): 1}),
    "lose-an-outbox-record": Expected(frozenset({"not ended", "fact not told"}), {GOOD: 1}),
}


def test_given_the_mutants_when_listed_then_each_is_expected_to_be_seen() -> None:
    assert EXPECTED.keys() == MUTANTS.keys()


@pytest.mark.parametrize("mutant", EXPECTED)
def test_given_a_defect_when_orders_are_placed_then_the_audit_tells_it(mutant: str) -> None:
    expected = EXPECTED[mutant]
    with world(seed=1, pieces=300, mutant=mutant, kinds=expected.orders) as shop:
        with shop.proxy.failing(*expected.faults):
            shop.customers.order(ORDERS, FAST, deadline=60)
            shop.settle(SETTLED_WITHIN)
        broken = {violation.rule for violation in shop.audit()}
    assert expected.rules <= broken, broken
