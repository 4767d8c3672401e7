"""Every sale is counted once, on its day, for any order and repetition of events."""

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.common.values.errors import Stale
from services.order.domain import State
from services.sales import domain, handlers, messages
from services.sales.domain import Addition, Known
from services.sales.dynamo import DynamoSales
from services.sales.function import work
from services.sales.ports import Sales, Summary
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER, new_table
from tests.services.sales import facts

TODAY = date(2026, 1, 31)
TOMORROW = date(2026, 2, 1)
CONTRACTS = Path(__file__).parents[3] / "services" / "order" / "contracts"


class MemorySales:
    """The sales view in memory."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._sums: dict[tuple[date, str], dict[str, int]] = {}
        self._sold: dict[tuple[date, str], dict[str, int]] = {}

    def known(self, order_id: str) -> Known:
        return self._known.get(order_id, Known(order_id))

    def save(self, known: Known, additions: Sequence[Addition]) -> None:
        if self.known(known.order_id).version != known.version:
            raise Stale
        self._known[known.order_id] = Known(
            known.order_id, known.accepted, known.shipped_on, known.facts, known.version + 1
        )
        for each in additions:
            key = each.day, each.currency
            _add(self._sums.setdefault(key, {}), each.amounts)
            _add(self._sold.setdefault(key, {}), each.sold)

    def day(self, day: date) -> list[Summary]:
        return [
            Summary(day, currency, self._sums[day, currency], _most_first(self._sold[day, currency]))
            for of, currency in sorted(self._sums)
            if of == day
        ]


def _add(to: dict[str, int], amounts: Mapping[str, int]) -> None:
    for name, amount in amounts.items():
        to[name] = to.get(name, 0) + amount


def _most_first(sold: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(sold.items(), key=lambda pair: (-pair[1], pair[0])))


@pytest.fixture(params=["memory", *EITHER])
def sales(request: pytest.FixtureRequest) -> Sales:
    if request.param == "memory":
        return MemorySales()
    account: AwsServer = request.getfixturevalue(request.param)
    return DynamoSales(account.clients.dynamodb, new_table(account.clients))


def count(sales: Sales, *events: Mapping[str, Any]) -> None:
    for event in events:
        handlers.count(messages.fact(event), sales=sales)


def test_given_an_order_when_it_is_accepted_and_shipped_on_two_days_then_each_event_counts_on_its_day(
    sales: Sales,
) -> None:
    count(
        sales,
        facts.accepted(facts.order("1")),
        facts.shipped("1", facts.DAY + timedelta(days=1)),
    )

    assert sales.day(TODAY) == [Summary(TODAY, "EUR", {"orders": 1, "units": 3, "ordered": 3098}, {})]
    assert sales.day(TOMORROW) == [
        Summary(TOMORROW, "EUR", {"shipped": 1, "revenue": 3098}, {"TEA": 2, "CUP": 1})
    ]


def test_given_events_when_they_arrive_twice_and_in_any_order_then_the_sums_are_the_same(
    sales: Sales,
) -> None:
    told = [facts.accepted(facts.order("1")), facts.shipped("1")]
    told += [facts.accepted(facts.order("2", CUP=4)), facts.undone("2", refunded=2000)]
    told += [facts.accepted(facts.order("3", TEA=1)), facts.undone("3", State.REJECTED)]
    twice = told * 2
    random.Random(7).shuffle(twice)  # noqa: S311  the same order each time

    count(sales, *twice)

    (summary,) = sales.day(TODAY)
    assert summary.amounts == {
        "orders": 3,
        "units": 8,
        "ordered": 3098 + 2000 + 1299,
        "shipped": 1,
        "revenue": 3098,
        "cancelled": 1,
        "rejected": 1,
        "refunded": 2000,
    }
    assert list(summary.sold.items()) == [("TEA", 2), ("CUP", 1)]


def test_given_several_functions_when_they_count_concurrently_then_each_event_counts_once(
    sales: Sales,
) -> None:
    told = [facts.accepted(facts.order(str(n), TEA=1)) for n in range(12)] * 2
    if isinstance(sales, MemorySales):
        count(sales, *told)
    else:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda event: count(sales, event), told))

    (summary,) = sales.day(TODAY)
    assert summary.amounts["orders"] == summary.amounts["units"] == 12


def test_given_a_time_in_another_time_zone_when_its_event_is_counted_then_it_counts_on_the_utc_day() -> None:
    event = facts.shipped("1") | {"time": "2026-02-01T01:30:00+02:00"}
    assert messages.fact(event).day == TODAY


def test_given_two_events_of_an_order_when_they_are_counted_in_any_order_then_the_additions_are_the_same() -> (
    None
):
    told = [messages.fact(facts.accepted(facts.order("1"))), messages.fact(facts.shipped("1"))]
    found = []
    for each in itertools.permutations(told):
        known = Known("1")
        additions: list[Addition] = []
        for fact in each:
            known, more = domain.count(known, fact)
            additions += more
        found.append(sorted(additions, key=lambda addition: sorted(addition.amounts)))
    assert found[0] == found[1]


def record(event: Any, message_id: str) -> dict[str, Any]:
    body = event if isinstance(event, str) else orjson.dumps(event).decode()
    return {"messageId": message_id, "body": body, "attributes": {"ApproximateReceiveCount": "1"}}


@pytest.mark.parametrize(
    "poison",
    [
        "no JSON",
        "[]",
        "null",
        {"type": "shop.stock.reserved.v1"},
        facts.shipped("9") | {"data": {}},
        facts.shipped("9") | {"time": "yesterday"},
        facts.shipped("9") | {"time": "2026-01-31T12:00:00"},
        facts.accepted(facts.order("9")) | {"data": {"order_id": "9", "items": [], "total": {}}},
        facts.shipped("9") | {"id": ""},
    ],
)
def test_given_a_message_that_violates_its_contract_when_its_batch_is_handled_then_only_that_message_fails(
    poison: Any,
) -> None:
    sales = MemorySales()
    batch = {
        "Records": [
            record(facts.accepted(facts.order("1")), "a"),
            record(poison, "b"),
            record(facts.accepted(facts.order("2")), "c"),
        ]
    }

    assert work(batch, sales=sales) == {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert sales.day(TODAY)[0].amounts["orders"] == 2


def test_given_a_failing_table_when_the_batch_is_retried_then_only_the_failed_events_are_counted() -> None:
    class Failing(MemorySales):
        down = True

        def save(self, known: Known, additions: Sequence[Addition]) -> None:
            if self.down and known.order_id == "2":
                raise TimeoutError("the table does not answer")
            super().save(known, additions)

    sales = Failing()
    records = [record(facts.accepted(facts.order(str(n))), str(n)) for n in (1, 2)]
    assert work({"Records": records}, sales=sales) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    sales.down = False

    assert work({"Records": records}, sales=sales) == {"batchItemFailures": []}
    assert sales.day(TODAY)[0].amounts["orders"] == 2


@pytest.mark.parametrize("kind", messages.TYPES)
def test_given_the_events_of_these_tests_when_they_are_validated_then_they_match_the_order_contracts(
    kind: str,
) -> None:
    told = [
        facts.accepted(facts.order("1")),
        facts.shipped("1"),
        facts.undone("1", State.CANCELLED),
        facts.undone("1", State.REJECTED),
    ]
    schema = json.loads((CONTRACTS / f"{kind}.json").read_text(encoding="utf-8"))
    (event,) = [each for each in told if each["type"] == kind]
    Draft202012Validator(schema).validate(event)
    assert messages.fact(event).order_id == "1"
