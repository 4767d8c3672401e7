"""The number of time series does not depend on what clients and messages contain."""

from typing import Final

import orjson
import pytest
from flask.testing import FlaskClient

from services.common.messaging.consumer import Consumer, Message
from services.product import api
from tests.services.common.messaging.queues import MemoryQueue
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import product
from tests.services.telemetry.samples import series

SKUS: Final = 10_000
HOSTILE: Final = ("../../etc/passwd", "%00", "a" * 2000, "{sku}", 'x",le="+Inf', "\u2603", "healthz/x", "GET")
# Of one route that answers with one status: three counters, the statuses 500 and 503, and a histogram with 11 buckets, +Inf, the sum
# and the count.
OF_ROUTE: Final = 3 + 2 + 11 + 1 + 2


@pytest.fixture
def client() -> FlaskClient:
    shop = MemoryShop()
    shop.put(product("CUP"), 1, None)
    client = api.create(shop).test_client()
    client.get("/products/CUP")
    client.get("/products/none")
    return client


@pytest.mark.slow
def test_given_10000_distinct_skus_when_they_are_requested_then_no_series_is_added(
    client: FlaskClient,
) -> None:
    before = series()

    for number in range(SKUS):
        client.get(f"/products/sku-{number}")

    assert series() == before


def test_given_hostile_paths_methods_and_headers_when_they_are_sent_then_the_series_stay_few(
    client: FlaskClient,
) -> None:
    before = series()

    for number, text in enumerate(HOSTILE):
        client.get(f"/{text}")
        client.get(f"/products/{text}", headers={"X-Route": text, "Accept": text, "Host": f"h{number}"})
        client.open("/products", method=f"M{number}")
        client.open(f"/{number}", method=f"SECA{number}", headers={f"X-{number}": str(number)})
        client.get(f"/products?limit={number - 1}&cursor={number}")

    added = series() - before
    # GET of the list and of no route, and other methods of both; the list answers with up to three statuses.
    assert len(added) <= 4 * OF_ROUTE + 3
    assert not {name for name, labels in added for _, value in labels if "SECA" in value or "M1" in value}


def test_given_messages_with_hostile_content_when_they_are_consumed_then_one_task_is_unknown() -> None:
    consumer = Consumer(MemoryQueue(), {})
    bodies = [
        orjson.dumps({"task": f"t-{n}", "order_id": f"o-{n}", "data": {"order_id": n}}) for n in range(100)
    ]
    consumer.process(Message("1", "1", "not JSON", 1, 0.0))
    before = series()

    for body in bodies:
        consumer.process(Message("1", "1", body.decode(), 1, 0.0))

    assert series() == before
