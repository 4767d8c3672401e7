"""Who asks, and what they may: every service finds that out by itself, whatever stands in front of it.

A customer shows an access token of Amazon Cognito; a machine's request is signed (AWS Signature Version 4). The API
Gateway looks at both as well, but a request may come another way, so nothing of what it says is believed without proof.
What an operation asks for is declared once, as `security` of its OpenAPI document: `web` enforces it, and the routes of
the API Gateway are made from it.
"""

import hmac
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import jwt
from flask import Request
from pydantic import Field, SecretStr, model_validator

from services.common import sigv4, telemetry
from services.common.caller import Caller
from services.common.errors import Forbidden, Unauthorized, Unavailable
from services.common.settings import Environment

if TYPE_CHECKING:
    from typing import Self

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = telemetry.logger(__name__)

REALM = "shop"
# The identifier of Cognito's resource server: in a token, `orders:read` is `shop/orders:read`.
SCOPE_PREFIX = "shop/"
# Twice what Cognito's tokens have.
LONGEST_TOKEN = 4096
LEEWAY_SECONDS = 10
KEYS_KEPT_SECONDS = 3600.0
# A key id that nobody knows has the keys fetched again, but not by everybody who makes one up.
KEYS_SOONEST_SECONDS = 10.0
KEYS_TIMEOUT_SECONDS = 2.0
CALLER_HEADER, GATEWAY_HEADER = "X-Shop-Caller", "X-Shop-Gateway"
_TOKEN = re.compile(r"Bearer ([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII | re.IGNORECASE)
_CLAIMS = ("exp", "iat", "iss", "sub", "client_id", "token_use")

Claims = Mapping[str, Any]
Clock = Callable[[], float]


class Verifier(Protocol):
    """Finds out who sent a request."""

    def verify(self, request: Request) -> Caller:
        """Who sent it.

        Raises:
            Unauthorized: when it does not say so, or cannot prove it.
            Unavailable: when the proof cannot be looked at now.
        """


class AuthSettings(Environment):
    """What a process with an API is told about its callers."""

    service: ClassVar[str] = "the API"

    auth: Literal["required", "off"] = Field(
        "required", description="`off` lets everybody in as DEMO_CUSTOMER, for a demo on one machine"
    )
    auth_issuer: str = Field(
        "", description="`iss` of the tokens to believe: the URL of the Cognito user pool"
    )
    auth_client_ids: str = Field(
        "", description="ids of the app clients whose tokens are for this API, by comma"
    )
    auth_jwks_url: str = Field(
        "", description="where the issuer's keys are; AUTH_ISSUER's usual place by default"
    )
    demo_customer: str = Field(
        "guest", min_length=1, max_length=64, description="who everybody is with AUTH=off"
    )
    machine_keys: SecretStr = Field(
        SecretStr(""), description="`ID:SECRET,…`: access keys of machines whose signatures are verified here"
    )
    machine_api_url: str = Field(
        "", description="the URL that those machines sign, without the path of the request"
    )
    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="with which the API Gateway proves that it has verified a machine's signature",
    )

    @model_validator(mode="after")
    def _complete(self) -> "Self":
        if self.auth == "required" and not (self.auth_issuer and self.auth_client_ids):
            raise ValueError(
                "AUTH_ISSUER and AUTH_CLIENT_IDS say whose tokens are believed; only AUTH=off does without"
            )
        machines = self.machine_keys.get_secret_value()
        if machines and not self.machine_api_url:
            raise ValueError("MACHINE_KEYS needs MACHINE_API_URL: what the machines' signatures are for")
        if not all(key and secret for key, _, secret in (each.partition(":") for each in _listed(machines))):
            raise ValueError("MACHINE_KEYS is not of the form ID:SECRET,…")
        if self.auth == "required" and "demo_customer" in self.model_fields_set:
            raise ValueError("DEMO_CUSTOMER is for AUTH=off only: say that, or take it away")
        return self


def verifier() -> Verifier:
    """The verifier that this process's environment asks for.

    Raises:
        SystemExit: when the environment is not clear about it.
    """
    settings = AuthSettings.load()
    if settings.auth == "off":
        log.warning("auth_off", customer=settings.demo_customer)
        return Everybody(settings.demo_customer)
    keys = Keys(settings.auth_jwks_url or f"{settings.auth_issuer}/.well-known/jwks.json")
    customers = Customers(settings.auth_issuer, _listed(settings.auth_client_ids), keys)
    return Door(customers, Machines.of(settings))


