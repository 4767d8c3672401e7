"""The pages in Chromium, with the processes of `make dev`: from the catalog to the end of an order, and everything in between.

The picture in the README and the one of the storefront are taken here.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from playwright.sync_api import Browser, Page, Request, Route, ViewportSize, expect

from services.storefront.following import MOST_PER_CUSTOMER
from shopdev import identity
from shopdev.checkout import STOREFRONT
from shopdev.customer import Customer, until
from shopdev.processes.shop import Shop, with_pages
from tests import pictures
from tests.pages import WIDE, Visitor, chromium
from tests.services.storefront.visitor import ADDRESS
from tests.waiting import wait_for

pytestmark = pytest.mark.emulator

PATIENCE: Final = 30_000
"""Milliseconds until a change must be visible, also on a busy machine."""
HIDDEN: Final = 30_000
"""Milliseconds for which a received message is hidden: the default of SQS, and the timeout of the queues of the shop."""
SCRIPT: Final = '<img src=x onerror=alert(1)>"'
ORDER_PAGE: Final = re.compile(r"/account/orders/[0-9a-f-]{36}")
PAY: Final = re.compile("Order and pay")
PHONE: Final = ViewportSize(width=360, height=640)
SHIPPED: Final = "Your parcel is on its way."
WAYS: Final[Mapping[str, Callable[[Route], None]]] = {
    "refused": lambda route: route.fulfill(status=HTTPStatus.BAD_GATEWAY),
    "interrupted": lambda route: route.abort(),
    "held back": lambda _route: None,
}
"""The fate of the events on the way to the browser."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A shop with pages, and an emulator that waits as long as AWS does."""
    lines: list[str] = []
    try:
        with with_pages(lambda name, line: lines.append(f"{name}: {line}")) as shop:
            yield shop
    finally:
        sys.stderr.write("\n".join(lines))  # shown with a test that failed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def visiting(browser: Browser, shop: Shop, **options: Any) -> Iterator[Visitor]:
    """A tab of a browser of its own, in which nothing may happen that no page intends."""
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
    context.set_default_timeout(PATIENCE)
    try:
        visitor = Visitor(context, shop.pages_url, sign_in=shop.emulator.endpoint)
        yield visitor
        assert visitor.problems == []
    finally:
        context.close()


@pytest.fixture
def visitor(browser: Browser, shop: Shop) -> Iterator[Visitor]:
    with visiting(browser, shop) as visitor:
        yield visitor


@pytest.fixture
def page(visitor: Visitor) -> Page:
    return visitor.page


@pytest.fixture
def orders(shop: Shop) -> Callable[[], int]:
    """The number of orders in the table of the order service."""

    def count() -> int:
        table = shop.outputs["order"]["Table"]
        rows = shop.clients.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        return sum(row["pk"].get("S", "").startswith("ORDER#") for row in rows)

    return count


