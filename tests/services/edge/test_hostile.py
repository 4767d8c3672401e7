"""Hostile requests never cause a server error."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.http.auth import Authenticator, Machines, Verifier
from services.order import api as order
from services.payment import api as payment
from services.product import api as product
from services.shipping import api as shipping
from tests.services.callers import ALICE, As, Pool
from tests.services.memory import MemoryOutbox
from tests.services.order.world import World, wish
from tests.services.payment.fakes import MemoryPayments
from tests.services.product.fakes import MemoryShop
from tests.services.shipping.fakes import MemoryShipments

KEYS = {"AKIAMACHINE": "a secret of the machine"}
DAY = "20260101"
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential=AKIAMACHINE/{DAY}/eu-central-1/execute-api/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)
POOL = Pool()
# How a process may be set up to know machines.
VERIFIERS: Mapping[str, Authenticator] = {
    "no machines": POOL.door(Machines({})),
    "a gateway": POOL.door(Machines({}, "", "a secret of the gateway")),
    "keys": POOL.door(Machines(KEYS, "http://127.0.0.1:4566/restapis/abc/live", clock=lambda: NOW)),
    "keys without a path": POOL.door(Machines(KEYS, "http://127.0.0.1:4566", clock=lambda: NOW)),
    "keys without an address": POOL.door(Machines(KEYS, "", clock=lambda: NOW)),
}


def apps(verifier: Verifier) -> tuple[Flask, ...]:
    world = World()
    return (
        order.create(
            world.orders,
            world.products,
            world.idempotency,
            world.related_resources,
            world.findings,
            verifier,
        ),
        payment.create(MemoryPayments(MemoryOutbox()), verifier),
        shipping.create(MemoryShipments(MemoryOutbox()), verifier),
        product.create(MemoryShop()),
    )


BY_SETTING = {name: apps(verifier) for name, verifier in VERIFIERS.items()}
OPEN = apps(As(ALICE))


CLOSED = ("/orders", "/payments/x", "/shipments/x")
# What a client of a pod itself may write into the line of a request, as gunicorn hands it over.
RAW = ("/orders", "http://[bad/orders", "//[/orders", "/orders?%zz=%", "http://x:99999/", "*", "")
AUTHORIZATIONS = (
    SIGNED,
    SIGNED.replace("host;x-amz-date", "host;x-amz-date;;-"),
    SIGNED.replace("host;x-amz-date", "host;host;x-amz-date"),
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 Credential=\xff",
    "Bearer e30.e30.e30",
    "Bearer " + "W1tb" * 900 + ".e30.e30",
    "Bearer ...",
    "Bearer \xff.\xff.\xff",
    "Digest username=x",
    "\xff",
    "",
)


@pytest.mark.parametrize("setting", VERIFIERS)
@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_given_any_authentication_settings_when_credentials_identify_no_caller_then_the_response_is_401(
    setting: str, authorization: str
) -> None:
    for app, path in zip(BY_SETTING[setting], CLOSED, strict=False):
        for raw in RAW:
            environ = {
                "RAW_URI": raw,
                "HTTP_AUTHORIZATION": authorization,
                "HTTP_X_AMZ_DATE": f"{DAY}T000000Z",
                "HTTP_X_SHOP_GATEWAY": "\xff",
                "HTTP_X_SHOP_CALLER": "arn:aws:iam::1:role/x",
            }
            answer = app.test_client().get(path, environ_overrides=environ)
            assert answer.status_code == 401, (raw, path, answer.data)


# ---- whatever else a request is made of, from a customer who is known

METHODS = st.sampled_from(
    ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "SECA1", "get", "\xff"]
)
TEXT = st.text(st.characters(codec="latin-1"), max_size=80)
PATHS = st.one_of(
    st.sampled_from(["/orders", "/products", "/inventory/", "/payments/", "/shipments/", "/healthz"]),
    st.builds("/orders/{}".format, TEXT),
    st.builds("/orders/{}/cancel".format, TEXT),
    st.builds("/orders/{}/details".format, TEXT),
    st.builds("/products/{}".format, TEXT),
    st.builds("/inventory/{}".format, TEXT),
    st.builds("/payments/{}".format, TEXT),
    st.builds("/shipments/{}".format, TEXT),
    st.builds("/{}".format, TEXT),
)
CURSORS = st.sampled_from(
    ["eyJza3UiOiIifQ", "eyJza3UiOm51bGx9", "eyJhZnRlciI6IngifQ", "W10", "bnVsbA", "====", "", "\xff"]
)
QUERIES = st.one_of(
    TEXT,
    st.builds("cursor={}".format, CURSORS),
    st.builds("limit={}&q={}&category={}".format, st.sampled_from(["0", "-1", "1e9", "x", "99"]), TEXT, TEXT),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "HTTP_HOST",
            "HTTP_TRACEPARENT",
            "HTTP_IDEMPOTENCY_KEY",
            "HTTP_COOKIE",
            "HTTP_ACCEPT",
            "HTTP_RANGE",
            "HTTP_IF_NONE_MATCH",
            "HTTP_CONTENT_ENCODING",
            "HTTP_X_FORWARDED_FOR",
            "HTTP_X_FORWARDED_HOST",
            "HTTP_TRANSFER_ENCODING",
            "CONTENT_TYPE",
        ]
    ),
    st.one_of(
        TEXT,
        st.sampled_from(
            [
                "key-1",
                "[::",
                "x:y",
                "application/json; charset=magic",
                "multipart/form-data",
                "bytes=-",
                "gzip",
            ]
        ),
    ),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def wishes(draw: st.DrawFn) -> Any:
    """An order request with some members replaced."""
    body: dict[str, Any] = wish()
    place: Any = body
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or draw(st.booleans()):
            place[key] = draw(JSON)
            break
        place = place[key]
    return body


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"{", b"null", b"[" * 20_000, b'"\xff"', b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b"1e999"]
    ),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS, body=BODIES)
def test_given_an_authenticated_customer_when_any_request_is_sent_then_it_causes_no_server_error(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    for app in OPEN:
        environ = {"QUERY_STRING": query, "PATH_INFO": path, "REQUEST_METHOD": method, **headers}
        answer = app.test_client().open("/", data=body, environ_overrides=environ)
        assert answer.status_code < 500 or (path == "/readyz"), (environ, body, answer.data)


@settings(max_examples=100, deadline=None)
@given(body=wishes(), key=st.text(st.characters(codec="latin-1"), max_size=20))
def test_given_an_authenticated_customer_when_any_order_is_sent_then_it_causes_no_server_error(
    body: Any, key: str
) -> None:
    app = OPEN[0]
    environ = {"HTTP_IDEMPOTENCY_KEY": key, "CONTENT_TYPE": "application/json"}
    answer = app.test_client().post("/orders", data=json.dumps(body), environ_overrides=environ)
    assert answer.status_code < 500, (body, key, answer.data)