class Everybody:
    """Lets everybody in as one customer.

    Args:
        customer: whose orders they are.
    """

    def __init__(self, customer: str) -> None:
        self._caller = Caller(customer, frozenset({"orders:read", "orders:write"}))

    def verify(self, request: Request) -> Caller:  # noqa: ARG002 - as Verifier.verify
        """As `Verifier.verify`."""
        return self._caller


class Door:
    """Customers by their tokens, machines by their signatures.

    Args:
        customers: verifies tokens.
        machines: verifies signatures.
    """

    def __init__(self, customers: "Customers", machines: "Machines") -> None:
        self._customers = customers
        self._machines = machines

    def verify(self, request: Request) -> Caller:
        """As `Verifier.verify`."""
        return self._machines.verify(request) or self._customers.verify(request)


class Customers:
    """Access tokens of a Cognito user pool (RFC 6750, RFC 7519).

    Args:
        issuer: `iss` of its tokens.
        clients: `client_id` of the app clients whose tokens are for this API. Cognito's access tokens have no `aud`.
        keys: the pool's keys.
    """

    def __init__(self, issuer: str, clients: frozenset[str], keys: "Keys") -> None:
        self._issuer = issuer
        self._clients = clients
        self._keys = keys

    def verify(self, request: Request) -> Caller:
        """As `Verifier.verify`."""
        given = request.headers.get("Authorization", "")
        if not given:
            raise _unauthorized("send an access token: Authorization: Bearer …")
        # Two headers of this name arrive as one with a comma, which no token has.
        found = _TOKEN.fullmatch(given) if len(given) <= LONGEST_TOKEN else None
        if found is None:
            raise _unauthorized("the Authorization header is not one Bearer token", "invalid_request")
        claims = self._claims(found[1])
        if claims["token_use"] != "access":  # noqa: S105 - the kind of a token
            raise _invalid("it is no access token")
        if not claims["sub"] or str(claims["client_id"]) not in self._clients:
            raise _invalid("it was issued for another application, or for nobody")
        scopes = str(claims.get("scope", "")).split()
        groups = claims.get("cognito:groups", [])
        return Caller(
            str(claims["sub"]),
            frozenset(scope.removeprefix(SCOPE_PREFIX) for scope in scopes if scope.startswith(SCOPE_PREFIX)),
            frozenset(str(group) for group in groups) if isinstance(groups, list) else frozenset(),
        )

    def _claims(self, token: str) -> Claims:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.find(kid) if isinstance(kid, str) else None
            if key is None:
                raise _invalid("nobody knows the key that it is signed with")
            claims: Claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": list(_CLAIMS), "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise _invalid("it has expired; sign in again, or use the refresh token") from None
        except jwt.PyJWTError as error:
            log.info("token_refused", reason=type(error).__name__)
            raise _invalid("it is not valid here") from None
        return claims


