"""The rules of the basket, of addresses, of the progress of an order, and of the pages to which a sign-in returns."""

from datetime import UTC, datetime, timedelta

import pytest

from services.common.values.countries import CODES
from services.common.values.money import Money
from services.storefront import addresses, paths, pictures, progress
from services.storefront.addresses import Flaw
from services.storefront.domain import Address, Basket, BasketFull, Order, State, Step, quote
from services.storefront.progress import Reach, Reason
from tests.services.storefront.fakes import CUP, POT, TEA

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


def test_given_a_basket_when_products_are_added_changed_and_removed_then_it_contains_the_rest() -> None:
    basket = Basket("1").add("A", 2).add("A", 3).add("B", 1).set("C", 1).set("B", 0)

    assert basket.quantities == {"A": 5, "C": 1}
    assert basket.pieces == 6
    assert basket.set("A", 1000).quantities["A"] == 99


def test_given_a_full_basket_when_a_product_is_added_then_it_is_refused() -> None:
    full = Basket("1", {f"S{number}": 1 for number in range(50)})

    assert full.add("S1", 1).quantities["S1"] == 2
    with pytest.raises(BasketFull):
        full.add("NEW", 1)


def test_given_two_baskets_when_merged_then_pieces_are_added_and_what_does_not_fit_is_left_out() -> None:
    full = Basket("1", {f"S{number}": 1 for number in range(50)})

    assert Basket("1", {"A": 1}).merge({"A": 2, "B": 3}).quantities == {"A": 3, "B": 3}
    assert full.merge({"S0": 1, "NEW": 1}).quantities == {**full.quantities, "S0": 2}


def test_given_a_basket_when_quoted_then_the_total_and_what_cannot_be_ordered_are_known() -> None:
    fine = quote({"TE-001": 2, "CU-001": 3}, [TEA, CUP])
    short = quote({"CU-001": 4}, [CUP])
    gone = quote({"TE-001": 1, "X": 1}, [TEA, None])

    assert fine.total == Money(2 * 1490 + 3 * 790, "EUR")
    assert fine.can_be_ordered
    assert not short.can_be_ordered
    assert gone.gone == ("X",)
    assert not gone.can_be_ordered
    assert not quote({"BR-010": 1}, [POT]).can_be_ordered
    assert quote({}, []).total is None


def address(**changes: str) -> Address:
    return Address(
        **{"name": "N", "line1": "S 1", "city": "C", "postal_code": "10115", "country": "DE", **changes}
    )


@pytest.mark.parametrize(("country", "example"), sorted(addresses.EXAMPLES.items()))
def test_given_the_example_of_a_country_then_it_is_valid_and_a_wrong_postal_code_is_not(
    country: str, example: str
) -> None:
    assert country in CODES
    assert addresses.flaws(address(country=country, postal_code=example)) == {}
    assert addresses.flaws(address(country=country, postal_code="!")) == {"postal_code": Flaw.WRONG_FORM}


def test_given_an_invalid_address_then_each_field_has_its_flaw() -> None:
    invalid = address(name="", line1="x" * 201, city="a\nb", postal_code="1", country="XX")

    assert addresses.flaws(invalid) == {
        "name": Flaw.MISSING,
        "line1": Flaw.TOO_LONG,
        "city": Flaw.UNPRINTABLE,
        "country": Flaw.UNKNOWN,
    }
    assert addresses.flaws(address(country="IE", postal_code="00000")) == {}, (
        "no form of this country is known"
    )


def order(*steps: tuple[State, str]) -> Order:
    timeline = tuple(Step(state, NOW, cause) for state, cause in steps)
    return Order("1", timeline[-1].state, (), Money(0, "EUR"), NOW, timeline)


def test_given_an_order_in_progress_then_the_next_stage_is_the_current_one() -> None:
    found = progress.stages(order((State.PENDING, ""), (State.RESERVED, "")))

    assert [stage.reach for stage in found] == [Reach.DONE, Reach.DONE, Reach.CURRENT, Reach.AHEAD]
    assert progress.undoing(order((State.PENDING, ""))) is None


def test_given_an_order_that_is_undone_then_the_stages_that_it_missed_are_skipped() -> None:
    undone = order((State.PENDING, ""), (State.CANCELLED, "cancelled by the customer"))

    assert [stage.reach for stage in progress.stages(undone)] == [Reach.DONE, *[Reach.SKIPPED] * 3]
    assert progress.undoing(undone) == undone.timeline[-1]


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("cancelled by the customer", Reason.CUSTOMER),
        ("OrderCancelled: the customer cancelled the order", Reason.CUSTOMER),
        ("OutOfStock: TE-001", Reason.OUT_OF_STOCK),
        ("being undone: PaymentDeclined: the card was declined", Reason.DECLINED),
        ("PaymentUnknown", Reason.UNANSWERED),
        ("ShipmentRefused: no carrier\ndelivers", Reason.NOT_SHIPPED),
        ("States.Timeout", Reason.OTHER),
        ("", Reason.OTHER),
        ("<script>: x", Reason.OTHER),
    ],
)
def test_given_a_cause_of_the_shop_then_it_has_a_reason_for_customers(cause: str, expected: Reason) -> None:
    assert progress.reason(Step(State.REJECTED, NOW, cause)) is expected


def test_given_an_order_without_change_then_it_is_late_until_it_has_ended() -> None:
    later = NOW + timedelta(seconds=31)

    assert progress.is_late(order((State.PENDING, "")), later)
    assert not progress.is_late(order((State.PENDING, "")), NOW)
    assert not progress.is_late(order((State.PENDING, ""), (State.SHIPPED, "")), later)


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "//evil.example.com",
        "/\\evil.example.com",
        "\\\\evil.example.com",
        "https://evil.example.com",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x",
        "/a\r\nSet-Cookie: x=1",
        "/a\x00",
        "/.//evil.example.com/" + "x" * 300,
        "/@evil.example.com",
    ],
)
def test_given_a_path_that_leads_elsewhere_then_the_first_page_is_opened(path: str | None) -> None:
    assert paths.local(path) == paths.HOME


@pytest.mark.parametrize(
    "path", ["/", "/checkout", "/account/orders?cursor=a%3D", "/catalog/TE-001?language=de"]
)
def test_given_a_page_of_the_shop_then_a_sign_in_returns_to_it(path: str) -> None:
    assert paths.local(path) == path


def test_given_hostile_names_when_a_picture_is_drawn_then_it_contains_none_of_them() -> None:
    picture = pictures.draw("<script>", '"><script>alert(1)</script>')

    assert "script" not in picture
    assert picture != pictures.draw("tea", "TE-001") != pictures.draw("tea", "TE-002")
