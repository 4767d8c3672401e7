"""The pages of orders and of stock, over an API of the shop with prepared documents."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest

from shop_operator.cli.errors import NotThere
from shop_operator.cli.ui.requests import Api, checked
from shop_operator.cli.ui.shop import Shop, Token
from tests.operator.cli.server import Server
from tests.operator.cli.ui.conftest import Browser, Open
from tests.operator.cli.ui.documents import ID, Documents, details, order, payment, serving, shipment, span

SCRIPT = "<script>alert(1)</script>"
SHIPPED = details(
    order("RESERVED", "PAID", "SHIPPED"), payment("CHARGED", 2500, 0, "CHARGED"), shipment("BOOKED", "T1")
)


@pytest.fixture
def documents() -> Documents:
    return {
        "/orders": (200, {"items": [{"id": ID}], "next": None}),
        f"/orders/{ID}/details": (200, SHIPPED),
        "/products": (200, {"items": [{"sku": "A", "name": SCRIPT}], "next": "more"}),
        "/inventory/A": (200, {"sku": "A", "available": 7, "reserved": 1, "sold": 2}),
        "/api/traces": (200, {"data": []}),
    }


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    return []


@pytest.fixture
def url(documents: Documents, asked: list[tuple[str, str | None]]) -> Iterator[str]:
    with serving(documents, asked) as there:
        yield there


@pytest.fixture
def browser(url: str, browse: Open, monkeypatch: pytest.MonkeyPatch) -> Browser:
    monkeypatch.setenv("SHOP_TOKEN", "secret")
    return browse(shop=Shop(url, Token()), jaeger=Api(url, "Jaeger").get)


def test_given_a_shipped_order_when_its_page_is_shown_then_its_money_is_equal_and_its_path_complete(
    browser: Browser,
) -> None:
    page = browser.reads(f"/orders/{ID}")

    assert re.sub(r"\s+", " ", page).count('<li class="done">') == 7
    assert "25.00 EUR \u2212 0.00 EUR = 25.00 EUR" in page
    assert "Not started." in page
    assert "secret" not in page


def test_given_money_that_was_kept_although_the_order_was_undone_then_the_pages_show_the_difference(
    browser: Browser, documents: Documents
) -> None:
    kept = details(order("RESERVED", "CANCELLING", "CANCELLED"), payment("REFUNDED", 2500, 1000, "CHARGED"))
    documents[f"/orders/{ID}/details"] = (200, kept)

    assert "25.00 EUR \u2212 10.00 EUR ≠ 0.00 EUR" in browser.reads(f"/orders/{ID}")
    assert '<span class="badge bad">not equal</span>' in browser.reads("/orders")


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [("secret\r\n", 200, f"Order {ID}"), ("secret\nb", 403, "a character that a header cannot contain")],
)
def test_given_a_token_with_an_end_of_line_when_a_page_is_shown_then_it_does_not_contain_the_token(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, token: str, status: int, text: str
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", token)

    page = browser.reads(f"/orders/{ID}", status)

    assert text in page
    assert "secret" not in page + browser.reads("/orders")


def test_given_texts_with_markup_when_the_pages_are_shown_then_they_are_text(
    browser: Browser, documents: Documents
) -> None:
    hostile = details(
        order("RESERVED", cause=SCRIPT), payment("PENDING", 0, 0, SCRIPT), None, shipment=f"{SCRIPT} is away"
    )
    documents[f"/orders/{ID}/details"] = (200, hostile)
    documents["/api/traces"] = (200, {"data": [{"traceID": SCRIPT, "spans": [span("a", SCRIPT, 0, 10)], "processes": {"p1": {"serviceName": SCRIPT}}}]})  # fmt: skip

    for path in (f"/orders/{ID}", "/stock"):
        page = browser.reads(path)
        assert SCRIPT not in page
        assert "&lt;script&gt;alert(1)" in page


def test_given_a_trace_when_the_page_of_its_order_is_shown_then_it_has_a_bar_for_each_span(
    browser: Browser, documents: Documents, asked: list[tuple[str, str | None]]
) -> None:
    spans = [
        span("c", "charge", 6000, 4000, "b", error=True),
        span("a", "POST /orders", 1000, 10000, shop__order__id=ID),
        span("b", "send", 2000, 1000, "a"),
    ]
    trace = {"traceID": "t1", "spans": spans, "processes": {"p1": {"serviceName": "order"}}}
    documents["/api/traces"] = (200, {"data": [trace]})

    page = browser.reads(f"/orders/{ID}")

    assert re.findall(r'<span class="depth-(\d)">([^<]+)<', page) == [
        ("0", "POST /orders"), ("1", "send"), ("2", "charge"),
    ]  # fmt: skip
    assert re.findall(r'<rect x="(\d+)" y="1" width="(\d+)"', page) == [
        ("0", "1000"),
        ("100", "100"),
        ("500", "400"),
    ]
    assert page.count('<tr class="failed">') == 1
    assert ("/api/traces" in asked[-1][0], asked[-1][1]) == (True, None)


def test_given_an_order_that_was_read_often_when_its_page_is_shown_then_it_has_the_trace_in_which_it_was_placed(
    url: str, browse: Open
) -> None:
    read = span("r", "GET /orders/{order_id}", 20_000, 10, shop__order__id=ID)
    reads = [{**TRACES["data"][0], "traceID": f"r{each}", "spans": [read]} for each in range(20)]
    given = {None: reads, "POST /orders": TRACES["data"], "POST /orders/{order_id}/cancel": []}

    browser = browse(shop=Shop(url, Token()), jaeger=lambda _, query: {"data": given[query.get("operation")]})

    assert re.findall(r"Trace <code>(\w+)<", browser.reads(f"/orders/{ID}")) == ["t1"]


def test_given_a_part_that_is_away_when_the_page_of_an_order_is_shown_then_it_says_so(
    browser: Browser, documents: Documents
) -> None:
    documents[f"/orders/{ID}/details"] = (200, details(order("RESERVED"), payment="payment does not respond"))
    documents["/api/traces"] = (503, "no endpoints")

    page = browser.reads(f"/orders/{ID}")

    assert "The payment could not be loaded: payment does not respond." in page
    assert "Jaeger at" in page
    assert "responds with 503" in page


def test_given_stock_that_was_lost_when_the_page_is_shown_again_then_it_shows_the_difference(
    browser: Browser, documents: Documents
) -> None:
    assert '<span class="badge good">equal</span>' in browser.reads("/stock")

    documents["/inventory/A"] = (200, {"sku": "A", "available": 5, "reserved": 1, "sold": 2})

    page = browser.reads("/stock")
    assert '<span class="badge bad">-2</span>' in page
    assert 'href="/stock?cursor=more"' in page


def test_given_no_token_when_the_orders_are_shown_then_the_page_says_how_to_give_one(
    url: str, browse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)

    assert "--token-command" in browse(shop=Shop(url, Token())).reads("/orders")


@pytest.mark.parametrize(
    ("status", "shown", "said"),
    [
        (401, 403, "requires a valid token"),
        (403, 403, "the scope ops:read"),
        (404, 404, "has no /orders/"),
        (302, 503, "responds with 302"),
        (500, 503, "responds with 500"),
    ],
)
def test_given_an_api_that_refuses_when_an_order_is_requested_then_the_page_says_why(
    browser: Browser,
    documents: Documents,
    asked: list[tuple[str, str | None]],
    status: int,
    shown: int,
    said: str,
) -> None:
    documents[f"/orders/{ID}/details"] = (status, {})

    assert said in browser.reads(f"/orders/{ID}", shown)
    assert not any("elsewhere" in path for path, _ in asked)


def test_given_a_token_that_expired_when_an_order_is_requested_then_the_command_runs_again(
    url: str, browse: Open, documents: Documents, asked: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    program = tmp_path / "token.py"
    program.write_text(
        f"p = open({str(count)!r}, 'a+'); p.write('x'); p.seek(0); print('token-' + str(len(p.read())))"
    )
    browser = browse(shop=Shop(url, Token(f"{sys.executable} {program}")))
    documents[f"/orders/{ID}/details"] = (401, {})

    browser.reads(f"/orders/{ID}", 403)

    tokens = [token for path, token in asked if path.startswith(f"/orders/{ID}")]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


def test_given_a_token_command_that_fails_when_an_order_is_requested_then_the_page_shows_its_last_error(
    url: str, browse: Open, server: Server
) -> None:
    command = f"{sys.executable} -c \"raise SystemExit('no such user')\""

    page = browse(shop=Shop(url, Token(command))).reads(f"/orders/{ID}", 403)

    assert "(no such user)" in page


TRACES: Final = {
    "data": [
        {
            "traceID": "t1",
            "spans": [span("a", "POST /orders", 1000, 10000, shop__order__id=ID), span("b", "send", 2000, 10, "a")],
            "processes": {"p1": {"serviceName": "order"}},
        }
    ]
}  # fmt: skip
ODD: Final = (None, [7], {"a": 1}, "x", 10**400)


def odd(document: Any) -> Iterator[Any]:
    """The document with each of its values replaced by one of another type, or left out."""
    if isinstance(document, dict):
        for key in document:
            yield {name: value for name, value in document.items() if name != key}
            for each in odd(document[key]):
                yield {**document, key: each}
    elif isinstance(document, list):
        for index, value in enumerate(document):
            for each in odd(value):
                yield [*document[:index], each, *document[index + 1 :]]
    yield from ODD


@pytest.mark.parametrize(
    ("path", "page", "refused"),
    [
        (f"/orders/{ID}/details", f"/orders/{ID}", 503),
        ("/orders", "/orders", 200),
        ("/products", "/stock", 503),
        ("/inventory/A", "/stock", 200),
        ("/api/traces", f"/orders/{ID}", 200),
    ],
)
def test_given_a_document_of_another_shape_when_its_page_is_shown_then_it_says_so_and_never_fails(
    browse: Open, documents: Documents, monkeypatch: pytest.MonkeyPatch, path: str, page: str, refused: int
) -> None:
    documents["/api/traces"] = (200, TRACES)
    _, given = documents[path]
    found = dict[str, Any]()

    def get(asked: str, query: object = None) -> Any:
        if asked not in documents:
            raise NotThere(asked)
        return found.get(asked, documents[asked][1])

    monkeypatch.setenv("SHOP_TOKEN", "secret")
    monkeypatch.setattr(Api, "get", lambda _, asked, *_more: get(asked))
    browser = browse(shop=Shop("http://shop.test", Token()), jaeger=get)
    monkeypatch.setattr(browser.client.application, "testing", True)
    answers = set[tuple[int, bool]]()
    for each in odd(given):
        found[path] = each
        answer = browser.get(page)
        answers.add((answer.status_code, "returned an unexpected document" in answer.text))

    assert answers == {(200, False), (refused, True)}


@pytest.mark.parametrize("name", [".", ".."])
def test_given_an_id_that_a_client_resolves_as_a_path_when_it_is_used_then_no_other_resource_is_requested(
    browser: Browser, documents: Documents, asked: list[tuple[str, str | None]], name: str
) -> None:
    documents["/products"] = (200, {"items": [{"sku": name, "name": "Tea"}], "next": None})

    assert "is not an ID" in browser.reads(f"/orders?id={name}", 404)
    browser.get(f"/orders/{name}")
    browser.reads("/stock")

    assert {path.partition("?")[0] for path, _ in asked} <= {"/products"}


@pytest.mark.parametrize(
    ("url", "secret", "allowed"),
    [
        ("https://shop.example.com", True, True),
        ("http://127.0.0.1:8000", True, True),
        ("http://shop.example.com", False, True),
        ("http://shop.example.com", True, False),
        ("http://127.0.0.1.example.com", True, False),
        ("file:///etc/passwd", False, False),
        ("shop.example.com", False, False),
        ("https://shop.example.com/?a=b", False, False),
    ],
)  # fmt: skip
def test_given_a_url_then_a_token_is_sent_in_clear_text_only_on_this_machine(
    url: str,
    secret: bool,
    allowed: bool,
) -> None:
    try:
        found = checked(url, secret=secret)
    except click.BadParameter:
        found = None

    assert (found is not None) == allowed
