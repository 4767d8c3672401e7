"""`kubectl shop ui` in Chromium, with a real API server and a real operator."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.integration.cluster import Cluster
from tests.integration.kubelet import roll_out
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.integration.test_cli import reconciled
from tests.pages import Visitor, appearances, chromium, served
from tests.waiting import wait_for

SCRIPT = "<img src=x onerror=alert(1)>"
SECONDS = 20_000
"""Milliseconds until a change must be visible, also on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def link(cluster: Cluster, namespace: str) -> Iterator[str]:
    with served(cluster.kubeconfig, "ui", "-n", namespace) as printed:
        yield printed


@pytest.fixture
def visitor(browser: Browser, link: str) -> Iterator[Visitor]:
    context = browser.new_context()
    yield Visitor(context, link)
    context.close()


@pytest.fixture
def shop(cluster: Cluster, operator: Operator, namespace: str) -> str:
    """A namespace with a ShopService that has everything, and one that waits for a missing one."""
    cluster.apply(shopservice(namespace, "order"))
    wait_for(lambda: "Deployment/order" in cluster.children(namespace))
    roll_out(cluster, namespace, "order")
    cluster.apply(
        shopservice(namespace, **ROUTE, dependsOn=["order"], workers=[WORKER], autoscaling=AUTOSCALING)
    )
    wait_for(lambda: reconciled(cluster, namespace))
    wait_for(lambda: "Deployment/web-relay" in cluster.children(namespace))
    shop = cluster.get("ShopService", namespace, "web")
    event = {
        "metadata": {"generateName": "hostile-", "namespace": namespace},
        "eventTime": "2026-11-30T05:00:00.000000Z",
        "type": "Warning", "action": "Test", "reason": "Hostile", "note": SCRIPT,
        "reportingController": "test", "reportingInstance": "test",
        "regarding": {"kind": "ShopService", "name": "web", "namespace": namespace, "uid": shop["metadata"]["uid"]},
    }  # fmt: skip
    cluster.http.post(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", json=event).raise_for_status()
    return namespace


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


def test_given_every_page_when_it_is_opened_then_it_is_accessible_in_light_and_dark_at_every_width(
    cluster: Cluster, browser: Browser, shop: str, link: str
) -> None:
    (pod, *_) = cluster.http.get(f"/api/v1/namespaces/{shop}/pods").json()["items"]
    name, owner = pod["metadata"]["name"], pod["metadata"]["labels"]["shopservice.dev/name"]
    paths = (
        *("/", "/graph", f"/services/{shop}/web", f"/services/{shop}/order", f"/services/{shop}/missing"),
        *(f"/services/{shop}/{owner}/pods/{name}/{pod['spec']['containers'][0]['name']}", "/nothing"),
    )

    flaws = dict[str, list[str]]()
    for appearance, visitor in appearances(browser, link):
        for path in paths:
            visitor.opens(path).wait_for_selector("h1")
            if found := visitor.flaws():
                flaws[f"{path} {appearance}"] = found

    assert flaws == {}


def test_given_a_shopservice_when_its_page_is_opened_then_it_shows_its_objects_and_hostile_texts_as_text(
    visitor: Visitor, shop: str
) -> None:
    page = visitor.opens(f"/services/{shop}/web")

    assert heading(page).startswith("web")
    expect(page.get_by_text(SCRIPT, exact=True)).to_be_visible()
    expect(page.locator("ul.tree")).to_contain_text("Deployment web-relay")
    expect(page.locator("ul.tree")).to_contain_text("HTTPRoute web")
    expect(page.get_by_role("link", name="app of pod web-").first).to_be_visible()
    expect(page.get_by_role("row", name="DependenciesReady")).to_be_visible()
    assert visitor.problems == []


def test_given_the_graph_when_it_is_opened_then_the_drawing_and_the_list_have_the_same_objects(
    visitor: Visitor, shop: str
) -> None:
    page = visitor.opens("/graph")

    drawn = sorted(page.locator("svg g.node text[font-weight]").all_text_contents())
    listed = sorted(page.locator("ul.entries > li > p").locator("a, strong").all_inner_texts())
    assert drawn == listed == ["order", "shop", "web", "web-relay"]


@pytest.mark.parametrize("has_stream", [True, False], ids=["stream", "polling"])
def test_given_an_open_table_when_a_shopservice_changes_then_the_table_follows_and_the_focus_stays(
    cluster: Cluster,
    visitor: Visitor,
    shop: str,
    has_stream: bool,
) -> None:
    page = visitor.page
    if not has_stream:
        page.route("**/live*", lambda route: route.abort())
        visitor.problems.clear()
    visitor.opens("/")
    page.get_by_role("link", name="order", exact=True).focus()
    page.evaluate("window.sameDocument = true")

    cluster.patch("ShopService", shop, "order", {"spec": {"image": "registry.test/shop-product:changed"}})

    expect(page.get_by_role("row", name="order")).to_contain_text("shop-product:changed", timeout=SECONDS)
    assert page.evaluate("document.activeElement.textContent") == "order"
    assert page.evaluate("window.sameDocument")


# Only events load a page.
NO_TIMERS = "setTimeout = () => 0"
FOLLOW = "stream.addEventListener('changed', (event) => { window.seen = event.data; })"


def test_given_a_page_that_is_being_loaded_when_a_shopservice_changes_then_it_is_loaded_again(
    cluster: Cluster, visitor: Visitor, shop: str
) -> None:
    page, held = visitor.page, list[tuple[Route, APIResponse]]()

    def hold(route: Route) -> None:
        if route.request.resource_type != "fetch" or held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.add_init_script(NO_TIMERS)
    visitor.opens("/")
    page.evaluate(FOLLOW)
    page.route(f"{visitor.url}/", hold)
    cluster.patch("ShopService", shop, "order", {"spec": {"image": "registry.test/shop-product:first"}})
    wait_for(lambda: page.evaluate("window.seen") and held, SECONDS / 1000)

    cluster.patch("ShopService", shop, "order", {"spec": {"image": "registry.test/shop-product:second"}})

    def has_seen_all() -> bool:
        """Whether the page, which waits for a response with the first change, has the event of the last one."""
        text = page.request.get(f"{visitor.url}/").text()
        return "shop-product:second" in text and f'data-version="{page.evaluate("window.seen")}"' in text

    wait_for(lambda: reconciled(cluster, shop, "order") and has_seen_all(), SECONDS / 1000)
    (route, answer), *_ = held
    route.fulfill(response=answer)
    expect(page.get_by_role("row", name="order")).to_contain_text("shop-product:second", timeout=SECONDS)


def test_given_the_keyboard_only_when_the_pages_are_used_then_every_page_is_reached(
    visitor: Visitor, shop: str
) -> None:
    page = visitor.opens("/")
    keyboard = page.keyboard

    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    keyboard.press("Enter")
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    keyboard.press("Enter")
    page.wait_for_url(f"**/services/{shop}/*")
    for _ in range(3):
        keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Graph"
    keyboard.press("Enter")
    page.wait_for_url("**/graph")

    assert heading(page) == "Graph"


def test_given_no_javascript_when_the_pages_are_opened_then_they_have_the_same_content(
    browser: Browser, shop: str, link: str
) -> None:
    context = browser.new_context(java_script_enabled=False)

    visitor = Visitor(context, link)

    assert "order" in visitor.page.locator("tbody").inner_text()
    assert visitor.page.locator("noscript meta[http-equiv=refresh]").count() == 1
    context.close()


def test_given_a_user_who_may_only_read_shopservices_when_a_page_is_opened_then_it_names_what_is_missing(
    cluster: Cluster, browser: Browser, shop: str, tmp_path: Path
) -> None:
    with served(reader(cluster, shop, tmp_path / "kubeconfig"), "ui", "-n", shop) as link:
        context = browser.new_context()
        visitor = Visitor(context, link)
        expect(visitor.page.get_by_role("row", name="web")).to_be_visible(timeout=SECONDS)

        page = visitor.opens(f"/services/{shop}/web")

        notice = page.locator(".notice").inner_text()
        assert heading(page).startswith("web")
        assert "you are not allowed to list them" in notice
        assert {"Deployment", "Pod", "ReplicaSet", "Event"} <= set(
            notice.removesuffix(".").replace(",", "").split()
        )
        context.close()


def reader(cluster: Cluster, namespace: str, kubeconfig: Path) -> Path:
    """The kubeconfig of a ServiceAccount that may only read ShopServices."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {
        "apiGroups": ["shopservice.dev"],
        "resources": ["shopservices"],
        "verbs": ["get", "list", "watch"],
    }
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    objects: tuple[tuple[str, dict[str, Any]], ...] = (
        (accounts, {}),
        (f"{rbac}/roles", {"rules": [rule]}),
        (f"{rbac}/rolebindings", {"subjects": [subject], "roleRef": role}),
    )
    for path, more in objects:
        cluster.http.post(path, json={"metadata": {"name": "reader"}, **more}).raise_for_status()
    token = cluster.http.post(f"{accounts}/reader/token", json={"spec": {}}).raise_for_status().json()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    known = config["clusters"][0]["cluster"]
    if "certificate-authority" in known:
        authority = Path(known.pop("certificate-authority")).read_bytes()
        known["certificate-authority-data"] = base64.b64encode(authority).decode()
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig
