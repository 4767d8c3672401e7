"""The trace of an order, as Jaeger answers it: one tree through the pods of all four services."""

import pytest

from shopdev.demo.observing import Backends
from tests import traces
from tests.e2e import jaeger
from tests.e2e.actors import Shop
from tests.waiting import wait_for

STORED_WITHIN = 60.0


@pytest.mark.parametrize(
    ("token", "postal_code", "expected"), traces.ENDINGS.values(), ids=traces.ENDINGS.keys()
)
def test_given_an_order_when_it_has_ended_then_jaeger_has_exactly_its_tree_of_spans(
    backends: Backends, shop: Shop, token: str, postal_code: str, expected: str
) -> None:
    order_id = shop.place(shop.products()[1]["sku"], token=token, postal_code=postal_code)

    wait_for_tree(backends, order_id, expected)


def wait_for_tree(backends: Backends, order_id: str, expected: str) -> None:
    def spans_are_as_expected() -> bool:
        found = [
            spans
            for trace_id in jaeger.trace_ids(backends.jaeger, order_id)
            if traces.of_order(spans := jaeger.trace(backends.jaeger, trace_id), order_id)
        ]
        assert [traces.text(spans) for spans in found] == [expected]
        return True

    wait_for(spans_are_as_expected, STORED_WITHIN, what=f"the trace of order {order_id}")
