"""Measure the size of each page of the storefront and its first contentful paint, with the tracing of Chromium and the processes of `make dev`.

Each load has an empty cache. The paint is measured on this machine, and with the network and the processor of a phone, which Chromium
emulates with the values of Lighthouse. This takes about two minutes.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from shopdev import identity
from shopdev.cluster import chromium
from shopdev.processes.shop import Shop, with_pages

TIMES: Final = 5
CATEGORIES: Final = ("blink.user_timing", "loading")
SKU: Final = "TE-001"
ADDRESS: Final = {
    "name": "Ada Lovelace",
    "line1": "Main Street 1",
    "city": "Berlin",
    "postal_code": "10115",
}
PAINTED: Final = """new Promise((done) => new PerformanceObserver((list) => {
  if (list.getEntriesByName("first-contentful-paint").length) done();
}).observe({type: "paint", buffered: true}))"""
# https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md
LATENCY_MS: Final = 150
BYTES_PER_SECOND: Final = 1_638_400 // 8
SLOWER_PROCESSOR: Final = 4


@dataclass
class Load:
    """A load of a page.

    Args:
        paint: milliseconds from the start of the navigation to the first text or picture.
        bytes: type of resource, as in the DevTools protocol -> bytes received, with headers.
    """

    paint: float
    bytes: Mapping[str, int]


@dataclass
class Traffic:
    """The bytes that a page receives."""

    types: dict[str, str] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def follow(self, session: CDPSession) -> None:
        """Counts from now on."""
        session.on("Network.responseReceived", self._response)
        session.on("Network.loadingFinished", self._finished)
        session.send("Network.enable")

    def _response(self, event: Mapping[str, Any]) -> None:
        self.types[event["requestId"]] = event["type"]

    def _finished(self, event: Mapping[str, Any]) -> None:
        kind = self.types.get(event["requestId"], "Other")
        self.bytes[kind] = self.bytes.get(kind, 0) + int(event["encodedDataLength"])


def paint(trace: bytes, url: str) -> float:
    """Milliseconds from the start of the navigation to a URL to its first contentful paint, in a trace.

    Raises:
        ValueError: there is no such navigation, or it has painted nothing.
    """
    events = json.loads(trace)["traceEvents"]
    starts = {
        event["args"]["data"]["navigationId"]: event["ts"]
        for event in events
        if event["name"] == "navigationStart" and event["args"]["data"].get("documentLoaderURL") == url
    }
    for event in events:
        navigation = event.get("args", {}).get("data", {}).get("navigationId")
        if event["name"] == "firstContentfulPaint" and navigation in starts:
            return float(event["ts"] - starts[navigation]) / 1000
    raise ValueError(f"the trace contains no first contentful paint of {url}")


def load(browser: Browser, state: Any, url: str, *, phone: bool) -> Load:
    """Loads a page with an empty cache."""
    size = {"width": 360, "height": 640} if phone else {"width": 1280, "height": 800}
    context = browser.new_context(storage_state=state, viewport=size)  # type: ignore[arg-type]  # a TypedDict of this content
    page, traffic = context.new_page(), Traffic()
    session = context.new_cdp_session(page)
    traffic.follow(session)
    if phone:
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_PROCESSOR})
        limits = {"downloadThroughput": BYTES_PER_SECOND, "uploadThroughput": BYTES_PER_SECOND}
        session.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **limits})
    browser.start_tracing(categories=list(CATEGORIES))
    page.goto(url, wait_until="load")
    page.evaluate(PAINTED)
    trace = browser.stop_tracing()
    context.close()
    return Load(paint(trace, url), traffic.bytes)


def pages(browser: Browser, shop: Shop) -> tuple[dict[str, str], Any]:
    """Buys a product. Returns the pages by name, and the cookies of a customer with a basket."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{shop.pages_url}/sign-in")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(identity.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{shop.pages_url}/")
    _add(page, shop)
    page.goto(f"{shop.pages_url}/checkout")
    for name, value in ADDRESS.items():
        page.locator(f"#{name}").fill(value)
    page.locator("form[action='/checkout'] button").click()
    page.wait_for_url(f"{shop.pages_url}/account/orders/*")
    order = page.url.partition("?")[0]
    _add(page, shop)
    state = context.storage_state()
    context.close()
    paths = {
        "catalog": "/",
        "product": f"/catalog/{SKU}",
        "basket": "/basket",
        "checkout": "/checkout",
        "orders": "/account/orders",
    }
    return {name: f"{shop.pages_url}{path}" for name, path in paths.items()} | {"order": order}, state


def _add(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.pages_url}/catalog/{SKU}")
    page.locator("form[action='/basket/add'] button").click()
    page.wait_for_url("**/basket*")


def row(name: str, here: Sequence[Load], phone: Sequence[Load]) -> str:
    """The figures of a page as a row of the table."""
    weight = {
        kind: size for kind, size in here[-1].bytes.items() if kind in {"Document", "Stylesheet", "Script"}
    }
    pictures = here[-1].bytes.get("Image", 0)
    cells = [name, f"{sum(weight.values()) / 1000:.1f} kB", f"{pictures / 1000:.1f} kB"]
    for loads in (here, phone):
        paints = [each.paint for each in loads]
        cells.append(f"{statistics.median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f})")
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    argparse.ArgumentParser(
        prog="dev/bench storefront",
        description="Measure the size and the first contentful paint of the pages.",
    ).parse_args(argv)
    program = chromium.ensure()
    with with_pages(lambda _name, _line: None) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        print(
            f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, Chromium {browser.version}\n"
        )
        print(
            f"| page | document, styles, script | pictures | first contentful paint (median of {TIMES}) | on a phone |"
        )
        print("|---|---|---|---|---|")
        urls, state = pages(browser, shop)
        for name, url in urls.items():
            load(browser, state, url, phone=False)  # the first load fills the caches of the services
            here = [load(browser, state, url, phone=False) for _ in range(TIMES)]
            phone = [load(browser, state, url, phone=True) for _ in range(TIMES)]
            print(row(name, here, phone), flush=True)
        browser.close()
    return 0
