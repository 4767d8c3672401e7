"""The pages as a WSGI application."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from shop_operator.cli.errors import CliError, NotAllowed, NotThere, NotValid
from shop_operator.cli.ui import cluster_pages, order_pages
from shop_operator.cli.ui.access import Access, protected
from shop_operator.cli.ui.console import FAST, Console
from shop_operator.cli.ui.live import Streams
from shop_operator.cli.ui.views import overview
from shop_operator.cli.ui.views.amounts import amount
from shop_operator.cli.ui.views.times import moment
from shop_operator.cli.ui.views.waterfall import WIDTH
from shop_operator.wording import printable, sentence

_PROBLEMS: Final[dict[type[CliError], tuple[str, HTTPStatus]]] = {
    NotThere: ("Not found", HTTPStatus.NOT_FOUND),
    NotAllowed: ("Not allowed", HTTPStatus.FORBIDDEN),
    NotValid: ("Not valid", HTTPStatus.BAD_REQUEST),
    CliError: ("Not available", HTTPStatus.SERVICE_UNAVAILABLE),
}
_MOST_DIGITS: Final = 18


def create(console: Console, access: Access) -> Flask:
    """The application.

    Args:
        console: what it shows.
        access: who may see it.
    """
    app = _Pages("shop_operator.cli.ui")
    streams = Streams(console.fleet)
    app.before_request(access.check)
    app.after_request(protected)
    app.context_processor(lambda: _shell(console))
    app.jinja_env.globals.update(amount=amount, sentence=sentence, moment=moment, bars=WIDTH)
    app.register_error_handler(CliError, _problem)
    app.register_error_handler(HTTPException, _refusal)
    cluster_pages.add(app, console)
    if console.shop is not None:
        order_pages.add(app, console, console.shop)

    @app.get("/live")
    def live() -> Response:
        """The changes of ShopServices as server-sent events."""
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
        version = int(seen) if seen.isdecimal() and len(seen) <= _MOST_DIGITS else -1
        return Response(streams.events(version), mimetype="text/event-stream")

    return app


def _visible(value: Any) -> Any:
    """Control characters as escapes, as the other commands of the plugin print them."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class _Pages(Flask):
    """An application whose templates show every character of a text."""

    jinja_options = {**Flask.jinja_options, "finalize": _visible}  # noqa: RUF012  as in Flask


def _shell(console: Console) -> dict[str, Any]:
    """The values that every page has."""
    known, now = console.fleet.snapshot(), datetime.now(UTC)
    at = known.at.isoformat(timespec="seconds") if known.at else None
    return {
        "context": console.cluster.context,
        "namespace": console.fleet.namespace,
        "trouble": sentence(known.trouble),
        "known_at": moment(at, now),
        "version": known.version,
        "now": now,
        "has_shop": console.shop is not None,
        "status": overview.summary(overview.rows(known.shops.values(), now)) if known.at else "",
    }


def _problem(error: CliError) -> tuple[str, int]:
    """A page that says what could not be read, and what to do."""
    title, status = next(found for kind, found in _PROBLEMS.items() if isinstance(error, kind))
    return render_template("problem.html", title=title, said=sentence(str(error)), refresh=FAST), status


def _refusal(error: HTTPException) -> tuple[str, int]:
    """A page for an address that does not exist, or a method that is not supported."""
    said = sentence(error.description or error.name)
    return render_template("problem.html", title=error.name, said=said, refresh=0), error.code or 500