def signs_in(page: Page, user: str = "alice") -> None:
    """Fills in the sign-in page of the emulator."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(identity.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def goes_to_checkout(visitor: Visitor, sku: str = "TE-001") -> None:
    """Puts a product into the basket, and signs in."""
    page = visitor.opens(f"/catalog/{sku}")
    page.locator("form[action='/basket/add'] button").click()
    page.locator("a[href='/checkout']").click()
    page.locator("main a[href^='/sign-in']").click()
    signs_in(page)
    page.wait_for_url("**/checkout")


def fills_in(page: Page, *, card: str = "tok_approve", **changes: str) -> None:
    for field, value in {**ADDRESS, **changes}.items():
        if field == "country":
            page.locator("#country").select_option(value)
        else:
            page.locator(f"#{field}").fill(value)
    page.locator(f"#{card}").check()


def sends(page: Page) -> None:
    page.locator("form[action='/checkout'] button").click()
    expect(page).to_have_url(ORDER_PAGE, timeout=PATIENCE)


def shows(page: Page, text: str | re.Pattern[str], timeout: float = PATIENCE) -> None:
    """The page of an order shows a text without being loaded again."""
    expect(page.locator("#progress")).to_contain_text(text, timeout=timeout)


def test_given_a_visitor_when_they_buy_then_every_page_is_accessible_and_the_last_one_moves_live(
    browser: Browser, shop: Shop
) -> None:
    with visiting(browser, shop, color_scheme="light") as visitor:
        page = visitor.page
        page.get_by_label("Search for products").fill("tea")
        page.get_by_label("Search for products").press("Enter")
        page.wait_for_url("**/?q=tea")
        pictures.take(page, "storefront-catalog")
        page.get_by_role("link", name="Darjeeling First Flush Loose Tea 100 g").click()
        flaws = visitor.flaws()
        page.get_by_label("Quantity").fill("2")
        page.get_by_role("button", name="Add to the basket").click()
        flaws += visitor.flaws()
        page.get_by_role("link", name="Check out").click()
        flaws += visitor.flaws()
        page.get_by_role("main").get_by_role("link", name="Sign in").click()
        signs_in(page)
        fills_in(page)
        flaws += visitor.flaws()
        sends(page)
        page.evaluate("window.sameDocument = true")
        polls = requests(page, "fetch")

        shows(page, SHIPPED)

        assert page.evaluate("window.sameDocument")
        assert polls == [], "the stream of events has shown it"
        expect(page.locator("#said")).to_contain_text(SHIPPED)
        assert [*flaws, *visitor.flaws()] == []


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        ({"card": "tok_decline"}, "The payment was declined."),
        ({"postal_code": "00000"}, "The carrier does not deliver to this address."),
    ],
    ids=["declined", "refused by the carrier"],
)
def test_given_an_order_that_cannot_be_carried_out_when_its_page_stays_open_then_it_says_why(
    visitor: Visitor, page: Page, change: dict[str, str], ending: str
) -> None:
    goes_to_checkout(visitor)
    fills_in(page, **change)
    sends(page)

    shows(page, ending)
    shows(page, "Your products were returned to the stock.")


def test_given_a_browser_without_events_when_an_order_is_followed_then_its_page_polls(
    browser: Browser, shop: Shop
) -> None:
    with visiting(browser, shop) as visitor:
        visitor.page.add_init_script("delete window.EventSource")
        goes_to_checkout(visitor)
        fills_in(visitor.page)
        sends(visitor.page)
        visitor.page.evaluate("window.sameDocument = true")

        shows(visitor.page, SHIPPED)

        assert visitor.page.evaluate("window.sameDocument")


@pytest.mark.parametrize("way", WAYS)
def test_given_events_that_are_lost_on_the_way_when_an_order_is_followed_then_its_page_polls(
    browser: Browser, shop: Shop, way: str
) -> None:
    with visiting(browser, shop) as visitor:
        page = visitor.page
        page.route("**/live?*", WAYS[way])
        goes_to_checkout(visitor)
        fills_in(page)
        polls = requests(page, "fetch")
        sends(page)

        shows(page, SHIPPED)

        assert polls
        forgives(visitor, "net::ERR_FAILED")


def test_given_a_proxy_that_passes_on_whole_responses_when_an_order_moves_then_its_page_shows_it(
    browser: Browser, shop: Shop
) -> None:
    environment = shop.process(STOREFRONT).env
    environment["WHOLE_RESPONSES"] = "true"
    restarts(shop)
    try:
        with visiting(browser, shop) as visitor:
            page = visitor.page
            page.route("**/live?*", lambda route: route.fulfill(response=route.fetch()))
            goes_to_checkout(visitor)
            fills_in(page)
            polls = requests(page, "fetch")
            sends(page)

            shows(page, SHIPPED)

            assert polls == []
    finally:
        del environment["WHOLE_RESPONSES"]
        restarts(shop)


def test_given_tabs_of_one_order_when_it_moves_then_each_shows_it_and_one_too_many_polls(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        tabs = [page.context.new_page() for _ in range(MOST_PER_CUSTOMER)]
        polls = [requests(tab, "fetch") for tab in tabs]
        for tab in tabs:
            tab.goto(page.url)

        def one_polls() -> bool:
            page.title()  # the recorded requests arrive while the browser is asked something
            return sum(map(bool, polls)) == 1

        wait_for(one_polls)
    finally:
        shop.process("payment-consumer").thaw()

    for tab in (page, *tabs):
        shows(tab, SHIPPED, HIDDEN + PATIENCE)


def test_given_an_open_order_when_the_shop_does_not_respond_then_its_page_says_how_old_it_is(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        expect(page.locator("li.current")).to_contain_text("Paid", timeout=PATIENCE)
        with killed(shop, "order"):
            expect(page.locator("#stale")).to_contain_text(
                re.compile(r"The order is shown as it was at this time: \d+:\d\d:\d\d"), timeout=PATIENCE
            )
            assert visitor.flaws() == []
        expect(page.locator("#stale")).to_be_hidden(timeout=PATIENCE)
    finally:
        shop.process("payment-consumer").thaw()

    shows(page, SHIPPED, HIDDEN + PATIENCE)


def test_given_an_open_order_when_the_storefront_restarts_then_its_page_goes_on(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        expect(page.locator("li.current")).to_contain_text("Paid", timeout=PATIENCE)
        page.evaluate("window.sameDocument = true")
        with page.expect_request("**/live?*", timeout=PATIENCE):
            restarts(shop)
    finally:
        shop.process("payment-consumer").thaw()

    shows(page, SHIPPED, HIDDEN + PATIENCE)
    assert page.evaluate("window.sameDocument")
    forgives(visitor, "net::ERR_CONNECTION_REFUSED")


def test_given_an_open_order_when_the_sign_in_ends_then_its_page_says_so(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        expect(page.locator("li.current")).to_contain_text("Paid", timeout=PATIENCE)
        expires(shop, page)
        restarts(shop)

        heading = page.get_by_role("heading", name="Your session has ended")
        expect(heading).to_be_visible(timeout=PATIENCE)
    finally:
        shop.process("payment-consumer").thaw()
    forgives(visitor, "net::ERR_CONNECTION_REFUSED")


def test_given_a_phone_without_scripts_in_german_when_they_buy_then_a_link_shows_the_end(
    browser: Browser, shop: Shop
) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "locale": "de-DE"}
    with visiting(browser, shop, java_script_enabled=False, **phone) as visitor:
        page = visitor.page
        goes_to_checkout(visitor)
        expect(page.get_by_role("heading", name="Zur Kasse", exact=True)).to_be_visible()
        fills_in(page)
        sends(page)
        path = urlsplit(page.url).path

        def has_ended() -> bool:
            page.locator(f"#progress a[href='{path}'], h1").last.click()
            return page.get_by_text("Ihr Paket ist unterwegs.").is_visible()

        wait_for(has_ended, PATIENCE / 1000)
        assert visitor.overflow() == []
        expect(page.locator("html")).to_have_attribute("lang", "de")


def test_given_the_keyboard_only_when_they_buy_then_an_order_is_placed(visitor: Visitor, page: Page) -> None:
    def goes_to(text: str) -> None:
        """Presses Tab until the focus is on what has this text."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == text:
                return
        raise AssertionError(f"Tab does not lead to {text!r} on {page.url}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("darjeeling")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=darjeeling")
    goes_to("Darjeeling First Flush Loose Tea 100 g")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalog/*")
    goes_to("Add to the basket")
    page.keyboard.press("Enter")
    page.wait_for_url("**/basket*")
    goes_to("Check out")
    page.keyboard.press("Enter")
    page.wait_for_url("**/checkout")
    page.locator("main a[href^='/sign-in']").press("Enter")
    signs_in(page)
    page.wait_for_url("**/checkout")
    page.locator("#name").focus()
    for value in ("Ada Lovelace", "Main Street 1", "Berlin"):
        page.keyboard.type(value)
        page.keyboard.press("Tab")
    page.keyboard.type("10115")
    page.keyboard.press("Enter")

    expect(page).to_have_url(ORDER_PAGE, timeout=PATIENCE)


