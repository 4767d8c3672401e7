"""The checkout: one basket places one order, however often its form is sent.

The form contains everything that the order consists of, with the ID of the basket as Idempotency-Key. A double click, a
repetition after an error, and a second tab with the same basket therefore send the same key, and get the same order.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.telemetry import logs
from services.common.values.errors import Unavailable
from services.common.values.money import Money
from services.storefront import addresses, language, session
from services.storefront.addresses import Flaw
from services.storefront.domain import MOST_LINES, Address, NewOrder, Quote
from services.storefront.language import _
from services.storefront.pages.basket import SKU, quantity
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import Refused, SignedOut, TotalChanged

log = logs.logger(__name__)

TEST_CARDS: Final = ("tok_approve", "tok_decline", "tok_timeout", "tok_charge_then_timeout")
LONGEST_TOKEN: Final = 256
LARGEST_AMOUNT: Final = 10**12
FIELDS: Final = tuple(addresses.LONGEST)


class Incomplete(Exception):
    """The form is not one that this page has rendered."""


@dataclass(frozen=True, slots=True)
class Form:
    """A sent form.

    Args:
        key: ID of its basket.
        quantities: SKU -> number of pieces.
        total: total that the customer was shown.
        address: address, which may be invalid.
        payment_token: token of the payment provider; empty if it is missing.
    """

    key: str
    quantities: Mapping[str, int]
    total: Money
    address: Address
    payment_token: str

    @property
    def order(self) -> NewOrder:
        """The order to place."""
        return NewOrder(self.key, self.quantities, self.total, self.address, self.payment_token)


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""

    @app.get("/checkout")
    def show_checkout() -> AnyResponse:
        """The form, for the basket at the prices of the shop."""
        session.required()
        basket = parts.baskets.current()
        if not basket.quantities:
            return go_to("/basket")
        found, age = parts.quote(dict(basket.quantities))
        if not found.can_be_ordered:
            return go_to("/basket")
        draft = {"country": "DE", **session.draft()}
        return _shown(
            parts,
            Form(basket.id, basket.quantities, _total(found), _address(draft), TEST_CARDS[0]),
            found,
            age,
            notice=_(
                "You are signed in again. Nothing was ordered yet: check your address, and send the order."
            )
            if session.draft()
            else "",
        )

    @app.post("/checkout")
    def send_order() -> AnyResponse:
        """Places the order, and shows it."""
        try:
            form = _sent()
        except Incomplete:
            return go_to("/basket")
        return _placed(parts, form)


def _placed(parts: Parts, form: Form) -> AnyResponse:
    flaws = addresses.flaws(form.address)
    if flaws or not form.payment_token:
        return _again(parts, form, HTTPStatus.UNPROCESSABLE_ENTITY, flaws=flaws)
    try:
        order_id = parts.orders.place(session.required().token, form.order)
    except SignedOut:
        session.expire()
        session.keep_draft({name: getattr(form.address, name) for name in FIELDS})
        return page(
            "problem.html",
            HTTPStatus.UNAUTHORIZED,
            title=_("Your session has ended"),
            said=_(
                "Nothing was ordered. Your basket and your address are kept: sign in, and send the order again."
            ),
            trace_id="",
            sign_in="/checkout",
        )
    except TotalChanged as changed:
        notice = _(
            "The price has changed from %(before)s to %(now)s. Nothing was ordered. Send the order again if you agree.",
            before=language.price(form.total),
            now=language.price(changed.total),
        )
        agreed = Form(form.key, form.quantities, changed.total, form.address, form.payment_token)
        return _again(parts, agreed, HTTPStatus.CONFLICT, trouble=notice)
    except Unavailable:
        notice = _(
            "The shop does not respond. It may have received your order. Send it again: it cannot be placed twice from here."
        )
        return _again(parts, form, HTTPStatus.SERVICE_UNAVAILABLE, trouble=notice)
    except Refused as refused:
        notice = _(
            "The shop did not accept this order: %(why)s. If you have already sent it in another tab, see your orders.",
            why=refused.detail,
        )
        return _again(parts, form, HTTPStatus.UNPROCESSABLE_ENTITY, trouble=notice)
    log.info("order_placed", order_id=order_id)
    session.drop_draft()
    if parts.baskets.current().id == form.key:
        parts.baskets.clear()
    return go_to(f"/account/orders/{uuid.UUID(order_id)}?placed=1")


def _sent() -> Form:
    """The sent form.

    Raises:
        Incomplete: a part is missing that a visitor cannot change.
    """
    given = request.form
    pairs = [item.rpartition(":") for item in given.getlist("item")[: MOST_LINES + 1]]
    quantities = {sku: quantity(pieces) for sku, _colon, pieces in pairs if SKU.fullmatch(sku)}
    amount = given.get("amount", "")
    try:
        key = str(uuid.UUID(given.get("key", "")))
        total = Money(int(amount) if amount.isascii() and amount.isdigit() else -1, given.get("currency", ""))
    except ValueError:
        raise Incomplete from None
    wanted = {sku: pieces for sku, pieces in quantities.items() if pieces}
    if not wanted or len(wanted) != len(pairs) or len(wanted) > MOST_LINES or total.amount > LARGEST_AMOUNT:
        raise Incomplete
    return Form(
        key,
        wanted,
        total,
        _address({name: " ".join(given.get(name, "").split()) for name in FIELDS}),
        given.get("payment", "").strip()[:LONGEST_TOKEN],
    )


def _address(given: Mapping[str, str]) -> Address:
    return Address(**{name: given.get(name, "") for name in FIELDS})


def _total(found: Quote) -> Money:
    if found.total is None:
        raise ValueError("a quote that can be ordered has a total")
    return found.total


def _again(
    parts: Parts,
    form: Form,
    status: HTTPStatus,
    *,
    trouble: str = "",
    flaws: Mapping[str, Flaw] | None = None,
) -> Response:
    """The same form, with what has to be corrected."""
    found, age = parts.quote(dict(form.quantities))
    return _shown(parts, form, found, age, status=status, trouble=trouble, flaws=flaws)


def _shown(
    parts: Parts,
    form: Form,
    found: Quote,
    age: float,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    notice: str = "",
    trouble: str = "",
    flaws: Mapping[str, Flaw] | None = None,
) -> Response:
    return page(
        "checkout.html",
        status,
        form=form,
        quote=found,
        age=language.duration(age) if age else "",
        notice=notice,
        trouble=trouble,
        flaws=flaws or {},
        fields=FIELDS,
        longest=addresses.LONGEST,
        countries=language.countries(),
        cards=TEST_CARDS if parts.settings.sandbox else (),
    )
