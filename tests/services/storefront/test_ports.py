"""The contract of the ports, which the fakes and the adapters must meet. The adapters use the real APIs over HTTP."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from services.common.faults.switches import Fault
from services.common.http import dead_letters
from services.common.values.errors import NotFound, RuleBroken, Unavailable
from services.common.values.money import Money
from services.order import api as order_api
from services.order import domain as order_domain
from services.order import faults as faults_api
from services.order import reconciliation
from services.product import api as product_api
from services.storefront.cognito import CognitoSignIn
from services.storefront.domain import (
    Address,
    AttentionItem,
    DeadLetter,
    DeadLetters,
    Finding,
    Inventory,
    NewOrder,
    Redriven,
    State,
)
from services.storefront.ports import (
    Catalog,
    NotPermitted,
    Orders,
    Refused,
    SignedOut,
    SignIn,
    SignInRefused,
    Staff,
    Switches,
    TooLateToCancel,
    TotalChanged,
)
from services.storefront.shop_api import ApiCatalog, ApiFaults, ApiOrders, ApiStaff
from shopdev.ports import free_port
from tests.services.callers import Pool
from tests.services.common.messaging.dead_letters import TASK, MemoryPlace
from tests.services.common.messaging.dead_letters import letter as a_letter
from tests.services.memory import MemorySwitchboard
from tests.services.order.fakes import MemoryProducts
from tests.services.order.world import World as OrderWorld
from tests.services.product.fakes import MemoryShop
from tests.services.product.world import product
from tests.services.storefront.fakes import (
    CUP,
    POT,
    TEA,
    MemoryCatalog,
    MemoryOrders,
    MemorySignIn,
    MemoryStaff,
    MemorySwitches,
)
from tests.services.storefront.visitor import ADDRESS

TIMEOUT = 10
SOLD = (TEA, CUP, POT)


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The URL of an application on loopback."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=["memory", "api"])
def catalog(request: pytest.FixtureRequest) -> Iterator[Catalog]:
    """A shop with three products."""
    if request.param == "memory":
        yield MemoryCatalog(*SOLD)
        return
    shop = MemoryShop()
    for sold in SOLD:
        shop.put(replace(product(sold.sku, sold.name, sold.category), price=sold.price), sold.available, None)
    with serving(product_api.create(shop)) as url:
        yield ApiCatalog(url, TIMEOUT)


def memory_catalog_that_is_down() -> Catalog:
    catalog = MemoryCatalog(*SOLD)
    catalog.down = True
    return catalog


@dataclass
class Shop:
    """Orders, and what other services and the user pool do.

    Args:
        orders: the port.
        token: an access token of a user.
        reaches: lets an order reach a state.
    """

    orders: Orders
    token: Callable[[str], str]
    reaches: Callable[[str, State], None]


@contextmanager
def memory_shop() -> Iterator[Shop]:
    orders = MemoryOrders(MemoryCatalog(*SOLD), {"of-alice": "alice", "of-bob": "bob"})
    yield Shop(orders, lambda user: f"of-{user}", lambda order, state: orders.moves(order, state, "test"))


@contextmanager
def api_shop(pool: Pool) -> Iterator[Shop]:
    world = OrderWorld()
    world.products = MemoryProducts(
        *(order_domain.Product(sold.sku, sold.name, sold.price, 1) for sold in SOLD)
    )

    def reaches(order_id: str, state: State) -> None:
        order = world.orders.get(order_id)
        assert order is not None
        step = order_domain.Step(order_domain.State(state), datetime.now(UTC), "test")
        world.orders.save(order.reached(step), None)

    app = order_api.create(
        world.orders, world.products, world.idempotency, world.related_resources, world.findings, pool.door()
    )
    with serving(app) as url:
        yield Shop(ApiOrders(url, TIMEOUT), lambda user: pool.token(sub=user), reaches)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool()


@pytest.fixture(params=["memory", "api"])
def shop(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Shop]:
    """A shop without orders."""
    with memory_shop() if request.param == "memory" else api_shop(pool) as shop:
        yield shop


@dataclass
class Demo:
    """A fault switchboard, with its storage and a valid access token."""

    switches: Switches
    switchboard: MemorySwitchboard
    token: str


@pytest.fixture(params=["memory", "api"])
def demo(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Demo]:
    """A demo without faults."""
    switchboard = MemorySwitchboard()
    if request.param == "memory":
        yield Demo(MemorySwitches(switchboard, frozenset({"of-alice"})), switchboard, "of-alice")
        return
    world = OrderWorld()
    app = order_api.create(
        world.orders,
        world.products,
        world.idempotency,
        world.related_resources,
        world.findings,
        pool.door(),
        [faults_api.create(switchboard)],
    )
    with serving(app) as url:
        yield Demo(ApiFaults(url, TIMEOUT), switchboard, pool.token(sub="alice"))


def test_given_faults_when_switched_then_each_has_the_last_position_until_all_are_undone(demo: Demo) -> None:
    assert demo.switches.on() == frozenset()
    for fault in Fault:
        demo.switches.turn_on(demo.token, fault)
    demo.switches.turn_off(demo.token, Fault.EVENTS_LATE)
    assert demo.switches.on() == set(Fault) - {Fault.EVENTS_LATE}

    demo.switches.undo_all(demo.token)

    assert demo.switches.on() == frozenset()


def test_given_an_invalid_token_when_a_fault_is_switched_then_nothing_changes(demo: Demo) -> None:
    demo.switchboard.turn_on(Fault.PAYMENT_SLOW)

    with pytest.raises(SignedOut):
        demo.switches.turn_on("x", Fault.PAYMENT_AWAY)
    with pytest.raises(SignedOut):
        demo.switches.turn_off("x", Fault.PAYMENT_SLOW)
    with pytest.raises(SignedOut):
        demo.switches.undo_all("x")

    assert demo.switches.on() == {Fault.PAYMENT_SLOW}


def test_given_a_switchboard_that_does_not_respond_when_it_is_read_or_switched_then_it_is_unavailable(
    demo: Demo,
) -> None:
    demo.switchboard.down = True

    with pytest.raises(Unavailable):
        demo.switches.on()
    with pytest.raises(Unavailable):
        demo.switches.turn_on(demo.token, Fault.PAYMENT_SLOW)


def test_given_an_order_service_without_a_switchboard_when_it_is_read_then_it_is_unavailable(
    pool: Pool,
) -> None:
    world = OrderWorld()
    app = order_api.create(
        world.orders, world.products, world.idempotency, world.related_resources, world.findings, pool.door()
    )

    with serving(app) as url, pytest.raises(Unavailable):
        ApiFaults(url, TIMEOUT).on()


def new_order(quantities: dict[str, int] | None = None, total: int = 2 * 1490, key: str = "") -> NewOrder:
    """An order of two packets of tea, unless told otherwise."""
    return NewOrder(
        key or str(uuid.uuid4()),
        quantities or {TEA.sku: 2},
        Money(total, "EUR"),
        Address(**ADDRESS),
        "tok_approve",
    )


def test_given_products_when_searched_then_words_and_category_select_them(catalog: Catalog) -> None:
    assert catalog.search("", None, None, 10).products == (POT, CUP, TEA)
    assert catalog.search("espresso CUP", None, None, 10).products == (CUP,)
    assert catalog.search("", "tea", None, 10).products == (TEA,)
    assert catalog.search("cup", "tea", None, 10).products == ()


def test_given_products_when_read_in_pages_then_each_is_on_one_page(catalog: Catalog) -> None:
    first = catalog.search("", None, None, 2)
    second = catalog.search("", None, first.next, 2)

    assert (first.products, second.products, second.next) == ((POT, CUP), (TEA,), None)


def test_given_a_cursor_that_is_made_up_when_searched_then_it_is_refused(catalog: Catalog) -> None:
    with pytest.raises(RuleBroken):
        catalog.search("", None, "made-up", 2)


def test_given_a_sku_then_its_product_and_stock_are_found_unless_unknown(catalog: Catalog) -> None:
    assert catalog.product(TEA.sku) == TEA
    assert catalog.inventory(TEA.sku) == Inventory(TEA.sku, TEA.available, 0, 0)
    assert catalog.product("none") is None
    assert catalog.inventory("none") is None


@pytest.mark.parametrize(
    "down",
    [memory_catalog_that_is_down, lambda: ApiCatalog(f"http://127.0.0.1:{free_port()}", TIMEOUT)],
    ids=["memory", "api"],
)
def test_given_a_shop_that_does_not_respond_then_every_method_says_so(down: Callable[[], Catalog]) -> None:
    catalog = down()
    for call in (
        lambda: catalog.search("", None, None, 1),
        lambda: catalog.product(TEA.sku),
        lambda: catalog.inventory(TEA.sku),
    ):
        with pytest.raises(Unavailable):
            call()


def test_given_an_order_when_placed_twice_with_one_key_then_there_is_one(shop: Shop) -> None:
    token, order = shop.token("alice"), new_order()

    placed = shop.orders.place(token, order)

    assert shop.orders.place(token, order) == placed
    assert [each.id for each in shop.orders.page(token, None).orders] == [placed]


def test_given_a_key_that_was_used_for_another_order_when_placed_then_it_is_refused(shop: Shop) -> None:
    token = shop.token("alice")
    shop.orders.place(token, new_order(key="one"))

    with pytest.raises(Refused):
        shop.orders.place(token, new_order({TEA.sku: 1}, 1490, key="one"))


@pytest.mark.parametrize(("conflicts", "attempts"), [(2, 3), (9, 4)], ids=["ends", "goes on"])
def test_given_a_request_in_flight_when_the_same_order_is_placed_then_it_waits_a_moment(
    conflicts: int, attempts: int
) -> None:
    order_id, keys = str(uuid.uuid4()), list[str]()
    app = Flask("order")

    @app.post("/orders")
    def place() -> tuple[dict[str, str], HTTPStatus]:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) <= conflicts:
            return {"detail": "a request with this Idempotency-Key is being processed"}, HTTPStatus.CONFLICT
        return {"id": order_id}, HTTPStatus.ACCEPTED

    order = new_order()
    with serving(app) as url:
        orders = ApiOrders(url, TIMEOUT)
        if attempts > conflicts:
            assert orders.place("token", order) == order_id
        else:
            with pytest.raises(Unavailable):
                orders.place("token", order)

    assert keys == [order.key] * attempts


def test_given_another_total_when_placed_then_nothing_is_ordered_and_the_total_is_told(shop: Shop) -> None:
    token = shop.token("alice")

    with pytest.raises(TotalChanged) as changed:
        shop.orders.place(token, new_order(total=1))

    assert changed.value.total == Money(2 * 1490, "EUR")
    assert shop.orders.page(token, None).orders == ()


def test_given_an_unknown_product_when_ordered_then_the_order_is_refused(shop: Shop) -> None:
    with pytest.raises(Refused):
        shop.orders.place(shop.token("alice"), new_order({"none": 1}))


def test_given_an_order_when_found_then_it_is_as_it_was_placed(shop: Shop) -> None:
    token = shop.token("alice")
    placed = shop.orders.place(token, new_order({TEA.sku: 1, CUP.sku: 2}, 1490 + 2 * 790))

    found = shop.orders.find(token, placed)

    assert found is not None
    assert {(line.sku, line.name, line.quantity, line.price) for line in found.lines} == {
        (TEA.sku, TEA.name, 1, TEA.price),
        (CUP.sku, CUP.name, 2, CUP.price),
    }
    assert (found.id, found.state, found.total) == (placed, State.PENDING, Money(3070, "EUR"))
    assert (found.address, found.tracking_number) == (Address(**ADDRESS), None)
    assert [step.state for step in found.timeline] == [State.PENDING]
    details = shop.orders.details(token, placed)
    assert details is not None
    assert details == replace(details, order=found, charged=None, refunded=None, missing=frozenset())


def test_given_an_order_when_it_reaches_a_state_then_the_state_is_the_last_of_its_timeline(
    shop: Shop,
) -> None:
    token = shop.token("alice")
    placed = shop.orders.place(token, new_order())

    shop.reaches(placed, State.RESERVED)

    found = shop.orders.find(token, placed)
    assert found is not None
    assert (found.state, found.timeline[-1].state) == (State.RESERVED, State.RESERVED)


def test_given_orders_when_listed_then_the_newest_is_first_without_timelines_and_addresses(
    shop: Shop,
) -> None:
    token = shop.token("alice")
    placed = [shop.orders.place(token, new_order()) for _ in range(3)]
    shop.orders.place(shop.token("bob"), new_order())

    page = shop.orders.page(token, None)

    assert [order.id for order in page.orders] == placed[::-1]
    assert {(order.timeline, order.address) for order in page.orders} == {((), None)}
    assert page.next is None


def test_given_a_cursor_that_is_made_up_when_orders_are_listed_then_it_is_refused(shop: Shop) -> None:
    with pytest.raises(RuleBroken):
        shop.orders.page(shop.token("alice"), "made-up")


def test_given_the_order_of_another_customer_then_it_does_not_exist(shop: Shop) -> None:
    of_alice = shop.orders.place(shop.token("alice"), new_order())
    token = shop.token("bob")

    for order_id in (of_alice, str(uuid.uuid4())):
        assert shop.orders.find(token, order_id) is None
        assert shop.orders.details(token, order_id) is None
        with pytest.raises(NotFound):
            shop.orders.cancel(token, order_id)


def test_given_an_order_when_cancelled_twice_then_it_is_being_undone(shop: Shop) -> None:
    token = shop.token("alice")
    placed = shop.orders.place(token, new_order())

    for _ in range(2):
        shop.orders.cancel(token, placed)

    found = shop.orders.find(token, placed)
    assert found is not None
    assert [step.state for step in found.timeline] == [State.PENDING, State.CANCELLING]


@pytest.mark.parametrize("state", [State.SHIPPED, State.REJECTED])
def test_given_an_order_that_has_ended_when_cancelled_then_it_is_too_late(shop: Shop, state: State) -> None:
    token = shop.token("alice")
    placed = shop.orders.place(token, new_order())
    shop.reaches(placed, state)

    with pytest.raises(TooLateToCancel):
        shop.orders.cancel(token, placed)


def test_given_a_token_that_is_not_valid_then_every_method_says_so(shop: Shop) -> None:
    order_id = str(uuid.uuid4())
    for call in (
        lambda: shop.orders.place("made-up", new_order()),
        lambda: shop.orders.page("made-up", None),
        lambda: shop.orders.find("made-up", order_id),
        lambda: shop.orders.details("made-up", order_id),
        lambda: shop.orders.cancel("made-up", order_id),
    ):
        with pytest.raises(SignedOut):
            call()


def test_given_a_token_without_the_scope_when_an_order_is_placed_then_it_is_not_permitted(pool: Pool) -> None:
    with api_shop(pool) as shop, pytest.raises(NotPermitted):
        shop.orders.place(pool.token(scope="shop/orders:read"), new_order())


def token_endpoint(pool: Pool) -> Flask:
    """A token endpoint (RFC 6749, 4.1.3) for which the code is the name of the user."""
    app = Flask("token_endpoint")

    @app.post("/token")
    def redeem() -> Response:
        code, names = request.form["code"], ["orders:read", "orders:write"]
        if code == "invalid":
            return app.make_response(({"error": "invalid_grant"}, HTTPStatus.BAD_REQUEST))
        if request.form["client_id"] == "ops":
            names += ["ops:read", "ops:write"]
        scope = " ".join(["openid", *(f"shop/{name}" for name in names)])
        groups = ["ops"] if code == "ops" else None
        token = pool.token(sub=code, username=code, scope=scope, **{"cognito:groups": groups})
        return app.make_response({"access_token": token})

    return app


@pytest.fixture(params=["memory", "cognito"])
def sign_in(request: pytest.FixtureRequest, pool: Pool) -> Iterator[SignIn]:
    """A user pool."""
    if request.param == "memory":
        yield MemorySignIn(MemoryOrders(MemoryCatalog(), {}))
        return
    with serving(token_endpoint(pool)) as url:
        yield CognitoSignIn(
            authorize_url=f"{url}/authorize",
            token_url=f"{url}/token",
            callback="http://127.0.0.1/callback",
            home="http://127.0.0.1/",
            web_client="web",
            ops_client="ops",
            timeout=TIMEOUT,
        )


@pytest.mark.parametrize("staff", [False, True], ids=["customer", "staff"])
def test_given_a_code_when_redeemed_then_the_grant_has_the_requested_scopes(
    sign_in: SignIn, staff: bool
) -> None:
    user = "ops" if staff else "alice"

    granted = sign_in.redeem(user, "verifier", staff=staff)

    assert (granted.subject, granted.name) == (user, user)
    assert ("ops:read" in granted.scopes) is staff
    assert granted.scopes >= {"orders:read", "orders:write"}
    assert granted.groups == (frozenset({"ops"}) if staff else frozenset())
    assert granted.expires_at > time.time()
    assert granted.token
    assert granted.token not in repr(granted)


def test_given_a_code_that_is_not_valid_when_redeemed_then_the_sign_in_is_refused(sign_in: SignIn) -> None:
    with pytest.raises(SignInRefused):
        sign_in.redeem("invalid", "verifier", staff=False)


def test_given_a_state_then_the_url_of_the_sign_in_page_contains_it(sign_in: SignIn) -> None:
    assert "state=of-this-visitor" in sign_in.url("of-this-visitor", "verifier", staff=False)


@pytest.mark.parametrize("staff", [False, True], ids=["customer", "staff"])
def test_given_a_sign_out_then_its_url_leads_to_the_same_user_pool_and_not_to_the_sign_in(
    sign_in: SignIn, staff: bool
) -> None:
    leave, enter = urlsplit(sign_in.leave_url(staff=staff)), urlsplit(sign_in.url("s", "v", staff=staff))

    assert leave.netloc == enter.netloc
    assert leave.path != enter.path
    if isinstance(sign_in, CognitoSignIn):
        asked = {"client_id": ["ops" if staff else "web"], "logout_uri": ["http://127.0.0.1/"]}
        assert (leave.path, parse_qs(leave.query)) == ("/logout", asked)


# ---- staff

LETTERS = (a_letter("m1", TASK), a_letter("m2", {**TASK, "order_id": "o2"}))
FOUND = tuple(f"0190f3b2-7c1e-7cc3-98c4-dc0c0c0739{number:02}" for number in range(21))


@dataclass
class Office:
    """The port of staff, and an access token of staff and of a customer."""

    staff: Staff
    token: str
    of_customer: str


@pytest.fixture(params=["memory", "api"])
def office(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Office]:
    """A shop with two dead letters of the order service, and 21 orders that need attention."""
    if request.param == "memory":
        staff = MemoryStaff(MemoryOrders(MemoryCatalog(), {"of-ops": "ops", "of-alice": "alice"}))
        staff.letters["order"] = [
            DeadLetter(
                each.id,
                "shop-payment-tasks",
                "ChargePayment",
                each.decoded()["order_id"],
                each.sent_at,
                each.deliveries,
                each.decoded()["cause"],
                each.excerpt(),
            )
            for each in LETTERS
        ]
        staff.items = [attention(order_id) for order_id in FOUND]
        staff.checked_at = LETTERS[0].sent_at
        yield Office(staff, "of-ops", "of-alice")
        return
    world = OrderWorld()
    for order_id in FOUND:
        kind = reconciliation.FindingKind.DISAGREEING
        world.findings.put(reconciliation.Finding(order_id, kind, "a test", LETTERS[0].sent_at))
    world.findings.note_run(LETTERS[0].sent_at)
    place = MemoryPlace(list(LETTERS))
    app = order_api.create(
        world.orders,
        world.products,
        world.idempotency,
        world.related_resources,
        world.findings,
        pool.door(),
        [dead_letters.blueprint("order", lambda: place)],
    )
    groups = {"cognito:groups": ["ops"]}
    with serving(app) as url:
        token = pool.token(sub="olga", scope="shop/ops:read shop/ops:write", **groups)
        yield Office(ApiStaff(url, TIMEOUT), token, pool.token(sub="alice"))


def attention(order_id: str) -> AttentionItem:
    return AttentionItem(order_id, Finding.DISAGREEING, "a test", LETTERS[0].sent_at, None)


def test_given_orders_that_need_attention_when_staff_reads_them_in_pages_then_each_is_on_one_page(
    office: Office,
) -> None:
    first = office.staff.attention(office.token, None)
    second = office.staff.attention(office.token, first.next)

    assert first.items + second.items == tuple(map(attention, FOUND))
    assert (len(second.items), second.next) == (1, None)
    assert first.checked_at == LETTERS[0].sent_at
    with pytest.raises(RuleBroken):
        office.staff.attention(office.token, "made-up")


def test_given_dead_letters_when_staff_redrives_one_twice_and_then_all_then_none_is_left(
    office: Office,
) -> None:
    staff, token = office.staff, office.token
    found = staff.dead_letters(token, "order")

    assert [(each.id, each.kind, each.order_id) for each in found.letters] == [
        ("m1", "ChargePayment", "o1"),
        ("m2", "ChargePayment", "o2"),
    ]
    assert (found.total, found.letters[0].deliveries) == (2, 5)
    assert "tok_secret" not in found.letters[0].body
    assert staff.redrive(token, "order", "m1") == Redriven(1, 0)
    assert staff.redrive(token, "order", "m1") == Redriven(0, 1)
    assert staff.redrive(token, "order", None) == Redriven(1, 0)
    assert staff.dead_letters(token, "order") == DeadLetters((), 0)


def test_given_a_customer_when_using_what_is_for_staff_then_it_is_not_permitted(office: Office) -> None:
    token = office.of_customer
    for call in (
        lambda: office.staff.attention(token, None),
        lambda: office.staff.dead_letters(token, "order"),
        lambda: office.staff.redrive(token, "order", None),
    ):
        with pytest.raises(NotPermitted):
            call()