def test_given_a_double_click_and_a_reload_when_ordered_then_one_order_is_placed(
    visitor: Visitor, page: Page, orders: Callable[[], int]
) -> None:
    before = orders()
    goes_to_checkout(visitor)
    fills_in(page)

    page.get_by_role("button", name=PAY).dblclick(no_wait_after=True)
    expect(page).to_have_url(ORDER_PAGE, timeout=PATIENCE)
    page.reload()

    expect(page.get_by_role("main")).to_contain_text("Thank you.")
    assert orders() == before + 1


def test_given_a_shop_that_does_not_respond_when_the_sent_form_is_loaded_again_then_one_order_is_placed(
    shop: Shop, visitor: Visitor, page: Page, orders: Callable[[], int]
) -> None:
    before = orders()
    goes_to_checkout(visitor)
    fills_in(page)
    with killed(shop, "order"):
        page.get_by_role("button", name=PAY).click()
        expect(page.get_by_role("alert")).to_contain_text("it cannot be placed twice from here")

    page.reload()  # sends the form again

    expect(page).to_have_url(ORDER_PAGE, timeout=PATIENCE)
    assert orders() == before + 1


def test_given_a_placed_order_when_the_visitor_goes_back_then_the_basket_is_empty(
    visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    sends(page)

    page.go_back()
    expect(page.get_by_role("main")).to_contain_text("Your basket is empty.")
    page.go_forward()

    expect(page).to_have_url(ORDER_PAGE, timeout=PATIENCE)


def test_given_two_tabs_with_one_basket_when_both_are_sent_then_one_order_is_placed(
    visitor: Visitor, page: Page, orders: Callable[[], int]
) -> None:
    before = orders()
    goes_to_checkout(visitor)
    second = page.context.new_page()
    second.goto(page.url)
    fills_in(page)
    fills_in(second)

    sends(page)
    sends(second)

    assert second.url == page.url
    assert orders() == before + 1


def test_given_an_order_in_flight_when_cancelled_then_its_page_shows_what_is_undone(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    shop.process("payment-consumer").freeze()
    try:
        sends(page)
        expect(page.locator("li.current")).to_contain_text("Paid", timeout=PATIENCE)
        page.emulate_media(color_scheme="dark")
        pictures.take(page, "storefront-order")
        page.get_by_role("link", name="Cancel the order").click()
        expect(page.get_by_role("main")).to_contain_text("The products return to the stock.")
        page.get_by_role("button", name="Cancel the order now").click()
        shows(page, "You cancelled the order.")
    finally:
        shop.process("payment-consumer").thaw()

    shows(page, "Your products were returned to the stock.")


def test_given_a_session_that_expires_during_checkout_when_signed_in_again_then_the_address_is_kept(
    shop: Shop, visitor: Visitor, page: Page, orders: Callable[[], int]
) -> None:
    before = orders()
    goes_to_checkout(visitor)
    fills_in(page, name="Grace Hopper")
    expires(shop, page)

    page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    assert orders() == before
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    signs_in(page)

    expect(page.get_by_label("Name", exact=True)).to_have_value("Grace Hopper")
    expect(page.get_by_role("status")).to_contain_text("Nothing was ordered yet")
    sends(page)
    assert orders() == before + 1


def test_given_a_customer_when_signed_out_then_the_user_pool_leads_back_to_the_catalog(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)

    with page.expect_response(
        lambda answer: answer.url.startswith(f"{shop.emulator.endpoint}/logout?")
    ) as left:
        page.get_by_role("button", name="Sign out").click()

    assert left.value.headers["location"] == f"{shop.pages_url}/"
    expect(page).to_have_url(f"{shop.pages_url}/")
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def test_given_a_session_that_is_lost_during_checkout_when_ordered_then_nothing_is_ordered(
    visitor: Visitor, page: Page, orders: Callable[[], int]
) -> None:
    before = orders()
    goes_to_checkout(visitor)
    fills_in(page)
    page.context.clear_cookies(name="session")

    page.get_by_role("button", name=PAY).click()

    expect(page.get_by_role("heading", name="This form is no longer valid")).to_be_visible()
    assert orders() == before


def test_given_a_payment_service_that_is_down_when_ordered_then_the_order_is_accepted_and_waits(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page)
    with killed(shop, "payment", "payment-consumer"):
        sends(page)
        expect(page.get_by_role("main")).to_contain_text("Thank you. The shop has received your order.")
        shows(page, "because the payment service does not respond. Your order is not affected.")

    # The killed consumer may have received the task, which SQS then hides until its visibility timeout ends.
    shows(page, SHIPPED, HIDDEN + PATIENCE)


def test_given_a_product_service_that_is_down_when_its_pages_are_opened_then_they_say_how_old_they_are(
    shop: Shop, visitor: Visitor
) -> None:
    for path in ("/", "/catalog/TE-001"):
        visitor.opens(path)
    with killed(shop, "product"):
        for path in ("/", "/catalog/TE-001"):
            main = visitor.opens(path).get_by_role("main")
            expect(main).to_contain_text(re.compile(r"Prices and stock are as they were \d+ seconds? ago"))
        page = visitor.opens("/?q=never+searched+before")
        expect(page.get_by_role("heading", name="The shop does not respond at the moment")).to_be_visible()
        assert visitor.flaws() == []

    page.get_by_role("link", name="Try again").click()

    expect(page.get_by_role("main")).to_contain_text("No product matches.")


def test_given_a_dead_letter_of_an_order_when_staff_redrives_it_without_scripts_then_the_order_is_shipped(
    browser: Browser, shop: Shop
) -> None:
    with stopped(shop, "shipping-consumer"), Customer(shop.url, shop.token()) as customer:
        order = customer.place("TE-001")
        until(lambda: customer.order(order)["state"] == "PAID")
        dies(shop, "shipping", order["id"])
        with visiting(browser, shop, java_script_enabled=False) as visitor:
            page = visitor.opens("/sign-in?staff=1&next=/staff")
            signs_in(page, "ops")
            page.get_by_role("link", name="Show the dead letters").click()
            letter = page.get_by_role("article").filter(has_text=order["id"])
            expect(letter.get_by_role("heading")).to_have_text("CreateShipment")
            expect(letter).to_contain_text("its handler failed")
            expect(page.get_by_role("main")).not_to_contain_text("tok_approve")

            letter.get_by_role("link", name="Redrive").click()
            expect(page.get_by_role("main")).to_contain_text("its order continues")
            page.get_by_role("button", name="Redrive now").click()

            expect(page.get_by_role("status")).to_contain_text("1 message was sent to its queue again.")
            expect(page.get_by_role("article").filter(has_text=order["id"])).to_have_count(0)
            page.go_back()
            page.get_by_role("button", name="Redrive now").click()
            expect(page.get_by_role("alert")).to_contain_text("nothing was changed")
    with Customer(shop.url, shop.token()) as customer:
        assert customer.follow(order)["state"] == "SHIPPED"


@contextmanager
def stopped(shop: Shop, name: str) -> Iterator[None]:
    """A process does not run."""
    shop.process(name).stop()
    try:
        yield
    finally:
        shop.process(name).start()
        shop.wait_ready(name)


def dies(shop: Shop, service: str, order_id: str) -> None:
    """SQS gives up the task of an order after its first delivery, while no consumer runs."""
    sqs, queue = shop.clients.sqs, shop.outputs[service]["TasksQueueUrl"]
    names: list[Any] = ["RedrivePolicy"]
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]["RedrivePolicy"]
    once = {**json.loads(policy), "maxReceiveCount": 1}

    def is_dead() -> bool:
        sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0, MaxNumberOfMessages=10)
        dead = sqs.receive_message(QueueUrl=f"{queue}-dlq", VisibilityTimeout=0, MaxNumberOfMessages=10)
        return any(order_id in each["Body"] for each in dead.get("Messages", []))

    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(once)})
    try:
        until(is_dead)
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})


