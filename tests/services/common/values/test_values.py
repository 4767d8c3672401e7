"""Money, times, IDs, cursors and DynamoDB values survive a round trip, and invalid ones are rejected."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.aws import dynamo
from services.common.http import cursor
from services.common.http.errors import InvalidRequest
from services.common.values import clock, countries, ids
from services.common.values.money import Money

texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def test_given_amounts_of_money_when_they_are_added_then_their_currencies_must_be_equal() -> None:
    assert Money(100, "EUR") + Money(50, "EUR") == Money(150, "EUR")
    assert Money(100, "EUR") * 3 == Money(300, "EUR")
    with pytest.raises(ValueError, match="EUR and USD"):
        Money(1, "EUR") + Money(1, "USD")


@pytest.mark.parametrize(
    ("amount", "currency"), [(-1, "EUR"), (1.5, "EUR"), (True, "EUR"), ("1", "EUR"), (1, "eur"), (1, "EURO")]
)
def test_given_an_invalid_amount_or_currency_when_money_is_created_then_it_is_rejected(
    amount: Any, currency: str
) -> None:
    with pytest.raises(ValueError, match=r"money|currency"):
        Money(amount, currency)


@given(st.integers(0), st.sampled_from(["EUR", "JPY"]))
def test_given_money_when_it_is_encoded_and_decoded_then_it_is_the_same(amount: int, currency: str) -> None:
    assert Money.from_dict(Money(amount, currency).to_dict()) == Money(amount, currency)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_given_two_times_when_they_are_formatted_then_their_texts_sort_by_time(
    one: datetime, other: datetime
) -> None:
    assert (clock.rfc3339(one) < clock.rfc3339(other)) == (one < other)
    assert clock.parse(clock.rfc3339(one)) == one


def test_given_a_time_when_it_is_formatted_or_parsed_then_its_offset_is_required_and_converted_to_utc() -> (
    None
):
    noon = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))

    assert clock.rfc3339(noon) == "2026-01-31T12:00:00.000000Z"
    assert clock.parse("2026-01-31T14:00:00+02:00") == noon
    with pytest.raises(ValueError, match="no UTC offset"):
        clock.parse("2026-01-31T14:00:00")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_given_a_time_outside_the_range_of_utc_when_it_is_parsed_then_it_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        clock.parse(text)


def test_given_consecutive_ids_then_they_are_unique_and_sort_by_age() -> None:
    made = [ids.uuid7() for _ in range(1000)]

    assert made == sorted(set(made))


@given(st.dictionaries(texts, texts, max_size=3))
def test_given_a_position_when_it_becomes_a_cursor_then_the_cursor_is_url_safe_and_decodes_to_it(
    position: dict[str, str],
) -> None:
    made = cursor.encode(position)

    assert cursor.decode(made, position.keys()) == position
    assert made.isascii()
    assert not set(made) & set("+/=&?# ")


@given(texts)
def test_given_a_malformed_cursor_when_it_is_decoded_then_the_request_is_invalid(text: str) -> None:
    with pytest.raises(InvalidRequest):
        cursor.decode(text, {"after"})


@pytest.mark.parametrize("position", [{"other": "1"}, {"after": "1", "other": "1"}, {}])
def test_given_a_cursor_of_another_list_when_it_is_decoded_then_the_request_is_invalid(
    position: dict[str, str],
) -> None:
    with pytest.raises(InvalidRequest):
        cursor.decode(cursor.encode(position), {"after"})


@given(st.dictionaries(texts, values, max_size=4))
def test_given_a_dynamodb_item_when_it_is_packed_and_unpacked_then_it_is_the_same(
    item: dict[str, Any],
) -> None:
    assert dynamo.unpack(dynamo.pack(item)) == item


@pytest.mark.parametrize("value", [1.5, b"x", {1}, object()])
def test_given_an_unsupported_type_when_it_is_packed_then_it_is_rejected(value: Any) -> None:
    with pytest.raises(TypeError):
        dynamo.pack({"value": value})


def test_given_the_country_codes_then_they_are_the_249_assigned_ones() -> None:
    assert len(countries.CODES) == 249
    assert {"DE", "GB", "US"} < countries.CODES
    assert not {"EU", "UK", "XX"} & countries.CODES
