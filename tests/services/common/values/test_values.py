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


def test_money_is_added_and_multiplied_within_one_currency() -> None:
    assert Money(100, "EUR") + Money(50, "EUR") == Money(150, "EUR")
    assert Money(100, "EUR") * 3 == Money(300, "EUR")
    with pytest.raises(ValueError, match="EUR and USD"):
        Money(1, "EUR") + Money(1, "USD")


@pytest.mark.parametrize(
    ("amount", "currency"), [(-1, "EUR"), (1.5, "EUR"), (True, "EUR"), ("1", "EUR"), (1, "eur"), (1, "EURO")]
)
def test_an_invalid_amount_of_money_is_rejected(amount: Any, currency: str) -> None:
    with pytest.raises(ValueError, match=r"money|currency"):
        Money(amount, currency)


@given(st.integers(0), st.sampled_from(["EUR", "JPY"]))
def test_money_survives_a_round_trip_through_json(amount: int, currency: str) -> None:
    assert Money.from_dict(Money(amount, currency).to_dict()) == Money(amount, currency)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_formatted_times_sort_by_time(one: datetime, other: datetime) -> None:
    assert (clock.rfc3339(one) < clock.rfc3339(other)) == (one < other)
    assert clock.parse(clock.rfc3339(one)) == one


def test_a_time_with_any_offset_is_converted_to_utc_and_one_without_is_rejected() -> None:
    noon = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))

    assert clock.rfc3339(noon) == "2026-01-31T12:00:00.000000Z"
    assert clock.parse("2026-01-31T14:00:00+02:00") == noon
    with pytest.raises(ValueError, match="no UTC offset"):
        clock.parse("2026-01-31T14:00:00")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_time_outside_the_range_of_utc_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        clock.parse(text)


def test_ids_are_unique_and_sort_by_age() -> None:
    made = [ids.uuid7() for _ in range(1000)]

    assert made == sorted(set(made))


@given(st.dictionaries(texts, texts, max_size=3))
def test_a_cursor_is_url_safe_and_decodes_to_its_position(position: dict[str, str]) -> None:
    made = cursor.encode(position)

    assert cursor.decode(made, position.keys()) == position
    assert made.isascii()
    assert not set(made) & set("+/=&?# ")


@given(texts)
def test_a_foreign_cursor_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest):
        cursor.decode(text, {"after"})


@pytest.mark.parametrize("position", [{"other": "1"}, {"after": "1", "other": "1"}, {}])
def test_a_cursor_of_another_list_is_an_invalid_request(position: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        cursor.decode(cursor.encode(position), {"after"})


@given(st.dictionaries(texts, values, max_size=4))
def test_dynamodb_values_survive_a_round_trip(item: dict[str, Any]) -> None:
    assert dynamo.unpack(dynamo.pack(item)) == item


@pytest.mark.parametrize("value", [1.5, b"x", {1}, object()])
def test_an_unsupported_type_is_rejected(value: Any) -> None:
    with pytest.raises(TypeError):
        dynamo.pack({"value": value})


def test_country_codes_are_the_assigned_ones() -> None:
    assert len(countries.CODES) == 249
    assert {"DE", "GB", "US"} < countries.CODES
    assert not {"EU", "UK", "XX"} & countries.CODES