def test_given_a_script_in_an_address_when_ordered_then_it_is_shown_as_text(
    visitor: Visitor, page: Page
) -> None:
    goes_to_checkout(visitor)
    fills_in(page, name=SCRIPT, line1=SCRIPT, city=SCRIPT)
    sends(page)

    expect(page.locator("address")).to_contain_text(SCRIPT)


def test_given_a_form_on_another_host_when_it_is_sent_then_the_basket_does_not_change(
    shop: Shop, visitor: Visitor, page: Page
) -> None:
    form = (
        f'<form method="post" action="{shop.pages_url}/basket/add"><input name="sku" value="TE-001">'
        '<input name="quantity" value="1"></form><script>document.forms[0].submit()</script>'
    )
    elsewhere = page.context.new_page()
    elsewhere.route(
        "http://evil.example.com/", lambda route: route.fulfill(body=form, content_type="text/html")
    )

    elsewhere.goto("http://evil.example.com/")

    expect(elsewhere.get_by_role("heading", name="This form is no longer valid")).to_be_visible()
    expect(visitor.opens("/basket").get_by_role("main")).to_contain_text("Your basket is empty.")


def requests(page: Page, kind: str) -> list[str]:
    """The URLs of the requests of a kind that the page sends from now on."""
    sent: list[str] = []

    def record(request: Request) -> None:
        if request.resource_type == kind:
            sent.append(request.url)

    page.on("request", record)
    return sent


