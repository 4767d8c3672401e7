"""A visitor of the pages without a browser: follows links and sends forms as they are on the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.storefront.config import Settings
from services.storefront.pages import site
from services.storefront.ports import Switches
from tests.services.storefront.fakes import (
    CUP,
    POT,
    TEA,
    Connection,
    MemoryCatalog,
    MemoryOrders,
    MemorySignIn,
    MemoryStaff,
)

KEY = "k" * 32
ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "Main Street 1",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}


@dataclass
class Form:
    """A form: its action, and the names and values of its fields as they are sent."""

    action: str
    fields: dict[str, Any] = field(default_factory=dict)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
        if tag == "select":
            self._select = given.get("name", "")
        if tag == "option" and "selected" in given and self.found:
            self.found[-1].fields[self._select] = given.get("value", "")
        sent = tag == "input" and (given.get("type") != "radio" or "checked" in given)
        if sent and given.get("name") and self.found:
            fields = self.found[-1].fields
            known = fields.get(given["name"])
            fields[given["name"]] = (
                given.get("value", "") if known is None else [known, given.get("value", "")]
            )


class Visitor:
    """A browser without scripts.

    Args:
        app: the pages.
        language: preferred language.
    """

    def __init__(self, app: Flask, language: str = "en") -> None:
        self.client: FlaskClient = app.test_client()
        self.language = language

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers={"Accept-Language": self.language})

    def follows(self, path: str, connection: Connection, **headers: str) -> TestResponse:
        """Opens a response that stays open."""
        return self.client.get(
            path,
            headers={"Accept-Language": self.language, **headers},
            environ_overrides={"gunicorn.socket": connection},
        )

    def post(self, path: str, fields: Mapping[str, Any], **headers: str) -> TestResponse:
        return self.client.post(
            path, data=dict(fields), headers={"Accept-Language": self.language, **headers}
        )

    def form(self, page: TestResponse, action: str) -> Form:
        return next(form for form in Forms(page.text).found if form.action == action)

    def send(self, page: TestResponse, action: str, **changes: Any) -> TestResponse:
        return self.post(action, {**self.form(page, action).fields, **changes})

    def adds(self, sku: str, quantity: int = 1) -> TestResponse:
        return self.send(self.get(f"/catalog/{sku}"), "/basket/add", quantity=quantity)

    def signs_in(self, user: str, path: str = "/sign-in") -> TestResponse:
        state = parse_qs(urlsplit(self.get(path).headers["Location"]).query)["state"][0]
        return self.get(f"/callback?code={user}&state={state}")

    def orders(self, **changes: Any) -> TestResponse:
        return self.send(self.get("/checkout"), "/checkout", **{**ADDRESS, **changes})


class World:
    """The pages of a shop in memory. A demo has a fault switchboard."""

    def __init__(
        self,
        public_url: str = "http://127.0.0.1:8085",
        switches: Switches | None = None,
        *,
        whole_responses: bool = False,
    ) -> None:
        self.catalog = MemoryCatalog(TEA, CUP, POT)
        self.orders = MemoryOrders(self.catalog, {})
        self.staff = MemoryStaff(self.orders)
        self.sign_in = MemorySignIn(self.orders)
        self.settings = Settings(
            api_url="http://127.0.0.1:1",
            api_seconds=1,
            public_url=public_url,
            authorize_url="http://127.0.0.1:1/a",
            token_url="http://127.0.0.1:1/t",
            web_client_id="web",
            ops_client_id="ops",
            session_keys=KEY,
            sandbox=True,
            whole_responses=whole_responses,
            log_level="INFO",
        )
        self.app = site.create(self.settings, self.catalog, self.orders, self.staff, self.sign_in, switches)

    def visitor(self, language: str = "en") -> Visitor:
        return Visitor(self.app, language)
