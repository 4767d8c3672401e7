"""The pages of ShopServices: what they show, what they leave out, and what hostile texts become."""

import re

import pytest

from tests.operator.cli.objects import owned, pod, shopservice
from tests.operator.cli.server import Server
from tests.operator.cli.ui.conftest import Open
from tests.waiting import wait_for

SCRIPT = "<script>alert(1)</script>\u202e"


def test_given_shopservices_when_the_table_is_shown_then_those_that_are_not_ready_come_first(
    server: Server, browse: Open
) -> None:
    shop = shopservice()
    shop["status"] |= {"autoscaling": "2-10", "replicas": 4, "url": "http://web.shop.svc"}
    shop["status"]["drift"] = {
        "count": 3,
        "last": {"time": "2026-11-30T05:00:00Z", "object": "Deployment web", "fields": ["spec.replicas"], "manager": "kubectl-edit"},
    }  # fmt: skip
    server.objects += [shop, shopservice("worse", reason="RollingOut", message="0 of 2 pods are ready.")]

    page = browse().reads("/")

    assert re.findall(r'<a href="/services/shop/(\w+)">', page) == ["worse", "web"]
    assert "worse is not ready: 0 of 2 pods are ready." in page
    assert "2-10, now 4" in page
    assert "spec.replicas of Deployment web changed by kubectl-edit; reverted" in page
    assert "2 ShopServices; not ready: worse." in page


def test_given_a_shopservice_when_its_page_is_shown_then_it_has_what_explain_and_tree_print(
    server: Server, browse: Open
) -> None:
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    broken = pod(state=state, image="web:2")
    server.objects += [
        shopservice(reason="RollingOut", message="0 of 2 pods are ready."),
        owned("Deployment", "web", spec={"replicas": 2}),
        owned("ReplicaSet", "web-1", "uid-Deployment-web", spec={"replicas": 1, "template": {"spec": {"containers": [{"name": "app", "image": "web:2"}]}}}),
        {**broken, "spec": {"containers": [{"name": "app"}]}},
    ]  # fmt: skip

    page = browse().reads("/services/shop/web")

    assert "web is not ready: pod web-1: " in page
    assert "kubectl shop rollback web -n shop" in page
    assert "Deployment <strong>web</strong>" in page
    assert '<span class="badge bad">ImagePullBackOff</span>' in page
    assert "/services/shop/web/pods/web-1/app" in page
    assert "current" in page


@pytest.mark.parametrize(
    ("kind", "status", "badge"),
    [
        ("Ready", "True", "good"),
        ("Ready", "False", "bad"),
        ("Progressing", "True", "busy"),
        ("Progressing", "False", "good"),
        ("Reconciling", "True", "busy"),
        ("Stalled", "True", "bad"),
        ("Stalled", "Unknown", "idle"),
    ],
)
def test_given_a_condition_when_its_page_is_shown_then_its_badge_is_by_what_the_status_means(
    server: Server, browse: Open, kind: str, status: str, badge: str
) -> None:
    shop = shopservice()
    shop["status"]["conditions"] = [
        {"type": kind, "status": status, "reason": "Cause", "message": "It is so."}
    ]
    server.objects.append(shop)

    row = browse().reads("/services/shop/web").partition("Conditions")[2]

    assert f'<span class="badge {badge}">{status}</span>' in row


