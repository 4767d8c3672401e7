"""The parts that all pages use, and the rendering of a page."""

import contextvars
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Response, make_response, redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from services.storefront.config import Settings
from services.storefront.domain import Quote, quote
from services.storefront.ports import Catalog, Orders, SignIn, Staff
from services.storefront.remembered import RememberedCatalog
from services.storefront.session import Baskets

# Concurrent requests to the API for one basket or one table.
THREADS = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that all pages use.

    Args:
        settings: settings of the storefront.
        catalog: products of the shop.
        remembered: the same products, remembered for an outage.
        orders: orders of the shop.
        staff: view of staff on the shop.
        sign_in: sign-in pages of the user pool.
        baskets: baskets of the visitors.
    """

    settings: Settings
    catalog: Catalog
    remembered: RememberedCatalog
    orders: Orders
    staff: Staff
    sign_in: SignIn
    baskets: Baskets
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "storefront"))

    def quote(self, quantities: "dict[str, int]") -> tuple[Quote, float]:
        """The prices of a basket, with the age of the oldest one in seconds; 0 if all are current."""
        found = list(self.at_once(self.remembered.product, quantities))
        return quote(quantities, (product for product, _ in found)), max(
            (age for _, age in found), default=0.0
        )

    def at_once(self, load: Any, arguments: Iterable[str]) -> Iterable[Any]:
        """The results of a function for each argument, in the same order."""
        running = [self.pool.submit(contextvars.copy_context().run, load, each) for each in arguments]
        return [each.result() for each in running]


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """A page as a response."""
    return make_response(render_template(template, **values), status)


def go_to(path: str) -> AnyResponse:
    """A response that leads to another page with GET, so that loading it again repeats no form."""
    return redirect(path, HTTPStatus.SEE_OTHER)