def forgives(visitor: Visitor, error: str) -> None:
    """Removes the problems that a test has caused."""
    visitor.problems[:] = [each for each in visitor.problems if error not in each]


def restarts(shop: Shop) -> None:
    """Replaces the process of the pages, as an update does."""
    shop.process(STOREFRONT).stop(grace=30)
    shop.process(STOREFRONT).start()
    shop.wait_ready(STOREFRONT)


@contextmanager
def killed(shop: Shop, *names: str) -> Iterator[None]:
    """Processes that are away, and back at the end."""
    for name in names:
        shop.kill(name)
    try:
        yield
    finally:
        for name in names:
            shop.process(name).start()
        for name in names:
            shop.wait_ready(name)


def expires(shop: Shop, page: Page) -> None:
    """Replaces the session by one with a sign-in that ends now."""
    app = Flask(__name__)
    app.secret_key = shop.env(STOREFRONT)["SESSION_KEYS"]
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    cookie = next(each for each in page.context.cookies() if each["name"] == "session")
    content = serializer.loads(cookie["value"])
    ended = serializer.dumps({**content, "grant": {**content["grant"], "expires_at": int(time.time())}})
    page.context.add_cookies(
        [{"name": "session", "value": ended, "url": shop.pages_url, "httpOnly": True, "sameSite": "Lax"}]
    )