class Keys:
    """The public keys of an issuer (RFC 7517), fetched when one is needed that is not known yet.

    They are kept while the issuer does not answer: whoever has signed in stays signed in.

    Args:
        url: of the key set.
        fetch: answers the document at the URL.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        fetch: "Callable[[str], Mapping[str, Any]] | None" = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch or _fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fetched_at = self._tried_at = float("-inf")

    def find(self, kid: str) -> "RSAPublicKey | None":
        """The key of an id; None when the issuer has none.

        Raises:
            Unavailable: when the issuer's keys were never to be had.
        """
        key = self._keys.get(kid)
        if key is not None and self._clock() - self._fetched_at < KEYS_KEPT_SECONDS:
            return key
        # One thread fetches; the others wait only when they know no key to go on with.
        if self._lock.acquire(blocking=key is None):
            try:
                if self._clock() - self._tried_at >= KEYS_SOONEST_SECONDS:
                    self._refresh()
            finally:
                self._lock.release()
        if not self._keys:
            raise Unavailable(
                "who you are cannot be verified now; send the same request again soon",
                headers={"Retry-After": str(int(KEYS_SOONEST_SECONDS))},
            )
        return self._keys.get(kid)

    def _refresh(self) -> None:
        try:
            self._keys = _rsa_keys(self._fetch(self._url))
            self._fetched_at = self._clock()
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys that are known stay good
            log.warning("keys_not_fetched", url=self._url, error=repr(error))
        self._tried_at = self._clock()


class Machines:
    """Programs of ours, by the signature of their requests.

    On AWS the API Gateway verifies it, names the signer in a header, and proves that it was the one to do so with a
    secret. Where nobody does (an emulator), the signature is verified here, with keys that are known.

    Args:
        keys: access key id -> secret; empty on AWS.
        url: what is signed, without the path of the request: the address of the machines' API.
        gateway_secret: empty where no API Gateway verifies signatures.
        clock: seconds since 1970.
    """

    def __init__(
        self, keys: Mapping[str, str], url: str = "", gateway_secret: str = "", clock: Clock = time.time
    ) -> None:
        self._keys = keys
        self._url = url.rstrip("/")
        self._gateway_secret = gateway_secret
        self._clock = clock

    @classmethod
    def of(cls, settings: AuthSettings) -> "Self":
        """As the settings say."""
        pairs = (pair.partition(":") for pair in _listed(settings.machine_keys.get_secret_value()))
        keys = {key_id: secret for key_id, _, secret in pairs}
        return cls(keys, settings.machine_api_url, settings.gateway_secret.get_secret_value())

    def verify(self, request: Request) -> Caller | None:
        """The machine that signed a request; None when it is none that says so.

        Raises:
            Unauthorized: when the signature is not good.
        """
        shown = request.headers.get(GATEWAY_HEADER, "").encode()
        if self._gateway_secret and hmac.compare_digest(shown, self._gateway_secret.encode()):
            signer = request.headers.get(CALLER_HEADER, "")
            return Caller(signer, machine=True) if signer else None
        if not request.headers.get("Authorization", "").startswith(sigv4.ALGORITHM):
            return None
        try:
            signer = sigv4.verify(
                request.method,
                f"{self._url}{request.environ.get('RAW_URI') or request.full_path.rstrip('?')}",
                dict(request.headers),
                request.get_data(),
                keys=self._keys,
                now=self._clock(),
            )
        except sigv4.Refused as refused:
            raise _unauthorized(f"the signature is refused: {refused}") from None
        return Caller(signer, machine=True)


def _listed(text: str) -> frozenset[str]:
    return frozenset(each.strip() for each in text.split(",") if each.strip())


def insufficient(scopes: "list[str]") -> Forbidden:
    """The error for a caller whose token is not good for the scopes that an operation needs."""
    needed = " ".join(f"{SCOPE_PREFIX}{scope}" for scope in scopes)
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{needed}"'
    return Forbidden(
        f"the access token lacks the scope {needed}; sign in again and ask for it",
        headers={"WWW-Authenticate": challenge},
    )


def _unauthorized(detail: str, error: str = "") -> Unauthorized:
    challenge = f'Bearer realm="{REALM}"' + (
        f', error="{error}", error_description="{detail}"' if error else ""
    )
    return Unauthorized(detail, headers={"WWW-Authenticate": challenge})


def _invalid(why: str) -> Unauthorized:
    return _unauthorized(f"the access token is refused: {why}", "invalid_token")


def _fetch(url: str) -> Mapping[str, Any]:
    import httpx  # noqa: PLC0415 - a function of AWS Lambda that only lists products does without

    answer = httpx.get(url, timeout=KEYS_TIMEOUT_SECONDS).raise_for_status()
    found: Mapping[str, Any] = answer.json()
    return found


def _rsa_keys(document: Mapping[str, Any]) -> "Mapping[str, RSAPublicKey]":
    """Key id -> public key, of those that may sign.

    Raises:
        Exception: when the document is no key set.
    """
    found = {
        str(each["kid"]): jwt.PyJWK(each, "RS256").key
        for each in document["keys"]
        if each.get("kty") == "RSA" and each.get("use", "sig") == "sig"
    }
    if not found:
        raise ValueError("the key set has no key that signs")
    return found
