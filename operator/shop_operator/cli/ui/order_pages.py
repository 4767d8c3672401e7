"""The pages of orders and of stock."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from shop_operator.cli.errors import CliError, NotThere
from shop_operator.cli.ui.console import FAST, SLOW, Console
from shop_operator.cli.ui.jaeger import Jaeger
from shop_operator.cli.ui.requests import segment
from shop_operator.cli.ui.shop import Shop
from shop_operator.cli.ui.views import money, saga
from shop_operator.cli.ui.views.waterfall import Waterfall, waterfall
from shop_operator.wording import sentence

_MOST_ORDERS: Final = 20
_LONGEST_ID: Final = 64
_IN_PROGRESS: Final = 1
"""Seconds after which the page of an order in progress loads itself again."""
_NO_JAEGER: Final = "Jaeger is not installed in this cluster; name its URL with --jaeger."


def add(app: Flask, console: Console, shop: Shop) -> None:
    """Add the pages to the application."""

    @app.get("/orders")
    def show_orders() -> Response | str:
        """A form for the ID of an order, and the newest orders."""
        asked = request.args.get("id", "").strip()
        if asked:
            segment(asked)
            return redirect(url_for("show_order", order_id=asked[:_LONGEST_ID]), HTTPStatus.SEE_OTHER)
        if not shop.token.is_given:
            return _orders(shop, (), ())
        return _orders(shop, *_recent(shop.own_orders, console.jaeger.recent_orders))

    @app.get("/orders/<order_id>")
    def show_order(order_id: str) -> str:
        """The path of an order."""
        records = shop.order(order_id[:_LONGEST_ID])
        traces, trouble = _traces(console.jaeger, order_id)
        return render_template(
            "order.html",
            records=records,
            path=saga.path(records, datetime.now(UTC)),
            money=money.of_order(records),
            traces=traces,
            unread=trouble,
            refresh=SLOW if records.is_over else _IN_PROGRESS,
        )

    @app.get("/stock")
    def show_stock() -> str:
        """The stock of every product."""
        rows, following, failed = shop.stock(request.args.get("cursor", ""))
        return render_template(
            "stock.html", rows=rows, following=following, troubles=_sentences(failed), refresh=FAST
        )


def _orders(shop: Shop, ids: Iterable[str], failed: Iterable[CliError]) -> str:
    found = shop.orders(ids)
    known = {key: each for key, each in found.items() if isinstance(each, saga.Records)}
    lines = {key: money.of_order(each) for key, each in known.items()}
    return render_template(
        "orders.html",
        orders=known,
        lines=lines,
        sums=money.total(each for each in lines.values() if each),
        troubles=_sentences([*failed, *(each for each in found.values() if isinstance(each, CliError))]),
        token=shop.token.is_given,
        refresh=FAST,
    )


def _recent(*sources: Callable[[], Iterable[str]]) -> tuple[list[str], list[CliError]]:
    """The IDs of the newest orders, and what could not be read."""
    ids, failed = set[str](), list[CliError]()
    for each in sources:
        try:
            ids.update(each())
        except NotThere:
            continue  # Jaeger is not installed. The page of an order says so.
        except CliError as error:
            failed.append(error)
    # An ID begins with the time at which it was made.
    return sorted(ids, reverse=True)[:_MOST_ORDERS], failed


def _sentences(errors: Iterable[CliError]) -> list[str]:
    return list(dict.fromkeys(sentence(str(each)) for each in errors))


def _traces(jaeger: Jaeger, order_id: str) -> tuple[list[Waterfall], str]:
    """The traces of an order, and why they could not be read."""
    try:
        found = map(waterfall, jaeger.of_order(order_id))
        return [each for each in found if each is not None], ""
    except NotThere:
        return [], _NO_JAEGER
    except CliError as error:
        return [], sentence(str(error))
