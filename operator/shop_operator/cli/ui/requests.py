"""GET requests for small JSON documents: bounded in time and size, and never redirected."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import click
import urllib3

from shop_operator.cli.bodies import bounded
from shop_operator.cli.errors import Forbidden, NotAllowed, NotReachable, NotThere, NotValid

SECONDS: Final = 5.0
LARGEST: Final = 8
"""MiB of the largest response."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Api:
    """The resources below a URL.

    Args:
        url: the URL.
        name: the name of the API in error messages.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url.rstrip("/")
        self._name = name
        timeout = urllib3.Timeout(connect=SECONDS, read=SECONDS)
        self._http = urllib3.PoolManager(retries=False, timeout=timeout, maxsize=8)

    def get(self, path: str, query: Mapping[str, str] | None = None, token: str | None = None) -> Any:
        """The JSON of a resource.

        Raises:
            NotAllowed: the token is missing, has expired, or is not one.
            Forbidden: the token does not permit this.
            NotThere: the resource does not exist.
            NotReachable: the API does not respond, or does not respond with a JSON document of at most LARGEST MiB.
        """
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._http.request("GET", url, headers=headers, redirect=False, preload_content=False)
            body = bounded(answer, LARGEST, f"{self._name} at {self._url}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NotReachable(f"{self._name} at {self._url} does not respond") from error
        except ValueError:
            # Raised for the header of the token, with a text that contains it.
            raise NotAllowed("the token contains a character that a header cannot contain") from None
        _check(answer.status, f"{self._name} at {self._url}", path)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise NotReachable(
                f"{self._name} at {self._url} did not return a JSON document for {path}"
            ) from error


def segment(name: str) -> str:
    """A name as one segment of a path.

    Raises:
        NotThere: it is `.` or `..`, which clients and proxies resolve before they send a request.
    """
    if name in {"", ".", ".."}:
        raise NotThere(f"{name!r} is not an ID")
    return quote(name, safe="")


def _check(status: int, name: str, path: str) -> None:
    if status == HTTPStatus.UNAUTHORIZED:
        raise NotAllowed(f"{name} requires a valid token for {path}")
    if status == HTTPStatus.FORBIDDEN:
        raise Forbidden(f"{name} does not permit {path} with this token; it needs the scope ops:read")
    if status == HTTPStatus.NOT_FOUND:
        raise NotThere(f"{name} has no {path}")
    if status == HTTPStatus.BAD_REQUEST:
        raise NotValid(f"{name} rejects {path}")
    if status != HTTPStatus.OK:
        raise NotReachable(f"{name} responds with {status} for {path}")


def checked(url: str, *, secret: bool) -> str:
    """The URL, if requests can be sent to it.

    Args:
        url: the URL.
        secret: whether the requests contain a token, which may pass through a network only with TLS.

    Raises:
        BadParameter: it is not an HTTP URL, or not HTTPS although it must be.
    """
    split = urlsplit(url)
    if split.scheme not in {"http", "https"} or not split.hostname or split.query or split.fragment:
        raise click.BadParameter(f"{url!r} is not a URL such as https://shop.example.com")
    if secret and split.scheme != "https" and split.hostname not in _LOOPBACK:
        raise click.BadParameter(
            f"{url} would receive the token without encryption; use https, or forward a local port"
        )
    return url
