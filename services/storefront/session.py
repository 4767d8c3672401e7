"""The state of a visitor, in signed cookies: the session (sign-in, CSRF token) and the basket.

The storefront stores nothing, so any of its processes can answer any request. Only the storefront can make a valid cookie, and scripts
cannot read one. The access token is the visitor's own; there is no refresh token in the cookies.
"""

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, Response, g, request, session
from itsdangerous import BadData, URLSafeTimedSerializer

from services.storefront.config import Settings
from services.storefront.domain import LARGEST_QUANTITY, MOST_LINES, Basket
from services.storefront.ports import Grant, SignedOut

BASKET_SECONDS: Final = 30 * 24 * 3600
# Browsers accept 4096 bytes for a cookie with its name and attributes.
LARGEST_BASKET: Final = 3500
LARGEST_DRAFT: Final = 900
# A token that expires during a request would make it fail halfway.
MARGIN_SECONDS: Final = 10
_GRANT, _CSRF, _FLOW, _DRAFT, _AWAY = "grant", "csrf", "flow", "draft", "away"


class CookieTooLarge(Exception):
    """The basket has more content than a cookie can store."""


def install(app: Flask, settings: Settings) -> "Baskets":
    """Configures the cookies of an application. Returns the storage of baskets."""
    first, *others = settings.signing_keys
    prefix = "__Host-" if settings.is_secure else ""
    app.config.update(
        SECRET_KEY=first,
        SECRET_KEY_FALLBACKS=others,
        SESSION_COOKIE_NAME=f"{prefix}session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.is_secure,
        SESSION_COOKIE_PATH="/",
    )
    baskets = Baskets(f"{prefix}basket", settings.signing_keys, secure=settings.is_secure)
    app.after_request(baskets.save)
    return baskets


class Baskets:
    """The basket of a visitor, in a cookie of its own that outlives the session.

    Args:
        name: name of the cookie.
        keys: keys that sign it, the newest first.
        secure: whether it requires HTTPS.
    """

    def __init__(self, name: str, keys: list[str], *, secure: bool) -> None:
        self._name = name
        # The last key signs.
        self._serializer = URLSafeTimedSerializer(keys[::-1], salt="basket")
        self._secure = secure

    def current(self) -> Basket:
        """The basket of the current request."""
        if "basket" not in g:
            g.basket = self._read(request.cookies.get(self._name, ""))
        found: Basket = g.basket
        return found

    def put(self, basket: Basket) -> None:
        """Replaces the basket.

        Raises:
            CookieTooLarge: it does not fit.
        """
        if len(self._text(basket)) > LARGEST_BASKET:
            raise CookieTooLarge
        g.basket, g.basket_changed = basket, True

    def clear(self) -> None:
        """Replaces the basket by an empty one, from which another order can be placed."""
        self.put(Basket(_new_id()))

    def save(self, response: Response) -> Response:
        """Adds a changed basket to the response."""
        if g.pop("basket_changed", False):
            response.set_cookie(
                self._name,
                self._text(self.current()),
                max_age=BASKET_SECONDS,
                secure=self._secure,
                httponly=True,
                samesite="Lax",
            )
        return response

    def _text(self, basket: Basket) -> str:
        text = self._serializer.dumps([basket.id, dict(basket.quantities)])
        return text if isinstance(text, str) else text.decode()

    def _read(self, cookie: str) -> Basket:
        try:
            basket_id, quantities = self._serializer.loads(cookie, max_age=BASKET_SECONDS)
        except (BadData, ValueError, TypeError):
            return Basket(_new_id())
        return Basket(str(basket_id), {str(sku): int(quantity) for sku, quantity in quantities.items()})


def _new_id() -> str:
    return str(uuid.uuid4())


def csrf_token() -> str:
    """The token that every form of this visitor contains."""
    if _CSRF not in session:
        session[_CSRF] = secrets.token_urlsafe(24)
    return str(session[_CSRF])


def is_forged() -> bool:
    """Whether the current request, which changes something, may come from another page."""
    given, known = request.form.get("csrf", ""), str(session.get(_CSRF, ""))
    is_ours = bool(known) and secrets.compare_digest(given.encode(), known.encode())
    return not is_ours or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"


def grant() -> Grant | None:
    """The valid sign-in of the visitor, or None."""
    found = session.get(_GRANT)
    if not isinstance(found, dict) or found["expires_at"] - MARGIN_SECONDS < time.time():
        return None
    return Grant(**{**found, "scopes": frozenset(found["scopes"]), "groups": frozenset(found["groups"])})


def required() -> Grant:
    """The valid sign-in of the visitor.

    Raises:
        SignedOut: there is none.
    """
    found = grant()
    if found is None:
        raise SignedOut
    return found


def expire() -> None:
    """Ends the sign-in, because the API no longer accepts its token. The basket and the kept address remain."""
    if _GRANT in session:
        session[_GRANT] = {**session[_GRANT], "token": "", "expires_at": 0}


def has_ended() -> bool:
    """Whether the visitor was signed in, and is not any more."""
    return _GRANT in session and grant() is None


def begin_sign_in(back_to: str, *, staff: bool) -> tuple[str, str]:
    """Remembers that the visitor goes to the sign-in pages. Returns the state and the verifier."""
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    session[_FLOW] = {"state": state, "verifier": verifier, "back_to": back_to, "staff": staff}
    return state, verifier


def flow(state: str) -> Mapping[str, Any] | None:
    """The sign-in that the visitor has begun, once; None if the state belongs to no sign-in of this browser."""
    found = session.pop(_FLOW, None)
    is_ours = found is not None and secrets.compare_digest(state.encode(), found["state"].encode())
    return found if is_ours else None


def sign_in(granted: Grant, baskets: Baskets) -> None:
    """Starts a session. Its basket contains that of the visitor, and what the customer left behind at the last sign-out."""
    draft, away = session.get(_DRAFT), session.get(_AWAY, {})
    session.clear()
    session[_GRANT] = {
        "token": granted.token,
        "subject": granted.subject,
        "name": granted.name,
        "expires_at": granted.expires_at,
        "scopes": sorted(granted.scopes),
        "groups": sorted(granted.groups),
    }
    if draft is not None:
        session[_DRAFT] = draft
    if granted.subject == away.get("subject"):
        baskets.put(baskets.current().merge(_quantities(away.get("quantities"))))


def sign_out(baskets: Baskets) -> None:
    """Ends the session. The basket is kept for this customer, and is empty for other customers."""
    left = session.get(_GRANT)
    quantities = dict(baskets.current().quantities)
    session.clear()
    if isinstance(left, dict) and quantities:
        session[_AWAY] = {"subject": left["subject"], "quantities": quantities}
    baskets.clear()


def keep_draft(address: Mapping[str, str]) -> None:
    """Keeps the address of a checkout that a sign-in interrupts, unless it is too long for the cookie."""
    if len(json.dumps(address)) <= LARGEST_DRAFT:
        session[_DRAFT] = dict(address)


def draft() -> Mapping[str, str]:
    """The kept address; empty if there is none."""
    found = session.get(_DRAFT)
    return found if isinstance(found, dict) else {}


def drop_draft() -> None:
    """Removes the kept address."""
    session.pop(_DRAFT, None)


def _quantities(given: Any) -> dict[str, int]:
    pairs = list(given.items())[:MOST_LINES] if isinstance(given, dict) else []
    return {str(sku): min(int(quantity), LARGEST_QUANTITY) for sku, quantity in pairs}
