"""Who asks, and what they may: every service finds that out by itself, whatever stands in front of it.

A customer shows an access token of Amazon Cognito; a machine's request is signed (AWS Signature Version 4); a partner's key
is verified by the API Gateway. The API Gateway verifies all of them, but a request may reach a service by another way, so
nothing of what it says is believed without proof.
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

from services.common.http import sigv4
from services.common.http.errors import Forbidden, Unauthorized
from services.common.http.rates import Rates
from services.common.runtime import telemetry
from services.common.runtime.settings import Environment
from services.common.values.caller import Caller
from services.common.values.errors import ServiceError, Unavailable

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
PARTNER_HEADER, SCOPES_HEADER = "X-Shop-Partner", "X-Shop-Scopes"
# Before a partner's name, in the customer id of its orders: no id of Cognito begins so.
PARTNER_PREFIX = "partner:"
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
            Unavailable: when the proof cannot be verified at the moment.
        """


class AuthSettings(Environment):
    """What a process with an API is told about its callers."""

    service: ClassVar[str] = "the API"

    auth: Literal["required", "off"] = Field(
        "required",
        description="`off` authenticates every request as DEMO_CUSTOMER, for a demo on one machine",
    )
    auth_issuer: str = Field("", description="`iss` of accepted tokens: the URL of the Cognito user pool")
    auth_client_ids: str = Field(
        "", description="IDs of the app clients whose tokens are accepted, comma-separated"
    )
    auth_jwks_url: str = Field(
        "", description="URL of the issuer's keys; defaults to the standard location below AUTH_ISSUER"
    )
    demo_customer: str = Field(
        "guest", min_length=1, max_length=64, description="customer of every request with AUTH=off"
    )
    machine_keys: SecretStr = Field(
        SecretStr(""), description="`ID:SECRET,…`: access keys of machines whose signatures are verified here"
    )
    machine_api_url: str = Field(
        "", description="URL that those machines sign, without the path of the request"
    )
    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="secret by which the API Gateway proves that it has verified the signature of a machine",
    )

    caller_rate: float = Field(
        50.0, gt=0, description="sustained requests per second of each caller to this process"
    )
    caller_burst: int = Field(
        200, ge=1, description="requests of each caller that may exceed the rate in a burst"
    )

    @model_validator(mode="after")
    def _complete(self) -> "Self":
        if self.auth == "required" and not (self.auth_issuer and self.auth_client_ids):
            raise ValueError("AUTH_ISSUER and AUTH_CLIENT_IDS are required unless AUTH=off")
        machines = self.machine_keys.get_secret_value()
        if machines and not self.machine_api_url:
            raise ValueError("MACHINE_KEYS requires MACHINE_API_URL, the URL that the signatures are for")
        if not all(key and secret for key, _, secret in (each.partition(":") for each in _listed(machines))):
            raise ValueError("MACHINE_KEYS is not of the form ID:SECRET,…")
        if self.auth == "required" and "demo_customer" in self.model_fields_set:
            raise ValueError("DEMO_CUSTOMER requires AUTH=off; set AUTH=off, or remove DEMO_CUSTOMER")
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
    partners = Partners(settings.gateway_secret.get_secret_value())
    rates = Rates(settings.caller_rate, settings.caller_burst)
    return Door(customers, Machines.of(settings), partners, rates)


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
    """Customers by their tokens, machines by their signatures, partners by what the API Gateway asserts.

    Args:
        customers: verifies tokens.
        machines: verifies signatures.
        partners: verifies that the API Gateway asserts it.
        rates: the limit of requests per caller; None for no limit.
    """

    def __init__(
        self,
        customers: "Customers",
        machines: "Machines",
        partners: "Partners",
        rates: Rates | None = None,
    ) -> None:
        self._customers = customers
        self._machines = machines
        self._partners = partners
        self._rates = rates

    def verify(self, request: Request) -> Caller:
        """As `Verifier.verify`.

        Raises:
            TooManyRequests: when the caller exceeds its rate.
        """
        caller = (
            self._partners.verify(request)
            or self._machines.verify(request)
            or self._customers.verify(request)
        )
        if self._rates is not None:
            self._rates.take(caller.subject)
        return caller


class Partners:
    """Partners' programs. The API Gateway's authorizer verifies their keys, see `services.partners`.

    Args:
        gateway_secret: with which the API Gateway proves that an assertion is its own; empty without a gateway.
    """

    def __init__(self, gateway_secret: str = "") -> None:
        self._gateway_secret = gateway_secret

    def verify(self, request: Request) -> Caller | None:
        """The partner that sent a request; None when the API Gateway does not assert one.

        Raises:
            Unauthorized: when a machine is asserted as well.
        """
        partner = request.headers.get(PARTNER_HEADER, "")
        if not partner or not _is_gateway(request, self._gateway_secret):
            return None
        if request.headers.get(CALLER_HEADER):
            raise _unauthorized("the request names both a partner and a machine as its caller")
        scopes = frozenset(request.headers.get(SCOPES_HEADER, "").split())
        return Caller(f"{PARTNER_PREFIX}{partner}", scopes)


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
            raise _unauthorized(
                "the Authorization header must contain exactly one Bearer token", "invalid_request"
            )
        claims = self._claims(found[1])
        if claims["token_use"] != "access":  # noqa: S105 - the kind of a token
            raise _invalid("it is not an access token")
        if not claims["sub"] or str(claims["client_id"]) not in self._clients:
            raise _invalid("it was not issued for this application")
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
                raise _invalid("its signing key is unknown")  # noqa: TRY301 - passes through below
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
        except ServiceError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a parser meets in what a client sent is the client's fault
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
                "authentication is temporarily unavailable; retry the same request",
                retry_after=int(KEYS_SOONEST_SECONDS),
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
        if _is_gateway(request, self._gateway_secret):
            signer = request.headers.get(CALLER_HEADER, "")
            return Caller(signer, machine=True) if signer else None
        # Without keys no signature can be verified: the request is then refused as one without a token.
        if not self._keys or not request.headers.get("Authorization", "").startswith(sigv4.ALGORITHM):
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
            raise _unauthorized(f"the signature is rejected: {refused}") from None
        return Caller(signer, machine=True)


def proof(request: Request, caller: Caller) -> dict[str, str]:
    """The headers of a request that prove to another service who its caller is. A signature does so to one service only."""
    asserted = (PARTNER_HEADER, SCOPES_HEADER, GATEWAY_HEADER)
    names = asserted if caller.subject.startswith(PARTNER_PREFIX) else ("Authorization",)
    return {name: request.headers[name] for name in names if name in request.headers}


def _is_gateway(request: Request, secret: str) -> bool:
    shown = request.headers.get(GATEWAY_HEADER, "").encode()
    return bool(secret) and hmac.compare_digest(shown, secret.encode())


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
    return _unauthorized(f"the access token is rejected: {why}", "invalid_token")


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
