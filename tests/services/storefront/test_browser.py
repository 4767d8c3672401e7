"""The pages in Chromium, with the processes of `make dev`: from the catalog to the end of an order."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from shopdev import identity
from shopdev.ports import free_port
from shopdev.processes.emulator import Emulator
from shopdev.processes.shop import Shop
from tests.pages import NARROW, WIDE, chromium
from tests.shops import to_stderr

pytestmark = pytest.mark.emulator

PREFIX: Final = "pages"
PATIENCE: Final = 30_000
"""Milliseconds until a change must be visible, also on a busy machine."""
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
LARGEST_PAGE: Final = 60_000
SCRIPT: Final = '<img src=x onerror=alert(1)>"'


@pytest.fixture(scope="module")
def shop(emulator: Emulator) -> Iterator[Shop]:
    """A shop with pages."""
    shop = Shop(emulator, to_stderr, prefix=PREFIX)
    shop.add_pages(free_port())
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser, shop: Shop) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=shop.pages_url, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, shop: Shop) -> Iterator[Page]:
    """A tab, which requests nothing from elsewhere, and reports no error and no violation of the policy of its content."""
    page, problems = context.new_page(), list[str]()
    ours = {urlsplit(shop.pages_url).netloc, urlsplit(shop.emulator.endpoint).netloc}
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None,
    )
    page.on(
        "request",
        lambda request: problems.append(request.url) if urlsplit(request.url).netloc not in ours else None,
    )
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    yield page
    assert problems == []


def signs_in(page: Page, user: str = "alice") -> None:
    """Fills in the sign-in page of the emulator."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(identity.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def goes_to_checkout(page: Page, sku: str = "TE-001") -> None:
    page.goto(f"/catalog/{sku}")
    page.get_by_role("button", name="Add to the basket").click()
    page.get_by_role("link", name="Check out").click()
    if page.get_by_role("heading", name="Sign in to continue").is_visible():
        page.get_by_role("main").get_by_role("link", name="Sign in").click()
        signs_in(page)


def fills_in(
    page: Page, *, card: str = "Card that works", postal_code: str = "10115", name: str = "Ada"
) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Street and house number").fill("Main Street 1")
    page.get_by_label("City").fill("Berlin")
    page.get_by_label("Postal code", exact=True).fill(postal_code)
    page.get_by_label(card).check()


def sends(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Order and pay")).click()
    expect(page).to_have_url(re.compile(r"/account/orders/[0-9a-f-]{36}"), timeout=PATIENCE)


def flaws(page: Page) -> list[str]:
    """Violations of accessibility rules, and scrolling to the side."""
    report: Any = Axe().run(page, options={"runOnly": list(RULES)}).response
    found = [f"{each['id']}: {node['html']}" for each in report["violations"] for node in each["nodes"]]
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*found, *([f"{wider} px too wide"] if wider > 0 else [])]


def number_of_orders(shop: Shop) -> int:
    """The orders in the table of the order service."""
    rows = shop.clients.dynamodb.scan(TableName=shop.outputs["order"]["Table"], ConsistentRead=True)["Items"]
    return sum(row["pk"].get("S", "").startswith("ORDER#") for row in rows)


@pytest.mark.parametrize(
    ("card", "postal_code", "ending"),
    [
        ("Card that works", "10115", "Your parcel is on its way."),
        ("Card that is declined", "10115", "The payment was declined."),
        ("Card that works", "00000", "The carrier does not deliver to this address."),
    ],
)
def test_given_an_order_when_its_page_stays_open_then_it_shows_how_the_order_ends(
    page: Page, card: str, postal_code: str, ending: str
) -> None:
    goes_to_checkout(page)
    fills_in(page, card=card, postal_code=postal_code)
    sends(page)

    expect(page.locator("#progress")).to_contain_text(ending, timeout=PATIENCE)


def test_given_a_double_click_when_ordered_then_one_order_is_placed(page: Page, shop: Shop) -> None:
    goes_to_checkout(page)
    fills_in(page)
    before = number_of_orders(shop)

    page.get_by_role("button", name=re.compile("Order and pay")).dblclick(no_wait_after=True)
    expect(page).to_have_url(re.compile(r"/account/orders/"), timeout=PATIENCE)

    assert number_of_orders(shop) == before + 1


def test_given_a_placed_order_when_the_visitor_goes_back_then_the_basket_is_empty(page: Page) -> None:
    goes_to_checkout(page)
    fills_in(page)
    sends(page)

    page.go_back()

    expect(page.get_by_role("main")).to_contain_text("Your basket is empty.", timeout=PATIENCE)


def test_given_an_order_that_waits_for_its_payment_when_cancelled_then_its_page_shows_it(
    page: Page, shop: Shop
) -> None:
    goes_to_checkout(page)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        page.get_by_role("link", name="Cancel the order").click()
        expect(page.get_by_role("main")).to_contain_text("The products return to the stock.")
        page.get_by_role("button", name="Cancel the order now").click()
        expect(page.locator("#progress")).to_contain_text("You cancelled the order.", timeout=PATIENCE)
    finally:
        shop.process("payment-consumer").thaw()

    expect(page.locator("#progress")).to_contain_text(
        "Your products were returned to the stock.", timeout=PATIENCE
    )


def test_given_a_session_that_was_lost_when_ordered_then_nothing_is_ordered(
    page: Page, context: BrowserContext, shop: Shop
) -> None:
    goes_to_checkout(page)
    fills_in(page)
    before = number_of_orders(shop)
    context.clear_cookies(name="session")

    page.get_by_role("button", name=re.compile("Order and pay")).click()

    expect(page.get_by_role("heading", name="This form is no longer valid")).to_be_visible(timeout=PATIENCE)
    assert number_of_orders(shop) == before


def test_given_a_browser_without_scripts_when_ordered_then_a_link_shows_the_end(
    browser: Browser, shop: Shop
) -> None:
    context = browser.new_context(base_url=shop.pages_url, java_script_enabled=False)
    page = context.new_page()
    goes_to_checkout(page)
    fills_in(page)
    sends(page)

    for _ in range(100):
        if page.get_by_text("Your parcel is on its way.").is_visible():
            break
        page.get_by_role("link", name="Load the current state").click()
    expect(page.get_by_text("Your parcel is on its way.")).to_be_visible()
    context.close()


def test_given_a_script_in_an_address_then_it_is_shown_as_text(page: Page) -> None:
    goes_to_checkout(page)
    fills_in(page, name=SCRIPT)
    sends(page)

    expect(page.locator("address")).to_contain_text(SCRIPT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_given_every_page_then_it_is_accessible_narrow_and_small(
    browser: Browser, shop: Shop, scheme: Any
) -> None:
    context = browser.new_context(base_url=shop.pages_url, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    goes_to_checkout(page)
    fills_in(page)
    page.goto("/checkout")
    fills_in(page, postal_code="1")
    page.get_by_role("button", name=re.compile("Order and pay")).click()
    found = {"checkout": flaws(page)}
    fills_in(page)
    sends(page)
    order = urlsplit(page.url).path
    found["order"] = flaws(page)
    page.goto("/catalog/CU-001")
    page.get_by_role("button", name="Add to the basket").click()
    for path in (
        "/",
        "/?language=de",
        "/catalog/TE-001",
        "/basket",
        "/checkout",
        "/account/orders",
        order,
        "/nothing",
    ):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            response = page.goto(path)
            assert response is not None
            assert len(response.body()) < LARGEST_PAGE
            found[f"{path} {size['width']}"] = flaws(page)
    context.close()

    assert {where: each for where, each in found.items() if each} == {}
