"""Events: one object for each, counted when it is repeated, and written without blocking a pass."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import Forbidden
from shop_operator.kubernetes.events import Events
from tests.operator.clock import Clock

SHOP = ShopService("web", "shop", "u1", 1)
DEADLINE = 5


class Api:
    def __init__(self) -> None:
        self.created: list[Mapping[str, Any]] = []
        self.patched: list[tuple[str, Mapping[str, Any]]] = []
        self.refusing = False

    async def create_event(self, event: Mapping[str, Any]) -> None:
        if self.refusing:
            raise Forbidden("no.")
        self.created.append(event)

    async def patch_event(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        assert namespace == "shop"
        self.patched.append((name, patch))


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@asynccontextmanager
async def writing(events: Events) -> AsyncIterator[None]:
    """Writes the queued Events at the end."""
    yield
    task = asyncio.create_task(events.run())
    async with asyncio.timeout(DEADLINE):
        while not events._waiting.empty():  # noqa: ASYNC110  the queue has no event for that
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    task.cancel()


async def test_when_an_event_is_emitted_then_it_names_its_object_its_reason_and_its_controller(
    api: Api, clock: Clock
) -> None:
    events = Events(api, "operator-1", clock)
    async with writing(events):
        events.tell(SHOP, "Ready", "2/2 pods are ready.")
        events.tell(SHOP, "Conflict", "x" * 2000, warning=True)

    first, second = api.created
    assert first["regarding"] == {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "namespace": "shop",
        "name": "web",
        "uid": "u1",
    }
    assert (first["type"], first["reason"], first["note"]) == ("Normal", "Ready", "2/2 pods are ready.")
    assert first["reportingController"] == "shopservice.dev/shop-operator"
    assert (second["type"], len(second["note"])) == ("Warning", 1024)


async def test_given_a_repeated_event_then_its_count_is_written_once_a_minute_and_it_is_new_after_a_while(
    api: Api, clock: Clock
) -> None:
    events = Events(api, "operator-1", clock)
    for clock.now in (0, 1, 2, 61, 62):
        async with writing(events):
            events.tell(SHOP, "Ready", "yes.")

    (created,) = api.created
    ((name, patch),) = api.patched
    assert name == created["metadata"]["name"]
    assert patch["series"]["count"] == 4

    clock.now = 700
    async with writing(events):
        events.tell(SHOP, "Ready", "yes.")
        events.tell(SHOP, "Ready", "no.")
    assert len(api.created) == 3


async def test_given_an_event_that_cannot_be_written_then_it_is_dropped_and_the_next_one_is_written(
    api: Api, clock: Clock
) -> None:
    events = Events(api, "operator-1", clock)
    api.refusing = True
    async with writing(events):
        events.tell(SHOP, "Ready", "yes.")
    api.refusing = False
    async with writing(events):
        events.tell(SHOP, "Ready", "yes.")

    assert len(api.created) == 1


def test_given_more_than_a_thousand_waiting_events_then_the_rest_is_dropped_without_blocking(
    api: Api, clock: Clock
) -> None:
    events = Events(api, "operator-1", clock)
    for number in range(1100):
        events.tell(SHOP, "Ready", str(number))

    assert events._waiting.qsize() == 1000
