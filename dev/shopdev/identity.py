"""Sign-in with Cognito for an access token: the authorization code flow with PKCE (RFC 6749, RFC 7636).

In the emulator, this module fills in the sign-in pages for its users over HTTP. On AWS, the user signs in with a browser, which is
redirected to a port of this machine (RFC 8252).
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

from shopdev.clients import Clients
from shopdev.console import CommandError

# User of the emulator -> its groups. Any client of the emulator may use each of them.
USERS: Mapping[str, Sequence[str]] = {"alice": (), "bob": (), "ops": ("ops",)}
PASSWORD = "Only-for-the-emulator-1"  # noqa: S105 - as it says
SCOPE_PREFIX = "shop/"
CUSTOMER_SCOPES = ("orders:read", "orders:write")
OPERATOR_SCOPES = ("ops:read", "ops:write")
CALLBACK = "http://localhost:8976/callback"
PATIENCE_SECONDS = 300

Tell = Callable[[str], object]


class SignInError(CommandError):
    """The sign-in failed; the message is one line and says what to do next."""


@dataclass(frozen=True)
class SignIn:
    """A sign-in, from its first page to the token.

    Args:
        authorize_url: URL of the first page.
        token_url: URL that exchanges a code for a token.
        client_id: id of the app client.
        scopes: scopes of the token, such as "orders:read".
    """

    authorize_url: str
    token_url: str
    client_id: str
    scopes: Sequence[str]
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def url(self) -> str:
        """The URL to open in a browser."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": " ".join(["openid", *(f"{SCOPE_PREFIX}{scope}" for scope in self.scopes)]),
            "state": self.state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.authorize_url}?{urlencode(query)}"

    def redeem(self, callback: str) -> str:
        """The access token for the code in the redirect of the browser.

        Raises:
            SignInError: when the redirect has no code, or belongs to another sign-in.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
        if "error" in query:
            raise SignInError(
                f"Cognito refused the sign-in: {query.get('error_description', query['error'])}"
            )
        if not secrets.compare_digest(query.get("state", ""), self.state) or "code" not in query:
            raise SignInError("the response belongs to another sign-in; try again")
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": query["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        }
        answer = httpx.post(self.token_url, data=form, timeout=10)
        if answer.status_code != HTTPStatus.OK:
            raise SignInError(f"Cognito returned no token: {answer.text}")
        found: str = answer.json()["access_token"]
        return found


def seed(clients: Clients, identity: Mapping[str, str]) -> None:
    """Create the users of the emulator, unless they exist.

    Args:
        clients: clients of the emulator.
        identity: outputs of the identity stack.
    """
    cognito, pool = clients.cognito, identity["UserPoolId"]
    for user, groups in USERS.items():
        try:
            cognito.admin_create_user(UserPoolId=pool, Username=user, MessageAction="SUPPRESS")
        except cognito.exceptions.UsernameExistsException:
            continue
        cognito.admin_set_user_password(UserPoolId=pool, Username=user, Password=PASSWORD, Permanent=True)
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=user, GroupName=group)


def token(
    identity: Mapping[str, str],
    endpoint: str,
    user: str = "alice",
    scopes: Iterable[str] = CUSTOMER_SCOPES,
) -> str:
    """An access token of a user of the emulator.

    Args:
        identity: outputs of the identity stack.
        endpoint: address of the emulator.
        user: alice, bob or ops.
        scopes: scopes of the token.

    Raises:
        SignInError: for an unknown user or scope, or when the emulator refuses the sign-in.
    """
    if user not in USERS:
        raise SignInError(f"unknown user {user}; known users: {', '.join(USERS)}")
    client_id = client_for(scopes, identity["WebClientId"], identity["OpsClientId"])
    sign_in = SignIn(f"{endpoint}/oauth2/authorize", f"{endpoint}/oauth2/token", client_id, tuple(scopes))
    try:
        with httpx.Client(timeout=10) as browser:
            page = browser.get(sign_in.url)
            form = _Form.read(page.text)
            fields = {**form.fields, "username": user, "password": PASSWORD}
            answer = browser.post(urljoin(str(page.url), form.action), data=fields)
    except httpx.TransportError as error:
        raise SignInError(
            f"{endpoint} does not respond: check that the emulator is running ({error})"
        ) from error
    if answer.status_code != HTTPStatus.FOUND:
        raise SignInError(
            f"the emulator cannot sign in {user}: {page.text[:200] if form.empty else 'see its log'}"
        )
    return sign_in.redeem(answer.headers["Location"])


def token_by_browser(
    identity: Mapping[str, str],
    scopes: Iterable[str] = CUSTOMER_SCOPES,
    *,
    tell: Tell,
    patience: float = PATIENCE_SECONDS,
) -> str:
    """An access token of the user who signs in with a browser.

    Args:
        identity: outputs of the identity stack.
        scopes: scopes of the token.
        tell: gets the line with the address to open.
        patience: seconds to wait for the redirect of the browser.

    Raises:
        SignInError: when the user does not sign in in time, or the port is taken.
    """
    client_id = client_for(scopes, identity["WebClientId"], identity["OpsClientId"])
    sign_in = SignIn(identity["AuthorizeUrl"], identity["TokenUrl"], client_id, tuple(scopes))
    arrived: list[str] = []

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Receive the redirect."""
            if urlsplit(self.path).path == urlsplit(CALLBACK).path:
                arrived.append(self.path)
            self.send_response(HTTPStatus.OK if arrived else HTTPStatus.NOT_FOUND)
            self.end_headers()
            self.wfile.write(b"Signed in. Close this page and return to the terminal.\n" if arrived else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Log nothing: the URL contains the code."""

    port = urlsplit(CALLBACK).port or 0
    try:
        server = HTTPServer(("127.0.0.1", port), Callback)
    except OSError as error:
        raise SignInError(
            f"port {port} of this machine is not available ({error.strerror}); free it and try again"
        ) from error
    with server:
        server.timeout = patience
        server.handle_timeout = lambda: arrived.append("")  # type: ignore[method-assign]  # socketserver calls it by name
        tell(f"Sign in at {sign_in.url}")
        while not arrived:
            server.handle_request()
    if not arrived[0]:
        raise SignInError(f"no sign-in within {patience:.0f} s; try again")
    return sign_in.redeem(arrived[0])


def client_for(scopes: Iterable[str], web: str, ops: str) -> str:
    """The app client that may request the scopes.

    Raises:
        SignInError: for an unknown scope.
    """
    wanted = set(scopes)
    if unknown := wanted - {*CUSTOMER_SCOPES, *OPERATOR_SCOPES}:
        raise SignInError(
            f"unknown scope {', '.join(sorted(unknown))}; known scopes: {', '.join((*CUSTOMER_SCOPES, *OPERATOR_SCOPES))}"
        )
    return ops if wanted & set(OPERATOR_SCOPES) else web


class _Form(HTMLParser):
    """The first form of a page: its action and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.empty = True

    @classmethod
    def read(cls, page: str) -> "_Form":
        form = cls()
        form.feed(page)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and self.empty:
            self.action, self.empty = given.get("action") or "", False
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""
