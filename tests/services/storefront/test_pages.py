"""The pages, without a browser and without scripts: from the catalog to an order, and everything that may go wrong."""

import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from itsdangerous import URLSafeTimedSerializer

from services.common.values.money import Money
from services.storefront.domain import AttentionItem, DeadLetter, Finding, Product, State
from services.storefront.following import MOST_PER_CUSTOMER
from tests.services.storefront.fakes import CUP, TEA, Connection
from tests.services.storefront.visitor import ADDRESS, Visitor, World
from tests.waiting import wait_for

SCRIPT = '"><script>alert(1)</script>'
SOME_ORDER = "01a22c57-e64e-737a-ade0-c50b7241f356"


def ready_to_order(visitor: Visitor, sku: str = TEA.sku, quantity: int = 1) -> None:
    visitor.adds(sku, quantity)
    visitor.signs_in("alice")


def placed(visitor: Visitor) -> str:
    """The ID of a new order."""
    ready_to_order(visitor)
    response = visitor.orders()
    assert response.status_code == HTTPStatus.SEE_OTHER
    return urlsplit(response.headers["Location"]).path.rpartition("/")[2]


# ---- catalog


def test_given_the_catalog_when_searched_then_the_matching_products_are_shown(visitor: Visitor) -> None:
    everything = visitor.get("/").text
    found = visitor.get("/?q=darjeeling+tea&category=tea").text

    assert TEA.name in everything
    assert CUP.name in everything
    assert "€14.90" in everything
    assert "Only 3 left" in everything
    assert "Sold out" in everything
    assert "Brewing" in everything, "categories"
    assert TEA.name in found
    assert CUP.name not in found
    assert "No product matches" in visitor.get("/?q=nothing").text


def test_given_more_products_than_a_page_has_when_its_links_are_followed_then_every_product_is_shown(
    world: World, visitor: Visitor
) -> None:
    world.catalog.products = {
        f"S-{number:03}": Product(f"S-{number:03}", f"Product {number:03}", "tea", Money(100, "EUR"), 9)
        for number in range(50)
    }
    seen: list[str] = []
    path = "/"
    while path:
        page = visitor.get(path).text
        seen += re.findall(r"Product \d{3}", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""

    assert seen == [f"Product {number:03}" for number in range(50)]


def test_given_a_shop_that_does_not_respond_then_known_pages_say_how_old_they_are_and_others_what_to_do(
    world: World, visitor: Visitor
) -> None:
    visitor.get("/")
    world.catalog.down = True

    known = visitor.get("/")
    unknown = visitor.get("/?q=other")

    assert known.status_code == HTTPStatus.OK
    assert "as they were 1 second ago" in known.text
    assert unknown.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Retry-After" in unknown.headers
    assert "Try again" in unknown.text


def test_given_a_shop_that_does_not_respond_any_more_then_the_pages_stay_ready_and_show_the_catalog(
    world: World, visitor: Visitor
) -> None:
    world.catalog.down = True
    unready = visitor.get("/readyz")
    world.catalog.down = False
    ready = visitor.get("/readyz")
    world.catalog.down = True

    assert unready.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert ready.status_code == HTTPStatus.OK
    assert visitor.get("/readyz").status_code == HTTPStatus.OK
    assert visitor.get("/healthz").status_code == HTTPStatus.OK
    assert TEA.name in visitor.get("/").text, "before any visitor has opened it"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", HTTPStatus.NOT_FOUND),
        ("/catalog/none", HTTPStatus.NOT_FOUND),
        ("/account/orders/1", HTTPStatus.NOT_FOUND),
        ("/?cursor=none", HTTPStatus.BAD_REQUEST),
        ("/basket/add", HTTPStatus.METHOD_NOT_ALLOWED),
        ("/account/orders", HTTPStatus.UNAUTHORIZED),
        (f"/account/orders/{SOME_ORDER}", HTTPStatus.UNAUTHORIZED),
        ("/checkout", HTTPStatus.UNAUTHORIZED),
        ("/staff", HTTPStatus.UNAUTHORIZED),
        ("/callback?code=alice&state=made-up", HTTPStatus.BAD_REQUEST),
        ("/callback", HTTPStatus.BAD_REQUEST),
    ],
)
def test_given_an_address_without_a_page_then_an_error_page_leads_on(
    visitor: Visitor, path: str, status: HTTPStatus
) -> None:
    response = visitor.get(path)

    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert 'href="/"' in response.text
    assert "<h1>" in response.text


