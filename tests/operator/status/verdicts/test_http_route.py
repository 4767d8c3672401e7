"""The verdict on an HTTPRoute."""

from dataclasses import replace
from typing import Any

import pytest

from shop_operator.status.compute import status
from tests.operator.status.observing import NOW, SHOP, rolled_out, seen


@pytest.mark.parametrize(
    ("parents", "ready", "message"),
    [
        ([], False, "check that the Gateway exists"),
        (
            # About an earlier generation of the route.
            [{"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 1}]}],
            False,
            "has not accepted the route",
        ),
        (
            [
                {
                    "conditions": [
                        {"type": "Accepted", "status": "True", "observedGeneration": 2},
                        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound"},
                    ]
                }
            ],
            False,
            "Gateway shop/public rejected the route: BackendNotFound",
        ),
        ([{"conditions": [{"type": "Accepted", "status": "True"}]}], True, ""),
        (
            [{"conditions": [{"type": "Accepted", "status": "False", "message": "no listener"}]}],
            False,
            "no listener",
        ),
    ],
)
def test_given_an_httproute_then_it_is_ready_only_if_its_gateway_accepted_the_current_generation(
    parents: list[Any], ready: bool, message: str
) -> None:
    route = {
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "generation": 2},
        "spec": {"parentRefs": [{"name": "public", "namespace": "shop"}]},
        "status": {"parents": parents},
    }

    found = status(SHOP, seen(rolled_out(), route), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HTTPRoute")
    assert child["ready"] is ready
    assert message in child["message"]
    assert next(c for c in found["conditions"] if c["type"] == "Ready")["status"] == str(ready)


def test_given_an_httproute_without_parent_refs_then_its_message_says_that_it_names_no_gateway() -> None:
    route = {"kind": "HTTPRoute", "metadata": {"name": "web", "generation": 2}, "spec": {"parentRefs": []}}
    shop = replace(SHOP, document={**SHOP.document, "suspend": True})

    found = status(shop, seen(rolled_out(), route), {}, now=lambda: NOW)

    child = next(each for each in found["children"] if each["kind"] == "HTTPRoute")
    assert (child["ready"], child["message"]) == (False, "names no Gateway")
