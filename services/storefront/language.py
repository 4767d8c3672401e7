"""The languages of the pages: which one a visitor reads, its texts, and its forms of prices, times and names of countries.

The texts are in `translations/*.po` (GNU gettext), and are read when the process starts. English needs no file.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, get_currency_precision
from babel.support import NullTranslations, Translations
from flask import Flask, Response, g, has_request_context, request

from services.common.values.countries import CODES
from services.common.values.money import Money

FOLDER: Final = Path(__file__).parent / "translations"
NAMES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch"}
DEFAULT: Final = "en"
COOKIE: Final = "language"
YEAR_SECONDS: Final = 365 * 24 * 3600
_spoken: ContextVar[str] = ContextVar("spoken", default=DEFAULT)


def install(app: Flask, *, secure: bool) -> None:
    """Makes the language of a visitor available to all pages and templates of an application.

    Args:
        app: application.
        secure: whether its cookie requires HTTPS.
    """
    for each in NAMES:
        _texts(each)  # a defect in a file is detected at the start
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        lambda text: _texts(current()).ugettext(text),
        lambda one, many, number: _texts(current()).ungettext(one, many, number),
        newstyle=True,
    )
    app.jinja_env.globals.update(
        price=price, moment=moment, number=number, country=country, language=current, languages=NAMES
    )

    @app.after_request
    def remember(response: Response) -> Response:
        """Stores the language that a link has selected."""
        if request.args.get("language") in NAMES:
            response.set_cookie(
                COOKIE, current(), max_age=YEAR_SECONDS, secure=secure, httponly=True, samesite="Lax"
            )
        response.headers["Content-Language"] = current()
        return response


def current() -> str:
    """The language of the current request: selected by a link, selected earlier, or preferred by the browser.

    Without a request, the language is that of `spoken`.
    """
    if not has_request_context():
        return _spoken.get()
    if "language" not in g:
        wanted = (request.args.get("language"), request.cookies.get(COOKIE))
        preferred = request.accept_languages.best_match(list(NAMES), DEFAULT)
        g.language = next((each for each in wanted if each in NAMES), preferred)
    found: str = g.language
    return found


@contextmanager
def spoken(code: str) -> Iterator[None]:
    """A language for texts that belong to no request.

    Args:
        code: key of `NAMES`.
    """
    token = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(token)


def _(text: str, **values: Any) -> str:
    """A text in the language of the current request, with values in place of `%(name)s`."""
    found = _texts(current()).ugettext(text)
    return found % values if values else found


def price(money: Money) -> str:
    """An amount of money, such as €12.99."""
    digits = get_currency_precision(money.currency)
    return format_currency(Decimal(money.amount).scaleb(-digits), money.currency, locale=current())


def moment(at: datetime) -> str:
    """A time, such as Nov 30, 2026, 10:15 UTC."""
    return f"{format_datetime(at.astimezone(UTC), 'medium', locale=current())} UTC"


def number(value: int) -> str:
    """A number, such as 1,200."""
    return format_decimal(value, locale=current())


def duration(seconds: float) -> str:
    """A rough duration, such as 3 minutes."""
    return format_timedelta(timedelta(seconds=max(seconds, 1)), locale=current())


def countries() -> list[tuple[str, str]]:
    """Code and name of every country, sorted by name."""
    return _countries(current())


def country(code: str) -> str:
    """The name of a country."""
    return dict(countries()).get(code, code)


@cache
def _countries(language: str) -> list[tuple[str, str]]:
    names = Locale.parse(language).territories
    return sorted(((code, names.get(code, code)) for code in CODES), key=lambda each: each[1])


@cache
def _texts(language: str) -> NullTranslations:
    if language == DEFAULT:
        return NullTranslations()
    compiled = io.BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)
