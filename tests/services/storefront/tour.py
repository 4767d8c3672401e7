"""Every page in every state, from a shop in memory: for the tests of accessibility and of size.

The catalog is that of the example shop, with a product, an address and a user with names as long and as hostile as the shop permits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

import orjson
from werkzeug.test import TestResponse

from services.common.faults.switches import Fault
from services.common.values.money import Money
from services.storefront.domain import AttentionItem, DeadLetter, Finding, Product, State
from tests.services.memory import MemorySwitchboard
from tests.services.storefront.fakes import CUP, POT, TEA, MemorySwitches
from tests.services.storefront.visitor import ADDRESS, Visitor, World

SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
LONG = Product(f"AA-{'9' * 61}", f"{SCRIPT}{'W' * 140}", "w" * 64, Money(9_999_999, "EUR"), 3)
GONE = Product("AA-GONE", "A product that is sold no longer", "tea", Money(100, "EUR"), 9)
HOSTILE_ADDRESS = {
    **ADDRESS,
    "name": f"{SCRIPT}{'W' * 45}",
    "line1": f"{SCRIPT}{'W' * 145}",
    "city": "W" * 100,
}
ORDER_ID = "0190f3b2-7c1e-7cc3-98c4-dc0c0c07398f"
CHARGED = Money(1490, "EUR")
WAYS = {
    State.RESERVED: (State.RESERVED,),
    State.PAID: (State.RESERVED, State.PAID),
    State.SHIPPED: (State.RESERVED, State.PAID, State.SHIPPED),
    State.CANCELLING: (State.RESERVED, State.CANCELLING),
    State.CANCELLED: (State.RESERVED, State.PAID, State.CANCELLED),
    State.REJECTED: (State.RESERVED, State.REJECTED),
}
CAUSES = {
    State.CANCELLING: "cancelled by the customer",
    State.CANCELLED: "ShipmentRefused: no carrier accepts the parcel",
    State.REJECTED: "PaymentDeclined: the card was declined",
}


@dataclass(frozen=True)
class Tour:
    """The pages.

    Args:
        customer: a visitor who is signed in, and may request what the pages refer to.
        pages: name -> response.
    """

    customer: Visitor
    pages: dict[str, TestResponse]


def take(language: str) -> Tour:
    """Visits every page in every state."""
    world = World()
    entries = orjson.loads(resources.files("services.product").joinpath("catalogue.json").read_bytes())
    products = (
        Product(each["sku"], each["name"], each["category"], Money(each["price"], "EUR"), each["stock"])
        for each in entries
    )
    world.catalog.products = {each.sku: each for each in (LONG, *products, TEA, CUP, POT)}
    customer = world.visitor(language)
    customer.signs_in("alice")
    pages = dict(
        [
            *_catalog(world.visitor(language)),
            *_basket(world, world.visitor(language)),
            *_checkout(world, language),
            *_orders(world, customer),
            *_staff(world, language),
            *_faults(language),
            *_trouble(world, customer),
        ]
    )
    return Tour(customer, pages)


def _catalog(guest: Visitor) -> Iterator[tuple[str, TestResponse]]:
    yield "catalog", guest.get("/")
    yield "category", guest.get("/?category=coffee&q=beans")
    yield "last page", guest.get(f"/?cursor={CUP.sku}")
    yield "no product", guest.get(f"/?q={SCRIPT}")
    yield "product", guest.get(f"/catalog/{TEA.sku}")
    yield "sold out product", guest.get(f"/catalog/{POT.sku}")
    yield "product with a long name", guest.get(f"/catalog/{LONG.sku}")
    yield "missing page", guest.get(f"/{SCRIPT}")
    yield "sign-in required", guest.get("/account/orders")
    yield "sign-in interrupted", guest.get("/callback")


def _basket(world: World, guest: Visitor) -> Iterator[tuple[str, TestResponse]]:
    yield "empty basket", guest.get("/basket")
    for sku, pieces in ((TEA.sku, 2), (LONG.sku, 1)):
        guest.adds(sku, pieces)
    yield "basket", guest.get("/basket?added=1")
    yield "product in the basket", guest.get(f"/catalog/{TEA.sku}")
    world.catalog.products[GONE.sku] = GONE
    guest.adds(GONE.sku)
    guest.adds(CUP.sku, 50)
    del world.catalog.products[GONE.sku]
    yield "basket that cannot be ordered", guest.get("/basket")
    yield "invalid quantity", guest.send(guest.get("/basket"), "/basket/set", **{f"quantity:{TEA.sku}": "x"})


def _checkout(world: World, language: str) -> Iterator[tuple[str, TestResponse]]:
    visitor = world.visitor(language)
    visitor.adds(TEA.sku)
    visitor.adds(LONG.sku)
    visitor.signs_in(SCRIPT)
    page = visitor.get("/checkout")
    yield "checkout", page
    invalid = visitor.send(page, "/checkout", **{**dict.fromkeys(ADDRESS, "\u200b"), "country": "DE"})
    yield "invalid address", invalid
    yield "changed price", visitor.send(page, "/checkout", **HOSTILE_ADDRESS, amount="1")
    world.orders.lost = 1
    yield "lost answer", visitor.send(page, "/checkout", **HOSTILE_ADDRESS)
    yield "refused order", visitor.send(page, "/checkout", **ADDRESS)
    tokens, world.orders.tokens = world.orders.tokens, {}
    yield "session ended", visitor.send(page, "/checkout", **ADDRESS)
    world.orders.tokens = tokens
    visitor.signs_in(SCRIPT)
    yield "signed in again", visitor.get("/checkout")


def _orders(world: World, customer: Visitor) -> Iterator[tuple[str, TestResponse]]:
    yield "no orders", customer.get("/account/orders")
    placed = _placed(world, customer)
    path = f"/account/orders/{placed}"
    yield "placed order", customer.get(f"{path}?placed=1")
    question = customer.get(f"{path}/cancel")
    yield "cancellation", question
    for state, way in WAYS.items():
        order = _placed(world, customer)
        world.orders.charged[order] = CHARGED
        for each in way:
            world.orders.moves(order, each, CAUSES.get(each, "done"))
        yield f"{state} order", customer.get(f"/account/orders/{order}")
        if state is State.PAID:
            yield "cancellation of a paid order", customer.get(f"/account/orders/{order}/cancel")
        if state is State.CANCELLED:
            world.orders.refunded[order] = CHARGED
            yield "refunded order", customer.get(f"/account/orders/{order}")
    world.orders.moves(placed, State.RESERVED, "stock reserved", datetime.now(UTC) - timedelta(minutes=5))
    world.orders.missing = frozenset({"payment", "shipment"})
    yield "order that waits for a payment service that is down", customer.get(path)
    world.orders.missing = frozenset()
    world.orders.moves(placed, State.SHIPPED, "shipment booked")
    yield "refused cancellation", customer.send(question, f"{path}/cancel")
    yield "orders", customer.get("/account/orders")


def _placed(world: World, customer: Visitor) -> str:
    """The ID of a new order."""
    known = set(world.orders.orders)
    customer.adds(TEA.sku)
    customer.adds(LONG.sku)
    customer.orders(**HOSTILE_ADDRESS)
    (order,) = set(world.orders.orders) - known
    return order


def _staff(world: World, language: str) -> Iterator[tuple[str, TestResponse]]:
    visitor = world.visitor(language)
    visitor.signs_in("ops", "/sign-in?staff=1&next=/staff")
    yield "staff", visitor.get("/staff")
    yield "no dead letters", visitor.get("/staff/dead-letters")
    # The stock is shown above, and takes most of the time of a check.
    stock, world.catalog.products = world.catalog.products, {each.sku: each for each in (LONG, TEA)}
    now = datetime.now(UTC)
    world.staff.checked_at = now
    yield "no order that needs attention", visitor.get("/staff")
    world.staff.items = [
        AttentionItem(ORDER_ID, Finding.STANDING_STILL, f"{SCRIPT}{'W' * 200}", now, State.CANCELLING),
        AttentionItem(ORDER_ID.replace("0", "1"), Finding.DISAGREEING, "a row cannot be read", now, None),
    ]
    yield "orders that need attention", visitor.get("/staff")
    world.staff.letters["payment"] = [
        DeadLetter(
            ORDER_ID,
            "shop-payment-tasks",
            "ChargePayment",
            ORDER_ID,
            now - timedelta(days=3),
            61,
            f"its handler failed: look for message_id {ORDER_ID} in the logs",
            orjson.dumps({"task": "ChargePayment", "name": SCRIPT}, option=orjson.OPT_INDENT_2).decode(),
        ),
        DeadLetter("m2", "W" * 80, SCRIPT + "W" * 200, SCRIPT + "W" * 200, now, 1, SCRIPT, "W" * 4000),
    ]
    world.staff.read_by_others["order"] = 2
    world.staff.down = {"product", "order"}
    yield "staff without the order service", visitor.get("/staff")
    world.staff.down = {"product"}
    yield "dead letters", visitor.get("/staff/dead-letters")
    question = visitor.get(f"/staff/dead-letters/payment/redrive?id={ORDER_ID}")
    yield "redrive", question
    yield "redrive of all", visitor.get("/staff/dead-letters/payment/redrive")
    for name in ("redriven dead letter", "missing dead letter"):
        done = visitor.send(question, "/staff/dead-letters/payment/redrive")
        yield name, visitor.get(done.headers["Location"])
    yield "nothing redriven", visitor.get("/staff/dead-letters?sent=0&missing=0")
    world.catalog.products = stock
    yield "unknown order", visitor.get("/staff?order=1")


def _faults(language: str) -> Iterator[tuple[str, TestResponse]]:
    visitor = World(switches=MemorySwitches(MemorySwitchboard(*Fault))).visitor(language)
    yield "faults of a guest", visitor.get("/faults")
    visitor.signs_in("alice")
    faults = visitor.get("/faults")
    yield "faults that are on", faults
    yield "catalog of a broken shop", visitor.get("/")
    visitor.send(faults, "/faults/off")
    yield "faults that are off", visitor.get("/faults")


def _trouble(world: World, customer: Visitor) -> Iterator[tuple[str, TestResponse]]:
    yield "not permitted", customer.get("/staff")
    yield "invalid link", customer.get("/?cursor=none")
    yield "wrong method", customer.get("/basket/add")
    yield "forged form", customer.post("/basket/add", {})
    customer.adds(TEA.sku)
    paths = {"catalog": "/", "product": f"/catalog/{TEA.sku}", "basket": "/basket", "checkout": "/checkout"}
    for path in paths.values():
        customer.get(path)
    world.catalog.down = True
    for name, path in paths.items():
        yield f"{name} from memory", customer.get(path)
    yield "shop that does not respond", customer.get("/?q=never+searched+before")
    world.catalog.down = False