@pytest.mark.parametrize(
    "path", ["/", "/graph", "/services/shop/web", "/services/shop/web/pods/web-1/app"], ids=str
)
def test_given_texts_with_markup_when_a_page_is_shown_then_they_are_text(
    server: Server, browse: Open, path: str
) -> None:
    shop = shopservice(reason=SCRIPT, message=SCRIPT, dependsOn=[SCRIPT], image=f"web:{SCRIPT}")
    shop["status"]["url"] = f"javascript:alert(1)//{SCRIPT}"
    event = {
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "shop", "creationTimestamp": SCRIPT},
        "regarding": {"uid": "uid-web", "kind": SCRIPT, "name": SCRIPT},
        "reason": SCRIPT, "note": SCRIPT, "type": "Warning",
    }  # fmt: skip
    server.objects += [shop, event, {**pod(), "spec": {"containers": [{"name": "app"}]}}]
    server.logs["web-1", False] = f"{SCRIPT}\n</pre>"

    page = browse().reads(path)

    assert "<script>" not in page.replace('<script src="/static/console.js" defer></script>', "")
    assert "\u202e" not in page
    assert "javascript:" not in re.sub(r"<small[^>]*>[^<]*</small>|<code>[^<]*</code>", "", page)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\u202e" in page


def test_given_kinds_that_may_not_be_listed_when_a_page_is_shown_then_it_names_them(
    server: Server, browse: Open
) -> None:
    server.objects.append(shopservice())
    server.forbidden |= {"pods", "events"}

    page = browse().reads("/services/shop/web")

    assert "not allowed to list them: Pod, Event." in page
    assert "<h1>web" in page


def test_given_that_shopservices_may_not_be_listed_when_the_table_is_shown_then_it_says_so(
    server: Server, browse: Open
) -> None:
    server.forbidden.add("shopservices")

    page = browse().reads("/")

    assert "cannot list; ask the cluster administrator for this permission." in page.replace("&#34;", '"')
    assert "No ShopServices found" not in page


def test_given_an_unknown_shopservice_when_its_page_is_requested_then_the_response_is_404_with_a_suggestion(
    server: Server, browse: Open
) -> None:
    server.objects.append(shopservice())

    assert "did you mean web?" in browse().reads("/services/shop/wep", 404)


@pytest.mark.parametrize(
    "path", ["/services/shop/..%2f..", "/services/SHOP/web", "/services/shop/web/pods/a/..", "/orders"]
)
def test_given_an_address_that_names_nothing_when_it_is_requested_then_the_response_is_404(
    server: Server, browse: Open, path: str
) -> None:
    browser = browse()
    before = len(server.requests)

    browser.reads(path, 404)

    assert not any(".." in asked or "SHOP" in asked for _, asked, _ in server.requests[before:])


def test_given_a_cluster_that_fails_when_it_returns_then_the_table_is_up_to_date_again(
    server: Server, browse: Open
) -> None:
    server.objects.append(shopservice())
    server.refusal = (503, "{}")
    browser = browse()
    assert "the API server responded with 503" in browser.reads("/")

    server.refusal = None

    wait_for(lambda: "the API server responded" not in browser.reads("/"))
    assert '<a href="/services/shop/web">' in browser.reads("/")


def test_given_an_object_that_cannot_be_read_when_it_is_gone_then_the_table_is_up_to_date_again(
    server: Server, browse: Open
) -> None:
    server.objects.append(shopservice())
    server.refusal = (200, '{"metadata": {"resourceVersion": "1"}, "items": [{}]}')
    browser = browse()
    assert "the ShopServices cannot be read (KeyError(&#39;metadata&#39;))" in browser.reads("/")

    server.refusal = None

    wait_for(lambda: "cannot be read" not in browser.reads("/"))
    assert '<a href="/services/shop/web">' in browser.reads("/")


def test_given_a_stream_when_a_shopservice_changes_then_an_event_says_so(
    server: Server, browse: Open
) -> None:
    server.refusal = (503, "{}")
    browser = browse()
    seen = browser.fleet.snapshot().version
    stream = browser.client.get(f"/live?seen={seen}", base_url=browser.access.url, buffered=False)
    parts = iter(stream.response)
    assert _text(next(parts)).startswith("retry:")

    server.refusal = None

    assert _text(next(parts)).startswith("event: changed\n")
    stream.close()


def _text(part: object) -> str:
    return part.decode() if isinstance(part, bytes) else str(part)
