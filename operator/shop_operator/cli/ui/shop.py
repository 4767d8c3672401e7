"""The public API of the shop, with the token of its operator."""

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from shop_operator.cli.errors import CliError, NotAllowed, NotThere
from shop_operator.cli.ui import documents
from shop_operator.cli.ui.documents import checked
from shop_operator.cli.ui.requests import Api, segment
from shop_operator.cli.ui.views.money import Stock, in_all, stock
from shop_operator.cli.ui.views.saga import Records

Document = Mapping[str, Any]
Answer = TypeVar("Answer")

TOKEN_VARIABLE: Final = "SHOP_TOKEN"  # noqa: S105  the name of a variable
_COMMAND_SECONDS: Final = 60
_AT_ONCE: Final = 8
_NAME: Final = "the API of the shop"
PAGE: Final = 50
"""Products of one page."""


class Token:
    """An access token, from a command or from the environment.

    Args:
        command: prints a token; empty for the variable SHOP_TOKEN.
    """

    def __init__(self, command: str = "") -> None:
        self._command = shlex.split(command)
        self._known: str | None = None
        self._lock = threading.Lock()

    @property
    def is_given(self) -> bool:
        """Whether there is a token at all."""
        return bool(self._command or _from_environment())

    def get(self, expired: str | None = None) -> str | None:
        """The token; None if none is given.

        Args:
            expired: the token that is no longer valid.

        Raises:
            NotAllowed: the command failed.
        """
        with self._lock:
            if not self._command:
                return _from_environment()
            if self._known is None or self._known == expired:
                self._known = self._printed()
            return self._known

    def _printed(self) -> str:
        try:
            done = subprocess.run(
                self._command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotAllowed(
                f"--token-command: {self._command[0]} did not run ({type(error).__name__})"
            ) from error
        lines = done.stdout.split()
        if done.returncode or len(lines) != 1:
            said = done.stderr.strip().splitlines()
            raise NotAllowed(
                f"--token-command: {self._command[0]} exited with {done.returncode}"
                f" and printed {len(lines)} words instead of one token ({said[-1] if said else 'no error'})"
            )
        return lines[0]


def _from_environment() -> str | None:
    """The token of the variable, without the end of the line that a file may have; None if it is not set."""
    return os.environ.get(TOKEN_VARIABLE, "").strip() or None


class Shop:
    """The API of the shop.

    Args:
        url: its URL.
        token: the token for the resources that require one.
    """

    def __init__(self, url: str, token: Token) -> None:
        self._api = Api(url, _NAME)
        self.token = token
        self._start: dict[str, int] = {}

    def order(self, order_id: str) -> Records:
        """An order with its payment and its shipment.

        Raises:
            NotThere: it does not exist, or the token does not permit to see it.
            CliError: for every other problem.
        """
        found = self._get(f"/orders/{segment(order_id)}/details")
        details = checked(documents.Details, found, _NAME)
        return Records(
            details["order"],
            details["payment"],
            details["shipment"],
            {each["part"]: each["reason"] for each in details["missing"]},
        )

    def orders(self, ids: Iterable[str]) -> dict[str, Records | CliError]:
        """Several orders, each with the reason if it could not be loaded."""
        return _each(self.order, ids)

    def own_orders(self) -> list[str]:
        """The IDs of the newest orders of the token's user, newest first."""
        found = checked(documents.Orders, self._get("/orders", {"limit": "20"}), _NAME)
        return [each["id"] for each in found["items"]]

    def stock(self, cursor: str) -> tuple[list[Stock], str, list[CliError]]:
        """The stock of a page of products, the cursor of the next page, and what could not be loaded.

        Args:
            cursor: empty for the first page.
        """
        query = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        page = checked(documents.Products, self._api.get("/products", query), _NAME)
        products: list[Document] = page["items"]
        found = _each(self._inventory, (each["sku"] for each in products))
        known = {sku: each for sku, each in found.items() if not isinstance(each, CliError)}
        for sku, each in known.items():
            self._start.setdefault(sku, in_all(each))
        failed = [
            each for each in found.values() if isinstance(each, CliError) and not isinstance(each, NotThere)
        ]
        return stock(products, known, self._start), page["next"] or "", failed

    def _inventory(self, sku: str) -> Document:
        return checked(documents.Inventory, self._api.get(f"/inventory/{segment(sku)}"), _NAME)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        token = self.token.get()
        try:
            return self._api.get(path, query, token)
        except NotAllowed as error:
            again = self.token.get(expired=token)
            if type(error) is not NotAllowed or again == token:
                raise
            return self._api.get(path, query, again)


def _each(get: Callable[[str], Answer], keys: Iterable[str]) -> dict[str, Answer | CliError]:
    """The answers by key, or the error instead."""

    def tried(key: str) -> Answer | CliError:
        try:
            return get(key)
        except CliError as error:
            return error

    given = list(keys)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(given, pool.map(tried, given), strict=True))
