"""The pages as a WSGI application: their common frame, security headers, and pages for errors."""

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from services.common.http import web
from services.common.http.errors import InvalidRequest
from services.common.telemetry import logs, tracing
from services.common.values.errors import NotFound, RuleBroken, Unavailable
from services.storefront import language, session, texts
from services.storefront.config import Settings
from services.storefront.language import _
from services.storefront.pages import basket, catalog, checkout, faults, orders, sign_in, staff
from services.storefront.pages.parts import Parts, page
from services.storefront.ports import Catalog, NotPermitted, Orders, SignedOut, SignIn, Staff, Switches
from services.storefront.remembered import RememberedCatalog

log = logs.logger(__name__)
STATIC_SECONDS: Final = 3600
# A form may lead to the user pool, where the sign-out ends.
_CONTENT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self' {}; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer`, browsers would send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def create(
    settings: Settings,
    known: Catalog,
    placed: Orders,
    seen: Staff,
    entrance: SignIn,
    switches: Switches | None = None,
) -> Flask:
    """The application.

    Args:
        settings: settings of the storefront.
        known: products of the shop.
        placed: orders of the shop.
        seen: view of staff on the shop.
        entrance: sign-in pages of the user pool.
        switches: fault switchboard of a demo; None if there is none.
    """
    app = Flask("storefront", root_path=str(language.FOLDER.parent), static_url_path="/static")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    remembered = RememberedCatalog(known)
    # Ready after the first response of the API, and from then on also without it: an outage must not remove the pages about it.
    web.add_frame(app, {"api": lambda: remembered.fill(catalog.LISTED)})
    parts = Parts(settings, known, remembered, placed, seen, entrance, session.install(app, settings))
    language.install(app, secure=settings.is_secure)
    app.before_request(_refuse_forged)
    policy = _CONTENT.format(settings.sign_in_origin)
    app.after_request(lambda response: _protected(response, policy, secure=settings.is_secure))
    app.context_processor(lambda: _shell(parts))
    app.jinja_env.globals.update(
        texts=texts, csrf_token=session.csrf_token, in_language=_in_language, static=_static_urls(app)
    )
    _add_errors(app)
    _add_refusals(app)
    for module in (catalog, basket, checkout, orders, sign_in, staff):
        module.add(app, parts)
    if switches is not None:
        faults.add(app, switches)
    return app


def _refuse_forged() -> Response | None:
    """The response to a request that changes something and does not come from a form of this visitor."""
    if request.method in _SAFE_METHODS or not session.is_forged():
        return None
    return _problem(
        HTTPStatus.BAD_REQUEST,
        _("This form is no longer valid"),
        _("Nothing was changed. Open the page again, and repeat what you did. The shop requires cookies."),
    )


def _protected(response: Response, policy: str, *, secure: bool) -> Response:
    response.headers["Content-Security-Policy"] = policy
    for name, value in _HEADERS.items():
        response.headers[name] = value
    if secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    # Pages contain data of their visitor, also if they are read with the button Back.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _shell(parts: Parts) -> dict[str, Any]:
    """The values that every page needs."""
    granted = session.grant()
    return {
        "granted": granted,
        "pieces": parts.baskets.current().pieces,
        "is_staff": granted is not None and staff.may_see(granted),
        "sandbox": parts.settings.sandbox,
    }


def _static_urls(app: Flask) -> Mapping[str, str]:
    """Name of each static file -> its URL, which changes with its content: browsers keep a file that has not changed."""
    files = Path(str(app.static_folder)).iterdir()
    return {
        file.name: f"{app.static_url_path}/{file.name}?{sha256(file.read_bytes()).hexdigest()[:8]}"
        for file in files
    }


def _in_language(code: str) -> str:
    """The link to the current page in another language. After a form, it leads to the first page."""
    given = request.args.to_dict() if request.method == "GET" else {}
    path = request.path if request.method == "GET" else "/"
    return f"{path}?{urlencode({**given, 'language': code})}"


def _problem(status: HTTPStatus, title: str, said: str, **values: Any) -> Response:
    return page("problem.html", status, title=title, said=said, trace_id=tracing.trace_id(), **values)


def _add_errors(app: Flask) -> None:
    @app.errorhandler(SignedOut)
    def signed_out(_error: SignedOut) -> Response:
        """Offers the sign-in. A link, because browsers do not follow a form to another host."""
        back_to = request.full_path.rstrip("?") if request.method == "GET" else "/"
        session.expire()
        title = _("Your session has ended") if session.has_ended() else _("Sign in to continue")
        return _problem(
            HTTPStatus.UNAUTHORIZED,
            title,
            _("Sign in to open this page. Your basket is kept."),
            sign_in=back_to,
        )

    @app.errorhandler(NotPermitted)
    def not_permitted(_error: NotPermitted) -> Response:
        return _problem(
            HTTPStatus.FORBIDDEN,
            _("Not permitted"),
            _("Your account does not permit this. Sign in with another account, or return to the shop."),
        )

    @app.errorhandler(Unavailable)
    def unavailable(_error: Unavailable) -> Response:
        response = _problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            _("The shop does not respond at the moment"),
            _("Nothing is lost: your basket and your orders are kept. Try again in a moment."),
            again=True,
        )
        response.headers["Retry-After"] = "5"
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("request_failed", exc_info=error)
        return _problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            _("Something went wrong"),
            _("This is an error in the shop. Try again; if it happens again, report the number below."),
            again=request.method == "GET",
        )


def _add_refusals(app: Flask) -> None:
    @app.errorhandler(NotFound)
    def not_found(_error: NotFound) -> Response:
        return _missing()

    @app.errorhandler(RuleBroken)
    @app.errorhandler(InvalidRequest)
    def invalid(_error: Exception) -> Response:
        return _problem(
            HTTPStatus.BAD_REQUEST,
            _("This address is not valid"),
            _("The link is incomplete or no longer valid. Start again in the catalog."),
        )

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        if isinstance(error.response, Response):
            return error.response
        if error.code == HTTPStatus.NOT_FOUND:
            return _missing()
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        response = _problem(
            status,
            _("The shop cannot answer this request"),
            _("Start again in the catalog. If this happens again, report the number below."),
        )
        if "Allow" in (given := dict(error.get_headers())):
            response.headers["Allow"] = given["Allow"]
        return response


def _missing() -> Response:
    return _problem(
        HTTPStatus.NOT_FOUND,
        _("This page does not exist"),
        _(
            "The product or order may not exist, or it may belong to another account. Search the catalog for products."
        ),
    )
