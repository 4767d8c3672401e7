"""The storefront on the shop of the node, in Chromium: through the gateway, its pod, API Gateway and the sign-in pages of the emulator."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from shopdev.demo.target import Target
from tests.e2e.actors import Cluster, Shop
from tests.pages import WIDE, Visitor, chromium
from tests.services.storefront.test_browser import (
    ORDER_PAGE,
    PATIENCE,
    SHIPPED,
    fills_in,
    goes_to_checkout,
    sends,
    shows,
    signs_in,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("shop")

DECLINED = "The payment was declined."


@pytest.fixture(scope="module")
def visitor(target: Target) -> Iterator[Visitor]:
    """A tab at the URL that the demo prints."""
    if way := target.way_to_pages():
        pytest.skip(f"a browser of this machine reaches the pages only while this runs: {way}")
    with chromium() as browser:
        context = browser.new_context(viewport=WIDE, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        visitor = Visitor(context, target.pages_url(), sign_in=target.env()["AWS_ENDPOINT_URL"])
        yield visitor
        assert visitor.problems == []
        context.close()


def test_given_the_demo_when_a_customer_buys_in_a_browser_then_the_order_page_moves_until_it_is_shipped(
    visitor: Visitor, shop: Shop
) -> None:
    flaws = dict[str, list[str]]()
    for path in ("/", "/catalog/TE-001"):
        visitor.opens(path)
        flaws[path] = visitor.flaws()
    goes_to_checkout(visitor)
    page = visitor.page
    fills_in(page)
    flaws["/checkout"] = visitor.flaws()
    sends(page)
    page.evaluate("window.sameDocument = true")

    shows(page, SHIPPED)

    assert page.evaluate("window.sameDocument")
    placed = ORDER_PAGE.search(page.url)
    assert placed
    assert shop.order(placed[0].rpartition("/")[2])["state"] == "SHIPPED"
    flaws["/account/orders/ID"] = visitor.flaws()
    for path in ("/basket", "/account/orders"):
        visitor.opens(path)
        flaws[path] = visitor.flaws()
    assert {path: found for path, found in flaws.items() if found} == {}


def test_given_a_customer_who_is_signed_in_when_the_pod_is_replaced_then_the_session_stays(
    visitor: Visitor, cluster: Cluster
) -> None:
    page = visitor.opens("/sign-in")
    if page.get_by_label("Username").is_visible():
        signs_in(page)
    before = {each["metadata"]["name"] for each in cluster.pods("storefront", "web")}

    cluster.kubectl("delete", "pod", "-n", "shop", "--wait=false", *before)

    def replaced() -> bool:
        pods = cluster.pods("storefront", "web")
        ready = [each for each in pods if each["status"].get("containerStatuses", [{}])[0].get("ready")]
        return len(ready) == len(before) and not before & {each["metadata"]["name"] for each in pods}

    wait_for(replaced, 90, what="another pod of the storefront")
    # The gateway learns of the pod a moment after it is ready.
    wait_for(lambda: visitor.opens("/account/orders").get_by_role("banner").count() == 1, 30, what="a page")
    expect(page.get_by_role("banner")).to_contain_text("Signed in as alice")


def test_given_a_user_of_the_group_ops_when_signed_in_as_staff_then_the_stock_is_shown(
    visitor: Visitor,
) -> None:
    visitor.page.context.clear_cookies()
    page = visitor.opens("/sign-in?staff=1&next=/staff")
    signs_in(page, "ops")

    expect(page.get_by_role("main")).to_contain_text("BR-001")
    assert visitor.flaws() == []


def ends(visitor: Visitor) -> str:
    """The text of the page at the end of a new order, which was declined or shipped."""
    page = visitor.opens("/catalog/TE-001")
    page.locator("form[action='/basket/add'] button").click()
    page.locator("a[href='/checkout']").click()
    fills_in(page)
    sends(page)
    shows(page, re.compile(f"{DECLINED}|{SHIPPED}"))
    return page.locator("#progress").inner_text()


def test_given_the_fault_switchboard_when_a_visitor_breaks_the_shop_then_orders_show_it_until_all_is_undone(
    visitor: Visitor,
) -> None:
    visitor.page.context.clear_cookies()
    page = visitor.opens("/sign-in?next=/faults")
    signs_in(page)
    page.get_by_role("button", name="Switch on: Payment declined").click()
    try:
        expect(page.get_by_role("button", name="Switch off: Payment declined")).to_be_visible()
        assert visitor.flaws() == []
        # A switch takes effect within a second.
        wait_for(lambda: DECLINED in ends(visitor), 60, what="a declined order")
    finally:
        visitor.opens("/faults").get_by_role("button", name="Undo all faults").click()

    wait_for(lambda: SHIPPED in ends(visitor), 60, what="a shipped order")


def test_given_the_pod_of_the_storefront_then_it_has_the_addresses_of_the_public_api_and_no_credentials(
    cluster: Cluster,
) -> None:
    (pod, *_) = cluster.pods("storefront", "web")
    (container,) = pod["spec"]["containers"]
    given = {each["name"]: each.get("value", "") for each in container["env"]}

    assert "/_aws/execute-api/" in given["API_URL"]
    assert [each["secretRef"]["name"] for each in container["envFrom"]] == ["storefront-session"]
    assert not [name for name in given if name.startswith("AWS_") and "KEY" in name]
    assert pod["spec"]["automountServiceAccountToken"] is False
