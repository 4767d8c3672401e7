"""The sign-in with Amazon Cognito: the authorization code flow with PKCE (RFC 6749, RFC 7636), as `ports.SignIn`."""

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
import jwt
import orjson

from services.common.http import outgoing
from services.common.http.auth import SCOPE_PREFIX
from services.common.telemetry import logs
from services.common.values.errors import Unavailable
from services.storefront.ports import Grant, SignInRefused

log = logs.logger(__name__)
CUSTOMER_SCOPES = ("orders:read", "orders:write")
STAFF_SCOPES = (*CUSTOMER_SCOPES, "ops:read", "ops:write")
# With more, the cookie of the session would exceed the limit of browsers.
LONGEST_TOKEN = 2800


class CognitoSignIn:
    """The sign-in pages of a user pool.

    Args:
        authorize_url: URL of the authorization endpoint.
        token_url: URL of the token endpoint.
        callback: URL of the page that receives the code.
        home: URL of the first page of the shop, to which a sign-out leads.
        web_client: ID of the app client for customers.
        ops_client: ID of the app client for staff.
        timeout: seconds within which a response must be complete.
    """

    def __init__(
        self,
        *,
        authorize_url: str,
        token_url: str,
        callback: str,
        home: str,
        web_client: str,
        ops_client: str,
        timeout: float,
    ) -> None:
        self._authorize_url = authorize_url
        self._token_url = token_url
        self._callback = callback
        self._home = home
        self._clients = {False: web_client, True: ops_client}
        self._timeout = timeout
        self._http = outgoing.client(timeout)

    def url(self, state: str, verifier: str, *, staff: bool) -> str:
        """As `ports.SignIn.url`."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        scopes = STAFF_SCOPES if staff else CUSTOMER_SCOPES
        query = {
            "response_type": "code",
            "client_id": self._clients[staff],
            "redirect_uri": self._callback,
            "scope": " ".join(["openid", *(f"{SCOPE_PREFIX}{scope}" for scope in scopes)]),
            "state": state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._authorize_url}?{urlencode(query)}"

    def leave_url(self, *, staff: bool) -> str:
        """As `ports.SignIn.leave_url`. The logout endpoint is always at the root of the domain of the user pool."""
        query = {"client_id": self._clients[staff], "logout_uri": self._home}
        return f"{urljoin(self._authorize_url, '/logout')}?{urlencode(query)}"

    def redeem(self, code: str, verifier: str, *, staff: bool) -> Grant:
        """As `ports.SignIn.redeem`."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self._clients[staff],
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        try:
            received = outgoing.exchange(
                self._http,
                "POST",
                self._token_url,
                timeout=self._timeout,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                content=urlencode(form).encode(),
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            log.warning("user_pool_not_reached", error=repr(error))
            raise Unavailable("the sign-in does not respond") from error
        if HTTPStatus.BAD_REQUEST <= received.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SignInRefused
        if received.status != HTTPStatus.OK:
            log.warning("user_pool_failed", status=received.status)
            raise Unavailable("the sign-in does not respond")
        try:
            return _grant(str(orjson.loads(received.body)["access_token"]))
        except (KeyError, TypeError, ValueError, jwt.InvalidTokenError) as error:
            log.warning("user_pool_answer_unreadable", error=type(error).__name__)
            raise Unavailable("the sign-in does not respond as expected") from error


def _grant(token: str) -> Grant:
    """The grant of an access token. The token comes from the user pool itself, and the API verifies it at every request."""
    if len(token) > LONGEST_TOKEN:
        raise ValueError("the access token is too long")
    claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    scopes = str(claims.get("scope", "")).split()
    return Grant(
        token=token,
        subject=str(claims["sub"]),
        name=str(claims.get("username", claims["sub"])),
        expires_at=int(claims["exp"]),
        scopes=frozenset(
            scope.removeprefix(SCOPE_PREFIX) for scope in scopes if scope.startswith(SCOPE_PREFIX)
        ),
        groups=frozenset(map(str, claims.get("cognito:groups", []))),
    )
