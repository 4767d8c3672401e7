"""`kubectl shop ui` in Chromium on the shop of the node: real pods, orders and traces. The pictures in the documentation are made here."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from shopdev.checkout import ROOT, SHOPSERVICES
from shopdev.demo.observing import Backends
from shopdev.demo.target import Target
from tests import pictures, traces
from tests.e2e import jaeger
from tests.e2e.actors import Cluster, Shop
from tests.pages import WIDE, Visitor, appearances, chromium, served
from tests.waiting import wait_for

SECONDS: Final = 30_000
"""Milliseconds until a change must be visible."""


class Console(NamedTuple):
    """The running command, whose link was opened.

    Attributes:
        browser: the browser.
        link: the link.
        state: the cookie.
    """

    browser: Browser
    link: str
    state: Any

    @contextmanager
    def visitor(self, **options: Any) -> Iterator[Visitor]:
        """A tab."""
        context = self.browser.new_context(
            **{"storage_state": self.state, "viewport": WIDE, "reduced_motion": "reduce", **options}
        )
        yield Visitor(context, self.link, signed_in=True)
        context.close()


@pytest.fixture(scope="module")
def console(target: Target, backends: Backends) -> Iterator[Console]:
    """The command as docs/how-to/watch-the-shop.md starts it, with the token of a user of the group ops."""
    env = target.env()
    arguments = [
        "--shop-url",
        env["API_URL"],
        "--token-command",
        f"{sys.executable} {ROOT / 'dev' / 'token'} ops",
    ]
    with (
        chromium() as browser,
        served(Path(env["KUBECONFIG"]), "ui", "-n", "shop", *arguments, env=env) as link,
    ):
        context = browser.new_context()
        Visitor(context, link)
        state = context.storage_state()
        context.close()
        yield Console(browser, link, state)


@pytest.fixture(scope="module")
def compensated(backends: Backends, shop: Shop) -> str:
    """An order that was charged, and which no carrier takes, so that it was refunded; its trace is in Jaeger."""
    found = shop.place(shop.products()[3]["sku"], postal_code="00000")
    assert shop.finished(found)["state"] == "CANCELLED"

    def is_stored() -> bool:
        names = {each.name for each in _spans(backends, found)}
        return {traces.PLACED, "publish shop.order.cancelled.v1", "publish shop.payment.refunded.v1"} <= names

    wait_for(is_stored, 60, what=f"the trace of order {found}")
    return found


def _spans(backends: Backends, order: str) -> list[traces.SpanRecord]:
    return [
        span
        for trace in jaeger.trace_ids(backends.jaeger, order)
        for span in jaeger.trace(backends.jaeger, trace)
    ]


def test_given_the_pages_when_they_are_opened_then_they_are_accessible_in_light_and_dark_at_every_width(
    console: Console, compensated: str
) -> None:
    paths = ("/", "/graph", "/services/shop/order", "/orders", f"/orders/{compensated}", "/stock")

    flaws = dict[str, list[str]]()
    for appearance, visitor in appearances(console.browser, console.link, console.state):
        for path in paths:
            visitor.opens(path).wait_for_selector("h1")
            if found := visitor.flaws():
                flaws[f"{path} {appearance}"] = found

    assert flaws == {}


def test_given_a_service_that_is_suspended_when_the_graph_is_open_then_it_follows(
    console: Console, cluster: Cluster
) -> None:
    with console.visitor(color_scheme="dark") as visitor:
        page = visitor.opens("/graph")
        services = page.locator("ul.entries > li").filter(has=page.locator("p", has_text="ShopService"))
        ready = services.locator("p .badge").filter(has_text=re.compile("^Ready$"))
        expect(ready).to_have_count(len(SHOPSERVICES), timeout=SECONDS)
        pictures.take(page, "ui-graph")
        page.evaluate("window.sameDocument = true")
        payment = services.filter(has=page.get_by_role("link", name="payment", exact=True)).locator("p")

        with _patched(cluster, "payment", {"suspend": True}, {"suspend": None}):
            expect(payment).to_contain_text("Suspended", timeout=SECONDS)

        expect(payment).to_contain_text("Ready", timeout=SECONDS)
        assert page.evaluate("window.sameDocument")
        assert visitor.problems == []


def test_given_a_shopservice_when_its_page_is_opened_then_it_shows_its_real_pods_and_their_logs(
    console: Console, cluster: Cluster
) -> None:
    pods = [each["metadata"]["name"] for each in cluster.pods("order", "web")]
    with console.visitor() as visitor:
        page = visitor.opens("/services/shop/order")

        for name in pods:
            row = page.locator("table[aria-labelledby=pods]").get_by_role("row", name=name)
            expect(row).to_contain_text("Ready")
        expect(page.locator("ul.tree")).to_contain_text("Deployment order-consumer")
        pictures.take(page, "ui-service")

        page.get_by_role("link", name=f"app of pod {pods[0]}").click()
        expect(page.locator("#log")).to_contain_text('"')
        assert visitor.problems == []


def test_given_an_undone_order_when_its_page_is_opened_then_it_shows_both_lanes_and_the_trace_of_jaeger(
    console: Console, backends: Backends, compensated: str
) -> None:
    with console.visitor() as visitor:
        page = visitor.opens(f"/orders/{compensated}")

        lanes = [_lane(page.locator(f"section[aria-labelledby={each}]")) for each in ("forward", "undo")]
        assert lanes == [
            [("ReserveStock", "done"), ("CheckOrder", "done"), ("ChargePayment", "done"), ("ConfirmOrder", "done"),
             ("CreateShipment", "failed"), ("CommitStock", "not reached"), ("CompleteOrder", "not reached")],
            [("StartCancelling", "done"), ("CancelShipment", "not required"), ("RefundPayment", "done"),
             ("ReleaseStock", "done"), ("CancelOrder", "done")],
        ]  # fmt: skip
        expect(page.locator("table[aria-labelledby=attempts] tbody tr")).to_contain_text(["CHARGED"])
        expect(page.locator("dl.facts")).to_contain_text("equal")
        pictures.take(page, "ui-order")

        bars = page.locator("table.trace tbody tr")
        expect(bars).to_have_count(len(_spans(backends, compensated)), timeout=SECONDS)
        names = page.locator("table.trace th > span:first-child").all_inner_texts()
        assert sorted(names) == sorted(each.name for each in _spans(backends, compensated))
        assert bars.locator("rect").count() == bars.count()
        page.evaluate("document.getElementById('traces').scrollIntoView()")
        pictures.take(page, "ui-trace")
        assert visitor.problems == []


def test_given_an_order_that_waits_for_a_service_when_the_service_is_back_then_its_open_page_shows_it_shipped(
    console: Console, cluster: Cluster, shop: Shop
) -> None:
    with console.visitor() as visitor:
        with cluster.stopped_worker("shipping", "consumer"):
            order = shop.place(shop.products()[4]["sku"])
            page = visitor.opens(f"/orders/{order}")
            step = page.locator("section[aria-labelledby=forward] li").filter(has_text="CreateShipment")
            expect(step).to_contain_text("waiting", timeout=2 * SECONDS)
            expect(step).to_contain_text("since")
            page.evaluate("window.sameDocument = true")

        expect(page.locator("h1")).to_contain_text("SHIPPED", timeout=3 * SECONDS)
        assert {word for _, word in _lane(page.locator("section[aria-labelledby=forward]"))} == {"done"}
        assert page.evaluate("window.sameDocument")
        assert visitor.problems == []


def _lane(section: Locator) -> list[tuple[str, str]]:
    return [
        (each.locator("strong").inner_text(), each.locator(".badge").inner_text())
        for each in section.locator("ol.lane > li").all()
    ]


@contextmanager
def _patched(cluster: Cluster, name: str, change: dict[str, Any], before: dict[str, Any]) -> Iterator[None]:
    """A change of the spec of a ShopService of the shop, which is undone at the end."""

    def patch(spec: dict[str, Any]) -> None:
        body = json.dumps({"spec": spec})
        cluster.kubectl("patch", "shopservice", name, "-n", "shop", "--type=merge", "-p", body)

    patch(change)
    try:
        yield
    finally:
        patch(before)
        wait_for(
            lambda: cluster.kubectl("wait", f"shopservice/{name}", "-n", "shop", "--for=condition=Ready"), 90
        )


def test_given_the_scope_ops_when_money_and_stock_are_opened_then_orders_of_all_customers_add_up(
    console: Console, compensated: str
) -> None:
    with console.visitor(color_scheme="dark") as visitor:
        page = visitor.opens("/orders")
        row = page.get_by_role("row", name=compensated)
        expect(row).to_contain_text("CANCELLED")
        expect(row).to_contain_text("equal")
        assert _verdicts(page, "money") == {"equal"}
        pictures.take(page, "ui-money")

        page = visitor.opens("/stock")
        assert _verdicts(page) == {"equal"}
        pictures.take(page, "ui-stock")
        assert visitor.problems == []


def _verdicts(page: Page, heading: str = "") -> set[str]:
    table = page.locator(f"table[aria-labelledby={heading}]") if heading else page.locator("table")
    return set(table.locator("tbody .badge").all_inner_texts())


def test_given_no_javascript_when_the_pages_are_opened_then_they_have_the_same_content_and_reload(
    console: Console, compensated: str
) -> None:
    with console.visitor(java_script_enabled=False) as visitor:
        page = visitor.opens(f"/orders/{compensated}")
        assert _lane(page.locator("section[aria-labelledby=undo]"))[-1] == ("CancelOrder", "done")
        assert page.locator("table.trace tbody tr").count() > 0
        for path, text in (
            ("/", "payment"),
            ("/graph", "payment"),
            ("/orders", compensated),
            ("/stock", "BR-001"),
        ):
            expect(visitor.opens(path).locator("main")).to_contain_text(text)
            assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