def test_given_a_query_that_is_not_utf_8_then_an_error_page_leads_on(world: World) -> None:
    response = world.app.test_client().get("/", environ_overrides={"QUERY_STRING": "q=\x80"})

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert 'href="/"' in response.text


def test_given_search_words_that_are_not_utf_8_then_no_product_is_found(visitor: Visitor) -> None:
    response = visitor.get("/?q=%ff")

    assert response.status_code == HTTPStatus.OK
    assert TEA.name not in response.text


def test_given_any_page_then_its_headers_permit_only_its_own_content(
    visitor: Visitor,
) -> None:
    for path in ("/", "/basket", "/nothing", "/static/live.js", "/pictures/tea/TE-001.svg"):
        response = visitor.get(path)
        policy = response.headers["Content-Security-Policy"]

        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "<script>" not in response.text
        assert " style=" not in response.text
        assert not re.search(r"\son\w+\s*=", response.text)


def test_given_a_page_then_the_urls_of_its_styles_change_with_their_content(visitor: Visitor) -> None:
    (url,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', visitor.get("/").text)
    styles = visitor.get(url)

    assert urlsplit(url).query == sha256(styles.data).hexdigest()[:8]
    assert styles.headers["Cache-Control"] == "public, max-age=3600"


# ---- basket and sign-in


def test_given_a_basket_without_sign_in_when_signed_in_then_it_is_kept(visitor: Visitor) -> None:
    visitor.adds(TEA.sku, 2)
    visitor.adds(CUP.sku)

    visitor.signs_in("alice")
    basket = visitor.get("/basket").text

    assert "Signed in as alice" in basket
    assert "€37.70" in basket
    assert "(3 pieces)" in basket


def test_given_a_customer_who_left_a_basket_when_signed_in_again_then_both_baskets_are_merged(
    visitor: Visitor,
) -> None:
    visitor.adds(TEA.sku, 2)
    visitor.signs_in("alice")
    visitor.send(visitor.get("/"), "/sign-out")
    assert "Your basket is empty" in visitor.get("/basket").text, "for other customers at this browser"
    visitor.adds(TEA.sku)
    visitor.adds(CUP.sku)

    visitor.signs_in("alice")

    assert "(4 pieces)" in visitor.get("/basket").text


@pytest.mark.parametrize("staff", [False, True], ids=["customer", "staff"])
def test_given_a_sign_out_then_the_session_at_the_user_pool_ends_too(visitor: Visitor, staff: bool) -> None:
    visitor.signs_in("ops", f"/sign-in?staff={int(staff)}")

    left = visitor.send(visitor.get("/"), "/sign-out")

    assert left.headers["Location"] == f"https://sign-in.example.com/leave?staff={staff}"
    assert "form-action 'self' http://127.0.0.1:1;" in left.headers["Content-Security-Policy"]
    assert "Signed in as" not in visitor.get("/").text


def test_given_a_basket_when_another_customer_signs_in_then_what_the_first_one_left_is_not_shown(
    visitor: Visitor,
) -> None:
    visitor.adds(TEA.sku, 2)
    visitor.signs_in("alice")
    visitor.send(visitor.get("/"), "/sign-out")

    visitor.signs_in("bob")

    assert "Your basket is empty" in visitor.get("/basket").text


def test_given_a_basket_when_quantities_change_then_its_prices_do(visitor: Visitor) -> None:
    visitor.adds(TEA.sku, 2)
    visitor.adds(CUP.sku)

    visitor.send(visitor.get("/basket"), "/basket/set", **{"quantity:TE-001": "3"})
    changed = visitor.get("/basket").text
    token = visitor.form(visitor.get("/basket"), "/basket/set").fields["csrf"]
    visitor.post("/basket/set", {"csrf": token, "quantity:TE-001": "3", "remove": TEA.sku})
    removed = visitor.get("/basket").text

    assert "€52.60" in changed
    assert TEA.name not in removed


@pytest.mark.parametrize("quantity", ["", "0", "-1", "1.5", "x", "9999", "²"])
def test_given_an_invalid_quantity_when_added_then_the_page_says_what_is_valid(
    visitor: Visitor, quantity: str
) -> None:
    page = visitor.get(f"/catalog/{TEA.sku}")

    response = visitor.send(page, "/basket/add", quantity=quantity)

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "Enter a quantity from 1 to 99." in response.text


def test_given_a_basket_that_exceeds_a_cookie_when_more_is_added_then_it_is_full(visitor: Visitor) -> None:
    token = visitor.form(visitor.get(f"/catalog/{TEA.sku}"), "/basket/add").fields["csrf"]
    answers = [
        visitor.post(
            "/basket/add", {"csrf": token, "sku": f"{number:02}{uuid.uuid4().hex * 2}"[:64], "quantity": 1}
        )
        for number in range(60)
    ]

    assert "The basket is full" in answers[-1].text
    cookie = visitor.client.get_cookie("basket")
    assert cookie is not None
    assert len(cookie.value) < 4000


def test_given_a_product_that_is_no_longer_sold_or_short_when_in_the_basket_then_checkout_waits(
    world: World, visitor: Visitor
) -> None:
    visitor.adds(TEA.sku)
    visitor.adds(CUP.sku, 4)
    del world.catalog.products[TEA.sku]

    basket = visitor.get("/basket").text
    visitor.signs_in("alice")

    assert "The product TE-001 is no longer sold." in basket
    assert "Only 3 left" in basket
    assert 'href="/checkout"' not in basket
    assert visitor.get("/checkout").headers["Location"] == "/basket"


# ---- checkout


def test_given_a_basket_when_ordered_then_the_order_is_shown_and_the_basket_is_empty(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)

    page = visitor.get(f"/account/orders/{order_id}?placed=1").text
    ((order, _id),) = world.orders.placed.values()

    assert order.quantities == {TEA.sku: 1}
    assert order.total == TEA.price
    assert order.payment_token == "tok_approve"
    assert "Thank you" in page
    assert TEA.name in page
    assert "Ada Lovelace" in page
    assert "Germany" in page
    assert "Your basket is empty" in visitor.get("/basket").text
    assert order_id[-12:] in visitor.get("/account/orders").text


def test_given_a_form_when_sent_twice_or_after_going_back_then_one_order_is_placed(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    form = visitor.form(visitor.get("/checkout"), "/checkout")

    answers = [visitor.post("/checkout", {**form.fields, **ADDRESS}) for _ in range(3)]

    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(world.orders.orders) == 1


def test_given_two_tabs_with_one_basket_when_both_are_sent_then_one_order_is_placed(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    first, second = visitor.get("/checkout"), visitor.get("/checkout")

    visitor.send(first, "/checkout", **ADDRESS)
    same = visitor.send(second, "/checkout", **ADDRESS)
    other = visitor.send(second, "/checkout", **{**ADDRESS, "city": "Hamburg"})

    assert same.status_code == HTTPStatus.SEE_OTHER
    assert other.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "another tab" in other.text
    assert len(world.orders.orders) == 1


def test_given_an_answer_that_is_lost_when_the_form_is_sent_again_then_one_order_is_placed(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    world.orders.lost = 1

    lost = visitor.orders()
    again = visitor.send(lost, "/checkout")

    assert lost.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "cannot be placed twice" in lost.text
    assert again.status_code == HTTPStatus.SEE_OTHER
    assert len(world.orders.orders) == 1


def test_given_a_price_that_changed_when_ordered_then_the_new_total_is_shown_first(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    page = visitor.get("/checkout")
    world.catalog.products[TEA.sku] = Product(TEA.sku, TEA.name, TEA.category, Money(1590, "EUR"), 60)

    changed = visitor.send(page, "/checkout", **ADDRESS)

    assert changed.status_code == HTTPStatus.CONFLICT
    assert "from €14.90 to €15.90" in changed.text
    assert not world.orders.orders
    assert visitor.send(changed, "/checkout").status_code == HTTPStatus.SEE_OTHER


def test_given_an_invalid_address_when_ordered_then_each_field_says_what_to_do(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)

    response = visitor.orders(name="", postal_code="1", country="NL")

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert 'aria-describedby="name-flaw"' in response.text
    assert "such as 1012 AB" in response.text
    assert 'value="Main Street 1"' in response.text, "what was entered is kept"
    assert not world.orders.orders


def test_given_a_session_that_expires_during_checkout_when_signed_in_then_the_address_is_kept(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    page = visitor.get("/checkout")
    world.orders.tokens.clear()

    ended = visitor.send(page, "/checkout", **{**ADDRESS, "name": "Grace Hopper"})
    assert ended.status_code == HTTPStatus.UNAUTHORIZED
    assert "Nothing was ordered" in ended.text
    link = re.search(r'href="(/sign-in\?next=[^"]+)"', ended.text)
    assert link is not None
    back = visitor.signs_in("alice", link[1])

    assert back.headers["Location"] == "/checkout"
    page = visitor.get("/checkout")
    assert 'value="Grace Hopper"' in page.text
    assert "Nothing was ordered yet" in page.text
    assert visitor.send(page, "/checkout").status_code == HTTPStatus.SEE_OTHER
    assert len(world.orders.orders) == 1


def test_given_a_form_that_was_changed_when_sent_then_nothing_is_ordered(
    world: World, visitor: Visitor
) -> None:
    ready_to_order(visitor)
    page = visitor.get("/checkout")

    for change in (
        {"key": "x"},
        {"item": "TE-001:0"},
        {"item": "TE-001"},
        {"item": "../orders:1"},
        {"item": [f"S{number}:1" for number in range(60)]},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"currency": "eur"},
    ):
        assert visitor.send(page, "/checkout", **{**ADDRESS, **change}).headers["Location"] == "/basket", (
            change
        )
    assert visitor.send(page, "/checkout", **{**ADDRESS, "amount": "1"}).status_code == HTTPStatus.CONFLICT
    assert not world.orders.orders


# ---- orders


def test_given_an_order_when_it_moves_then_its_page_and_the_stream_show_each_state_with_its_cause(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)
    path = f"/account/orders/{order_id}"

    events = Connection()
    begin = visitor.follows(f"{path}/live?seen=PENDING.1", events)
    world.orders.moves(order_id, State.RESERVED, "stock reserved")
    wait_for(lambda: "id: RESERVED.2\n" in events.text)
    world.orders.moves(order_id, State.REJECTED, "PaymentDeclined: the card was declined")
    wait_for(lambda: not events.stream.is_open)
    after = visitor.follows(f"{path}/live?seen=PENDING.1", Connection(), **{"Last-Event-ID": "REJECTED.3"})

    assert begin.mimetype == "text/event-stream"
    assert begin.text == "retry: 1000\n\n"
    assert "Content-Length" not in begin.headers
    assert "Products reserved" in events.text
    assert "The payment was declined" in events.text
    assert after.status_code == HTTPStatus.NO_CONTENT, "the browser stops"
    assert "The payment was declined" in visitor.get(path).text
    assert "live.js" not in visitor.get(path).text


def test_given_a_shop_that_does_not_respond_when_an_order_is_followed_then_its_page_is_told(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)
    world.catalog.down = True
    events = Connection()

    visitor.follows(f"/account/orders/{order_id}/live?seen=PENDING.1", events)

    wait_for(lambda: events.text == "event: stale\ndata: \n\n")


def test_given_a_visitor_in_german_when_an_order_moves_then_the_events_are_in_german(world: World) -> None:
    visitor = world.visitor("de")
    order_id = placed(visitor)
    events = Connection()

    visitor.follows(f"/account/orders/{order_id}/live?seen=none", events)

    wait_for(lambda: "Angenommen" in events.text)


def test_given_a_server_without_streams_when_an_order_is_followed_then_its_page_polls(
    visitor: Visitor,
) -> None:
    order_id = placed(visitor)

    assert visitor.get(f"/account/orders/{order_id}/live").status_code == HTTPStatus.NO_CONTENT


def test_given_more_open_pages_than_a_customer_may_have_then_the_others_poll(visitor: Visitor) -> None:
    path = f"/account/orders/{placed(visitor)}/live?seen=PENDING.1"
    open_pages = [Connection() for _ in range(MOST_PER_CUSTOMER)]

    statuses = [visitor.follows(path, each).status_code for each in (*open_pages, Connection())]
    open_pages[0].stream.close()
    statuses.append(visitor.follows(path, Connection()).status_code)

    assert statuses == [HTTPStatus.OK] * MOST_PER_CUSTOMER + [HTTPStatus.NO_CONTENT, HTTPStatus.OK]


def test_given_a_proxy_that_passes_on_whole_responses_then_the_events_end_with_the_first_one() -> None:
    world = World(whole_responses=True)
    visitor = world.visitor()
    path = f"/account/orders/{placed(visitor)}"
    events = Connection()

    visitor.follows(f"{path}/live?seen=none", events)

    wait_for(lambda: not events.stream.is_open)
    assert "id: PENDING.1\n" in events.text
    assert 'data-patience="25"' in visitor.get(path).text


def test_given_an_order_when_cancelled_then_the_consequences_are_told_before(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)
    path = f"/account/orders/{order_id}"

    question = visitor.get(f"{path}/cancel")
    answer = visitor.send(question, f"{path}/cancel")

    assert "€14.90 is refunded if the payment is already on its way" in question.text
    assert answer.headers["Location"] == path
    assert "You cancelled the order." in visitor.get(path).text
    assert visitor.get(f"{path}/cancel").headers["Location"] == path


def test_given_an_order_that_was_shipped_meanwhile_when_cancelled_then_the_page_says_so(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)
    question = visitor.get(f"/account/orders/{order_id}/cancel")
    world.orders.moves(order_id, State.SHIPPED, "shipment 1 booked")

    answer = visitor.send(question, f"/account/orders/{order_id}/cancel")

    assert answer.status_code == HTTPStatus.CONFLICT
    assert "can no longer be cancelled" in answer.text


def test_given_an_order_when_its_products_are_wanted_again_then_they_are_in_a_new_basket(
    world: World, visitor: Visitor
) -> None:
    order_id = placed(visitor)

    visitor.send(visitor.get(f"/account/orders/{order_id}"), f"/account/orders/{order_id}/again")
    visitor.orders()

    assert len(world.orders.orders) == 2


def test_given_the_order_of_another_customer_then_it_does_not_exist(world: World, visitor: Visitor) -> None:
    order_id = placed(visitor)
    other = world.visitor()
    other.signs_in("bob")

    for path in ("", "/live", "/cancel"):
        assert other.get(f"/account/orders/{order_id}{path}").status_code == HTTPStatus.NOT_FOUND
    token = other.form(other.get("/"), "/sign-out").fields["csrf"]
    for path in ("cancel", "again"):
        response = other.post(f"/account/orders/{order_id}/{path}", {"csrf": token})
        assert response.status_code == HTTPStatus.NOT_FOUND


def test_given_the_page_of_staff_then_only_staff_sees_it(visitor: Visitor, world: World) -> None:
    visitor.signs_in("alice", "/sign-in?staff=1")
    assert visitor.get("/staff").status_code == HTTPStatus.FORBIDDEN, "the group decides"
    staff = world.visitor()
    assert staff.signs_in("ops", "/sign-in?staff=1&next=/staff").headers["Location"] == "/staff"

    page = staff.get("/staff").text
    order_id = uuid.uuid4()

    assert TEA.sku in page
    assert ">60<" in page
    assert staff.get(f"/staff?order={order_id}").headers["Location"] == f"/account/orders/{order_id}"
    assert staff.get("/staff?order=<b>").status_code == HTTPStatus.BAD_REQUEST


def staff_of(world: World) -> Visitor:
    staff = world.visitor()
    staff.signs_in("ops", "/sign-in?staff=1")
    return staff


def dead_letter(name: str, **changes: Any) -> DeadLetter:
    at = datetime.now(UTC) - timedelta(hours=3)
    found = DeadLetter(name, "shop-payment-tasks", "ChargePayment", None, at, 61, "its handler failed", "{}")
    return replace(found, **changes)


def test_given_orders_that_need_attention_then_the_page_of_staff_shows_each_with_its_reason(
    world: World,
) -> None:
    staff = staff_of(world)
    assert "The shop has not checked its orders yet." in staff.get("/staff").text
    world.staff.checked_at = datetime.now(UTC)
    assert "No order needs attention." in staff.get("/staff").text
    ids = [str(uuid.uuid4()) for _ in range(2)]
    world.staff.items = [
        AttentionItem(ids[0], Finding.STANDING_STILL, "waits for a task", datetime.now(UTC), State.PAID),
        AttentionItem(ids[1], Finding.DISAGREEING, "its payment is REFUNDED", datetime.now(UTC), None),
    ]

    page = staff.get("/staff").text

    assert all(f'href="/account/orders/{each}"' in page for each in ids)
    assert all(text in page for text in ("waits for a task", "its payment is REFUNDED", "Cannot be read"))
    world.staff.down = {"order"}
    without = staff.get("/staff")
    assert without.status_code == HTTPStatus.OK
    assert "The order service does not respond" in without.text
    assert TEA.sku in without.text


def test_given_dead_letters_when_staff_redrives_one_then_the_page_asks_first_and_tells_the_result(
    world: World,
) -> None:
    staff = staff_of(world)
    order_id = str(uuid.uuid4())
    world.staff.letters["payment"] = [dead_letter("m1", order_id=order_id), dead_letter("m2", order_id="<b>")]
    world.staff.down = {"product"}

    page = staff.get("/staff/dead-letters").text
    assert f'href="/account/orders/{order_id}"' in page
    assert "3 hours ago" in page
    assert "This service does not respond" in page
    assert page.count("No dead letters.") == 2
    asked = staff.get("/staff/dead-letters/payment/redrive?id=m1")
    assert "its order continues" in asked.text
    assert len(world.staff.letters["payment"]) == 2, "a question changes nothing"
    path = "/staff/dead-letters/payment/redrive"
    done = staff.send(asked, path)
    again = staff.send(asked, path)
    every = staff.send(staff.get(path), path)
    nothing = staff.send(staff.get(path), path)

    assert [each.status_code for each in (done, again, every, nothing)] == [HTTPStatus.SEE_OTHER] * 4
    assert world.staff.letters["payment"] == []
    assert "1 message was sent" in staff.get(done.headers["Location"]).text
    assert "The message was not found, and nothing was changed." in staff.get(again.headers["Location"]).text
    assert "1 message was sent" in staff.get(every.headers["Location"]).text
    assert "There was no message to redrive." in staff.get(nothing.headers["Location"]).text


def test_given_dead_letters_that_another_request_reads_then_the_page_says_so(world: World) -> None:
    world.staff.read_by_others["payment"] = 3

    page = staff_of(world).get("/staff/dead-letters").text

    assert "About 3 messages are being read" in page


def test_given_a_customer_or_a_forged_form_then_nothing_is_redriven(visitor: Visitor, world: World) -> None:
    world.staff.letters["payment"] = [dead_letter("m1")]
    path = "/staff/dead-letters/payment/redrive"
    visitor.signs_in("alice", "/sign-in?staff=1")
    csrf = visitor.form(visitor.get("/"), "/sign-out").fields["csrf"]

    for each in ("/staff/dead-letters", path):
        assert visitor.get(each).status_code == HTTPStatus.FORBIDDEN
    assert visitor.post(path, {"csrf": csrf, "id": ""}).status_code == HTTPStatus.FORBIDDEN
    assert staff_of(world).post(path, {"id": ""}).status_code == HTTPStatus.BAD_REQUEST
    assert world.visitor().get(path).status_code == HTTPStatus.UNAUTHORIZED
    assert [each.id for each in world.staff.letters["payment"]] == ["m1"]


@pytest.mark.parametrize("path", ["/staff/dead-letters/none/redrive", "/staff/dead-letters/../redrive"])
def test_given_a_service_that_does_not_exist_when_redriven_then_there_is_no_such_page(
    world: World, path: str
) -> None:
    assert staff_of(world).get(path).status_code == HTTPStatus.NOT_FOUND


# ---- hostile input


def test_given_scripts_in_names_and_addresses_then_pages_show_them_as_text(
    world: World, visitor: Visitor
) -> None:
    world.catalog.products = {"X": Product("X", SCRIPT, SCRIPT, Money(100, "EUR"), 9)}
    ready_to_order(visitor, "X")
    order = visitor.orders(name=SCRIPT, line1=SCRIPT, city=SCRIPT)
    pages = [
        visitor.get("/"),
        visitor.get(f"/?q={SCRIPT}&category={SCRIPT}"),
        visitor.get("/catalog/X"),
        visitor.get("/basket"),
        visitor.get(order.headers["Location"]),
        visitor.get("/account/orders"),
        visitor.get(f"/{SCRIPT}"),
    ]

    for page in pages:
        assert "<script>" not in page.text
        assert "alert(1)" in page.text or page.status_code == HTTPStatus.NOT_FOUND or "empty" in page.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com",
        "https:evil.example.com",
        "//evil.example.com",
        "///evil.example.com",
        "/\\evil.example.com",
        "/\t/evil.example.com",
        "/\n/evil.example.com",
        "/@evil.example.com",
        ".evil.example.com",
        "javascript:alert(1)",
        "/" + "a" * 400,
    ],
)
def test_given_a_sign_in_with_another_host_as_target_then_it_returns_to_the_shop(
    visitor: Visitor, target: str
) -> None:
    assert visitor.signs_in("alice", f"/sign-in?next={quote(target)}").headers["Location"] == "/"


@pytest.mark.parametrize(
    "path",
    ["/basket/add", "/basket/set", "/checkout", "/sign-out", f"/account/orders/{SOME_ORDER}/cancel"],
)
def test_given_a_form_of_another_page_when_sent_then_nothing_changes(
    world: World, visitor: Visitor, path: str
) -> None:
    ready_to_order(visitor)
    valid = visitor.form(visitor.get("/checkout"), "/checkout").fields
    stranger = world.visitor()
    foreign = stranger.form(stranger.get(f"/catalog/{TEA.sku}"), "/basket/add").fields["csrf"]

    for token in ("", "x", foreign):
        assert visitor.post(path, {**valid, "csrf": token}).status_code == HTTPStatus.BAD_REQUEST
    crossed = visitor.post(path, valid, **{"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == HTTPStatus.BAD_REQUEST
    assert "Signed in as alice" in visitor.get("/basket").text
    assert not world.orders.orders


def test_given_forged_cookies_then_they_are_ignored(world: World, visitor: Visitor) -> None:
    forged = URLSafeTimedSerializer("x" * 32, salt="basket").dumps(["1", {TEA.sku: 5}])
    session = URLSafeTimedSerializer("x" * 32, salt="cookie-session").dumps({"grant": {"token": "t"}})
    for name, value in (
        ("basket", forged),
        ("session", session),
        ("basket", "x"),
        ("session", "x"),
        ("language", "xx"),
    ):
        visitor.client.set_cookie(name, value)
        page = visitor.get("/basket")

        assert page.status_code == HTTPStatus.OK
        assert "Your basket is empty" in page.text
        assert "Signed in" not in page.text


def test_given_the_cookies_then_scripts_cannot_read_them_and_https_protects_them() -> None:
    visitor = World("https://shop.example.com").visitor()
    response = visitor.client.get(f"/catalog/{TEA.sku}", base_url="https://shop.example.com")
    token = visitor.form(response, "/basket/add").fields
    added = visitor.client.post("/basket/add", data=token, base_url="https://shop.example.com")
    selected = visitor.client.get("/?language=de", base_url="https://shop.example.com")

    cookies = [each for page in (response, added, selected) for each in page.headers.getlist("Set-Cookie")]
    assert {each.partition("=")[0] for each in cookies} == {"__Host-session", "__Host-basket", "language"}
    for each in cookies:
        assert "HttpOnly" in each
        assert "SameSite=Lax" in each
        assert "Secure" in each
    assert "max-age" in response.headers["Strict-Transport-Security"]


def test_given_a_state_that_was_used_when_sent_again_then_nobody_is_signed_in(
    world: World, visitor: Visitor
) -> None:
    state = parse_qs(urlsplit(visitor.get("/sign-in").headers["Location"]).query)["state"][0]
    visitor.get(f"/callback?code=alice&state={state}")
    other = world.visitor()

    assert other.get(f"/callback?code=alice&state={state}").status_code == HTTPStatus.BAD_REQUEST
    assert visitor.get(f"/callback?code=bob&state={state}").status_code == HTTPStatus.BAD_REQUEST
    assert "Signed in as alice" in visitor.get("/").text


def test_given_line_breaks_in_a_request_then_no_header_of_the_response_contains_them(
    visitor: Visitor,
) -> None:
    for path in (
        "/sign-in?next=/%0d%0aX-Evil:1",
        "/?language=de%0d%0aX-Evil:1",
        "/staff?order=%0d%0aX-Evil:1",
    ):
        response = visitor.get(path)

        assert "X-Evil" not in response.headers
        assert not any("\n" in value or "\r" in value for value in response.headers.values())


def test_given_a_foreign_host_header_then_no_link_or_redirect_contains_it(visitor: Visitor) -> None:
    visitor.adds(TEA.sku)
    page = visitor.client.get("/basket", headers={"Host": "evil.example.com"})
    sign_in = visitor.client.get("/sign-in", headers={"Host": "evil.example.com"})

    assert "evil.example.com" not in page.text
    assert "evil.example.com" not in sign_in.headers["Location"]
