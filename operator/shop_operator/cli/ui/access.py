"""Only the browser of the user who ran the command can read the pages.

The page listens on the loopback interface, where every user and every web page of this machine can send requests to it. A request is
answered if its Host header is this address, so that no other name can be pointed at it (DNS rebinding); if another page did not
cause it; and if it has the cookie that was set in exchange for the token of the printed URL. The token works once.
"""

import secrets
import threading
from http import HTTPStatus
from typing import Final

from flask import Response, request

LOCAL: Final = "127.0.0.1"
_HTTP_PORT: Final = 80
_OWN: Final = frozenset({"same-origin", "none"})
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NEW_LINK: Final = (
    "Open the link that `kubectl shop ui` printed. It works once; run the command again to get a new one.\n"
)


class Access:
    """The token and the cookie of one run of the command.

    Args:
        port: port on which the page listens.
    """

    def __init__(self, port: int) -> None:
        # Browsers leave out the default port.
        at = "" if port == _HTTP_PORT else f":{port}"
        self.url = f"http://{LOCAL}{at}"
        self._hosts = {f"{LOCAL}{at}", f"localhost{at}"}
        # Cookies do not depend on the port, so the name does.
        self._cookie = f"kubectl-shop-ui-{port}"
        self._session = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def link(self) -> str:
        """The URL with the token."""
        return f"{self.url}/?token={self._token}"

    def check(self) -> Response | None:
        """The response to a request that is refused, or that exchanges the token for the cookie; None for any other."""
        if request.host not in self._hosts:
            return _refused("The Host header is not the address of this page.\n")
        origins = {f"http://{each}" for each in self._hosts}
        if request.headers.get("Origin", self.url) not in origins:
            return _refused("Other pages may not read this page.\n")
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN:
            return _refused("Other pages may not link to this page.\n")
        signed_in = secrets.compare_digest(
            request.cookies.get(self._cookie, "").encode(), self._session.encode()
        )
        if request.path == "/" and "token" in request.args:
            return self._exchange(request.args["token"], signed_in=signed_in)
        return None if signed_in else _refused(_NEW_LINK)

    def _exchange(self, token: str, *, signed_in: bool) -> Response:
        """Set the cookie, and remove the token from the address bar."""
        with self._lock:
            valid = self._token is not None and secrets.compare_digest(token.encode(), self._token.encode())
            if valid:
                self._token = None
        if not valid and not signed_in:
            return _refused(_NEW_LINK)
        answer = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        if valid:
            answer.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict")
        return answer


def protected(answer: Response) -> Response:
    """The response with the headers that keep other pages and other content out."""
    answer.headers.update(_HEADERS)
    return answer


def _refused(why: str) -> Response:
    return Response(why, HTTPStatus.FORBIDDEN, mimetype="text/plain")
