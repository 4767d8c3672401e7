"""Authentication and authorization. Every service authenticates its callers, even behind the API Gateway.

Customers send an access token of Amazon Cognito, machines sign their requests (AWS Signature Version 4), and the API Gateway
verifies the keys of partners. The API Gateway verifies tokens and signatures as well, but a request may reach a service by
another path, so a service trusts no assertion without proof.
Each operation declares its requirements once, as `security` in the OpenAPI document: `web` enforces them, and the routes of
the API Gateway are generated from them.
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
from services.common.runtime.settings import Environment
from services.common.telemetry import logs
from services.common.values.caller import Caller
from services.common.values.errors import ServiceError, Unavailable

if TYPE_CHECKING:
    from typing import Self

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logs.logger(__name__)

REALM = "shop"
# Identifier of the resource server in Cognito: in a token, the scope `orders:read` is `shop/orders:read`.
SCOPE_PREFIX = "shop/"
# Twice the length of Cognito's tokens.
LONGEST_TOKEN = 4096
LEEWAY_SECONDS = 10
KEYS_KEPT_SECONDS = 3600.0
# An unknown key ID triggers a fetch of the keys, but at most one in this time, so that made-up IDs cause no load.
KEYS_SOONEST_SECONDS = 10.0
KEYS_TIMEOUT_SECONDS = 2.0
CALLER_HEADER, GATEWAY_HEADER = "X-Shop-Caller", "X-Shop-Gateway"
PARTNER_HEADER, SCOPES_HEADER = "X-Shop-Partner", "X-Shop-Scopes"
# Prefix of a partner's name in the customer ID of its orders. No ID of Cognito has this prefix.
PARTNER_PREFIX = "partner:"
_TOKEN = re.compile(r"Bearer ([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII | re.IGNORECASE)
_CLAIMS = ("exp", "iat", "iss", "sub", "client_id", "token_use")

Claims = Mapping[str, Any]
Clock = Callable[[], float]


class Verifier(Protocol):
    """Authenticates requests."""

    def verify(self, request: Request) -> Caller:
        """The sender of a request.

        Raises:
            Unauthorized: the request has no valid credentials.
            Unavailable: the credentials cannot be verified at the moment.
        """


class AuthSettings(Environment):
    """The settings of authentication, for a process with an API."""

    service: ClassVar[str] = "the API"

    auth: Literal["required", "off"] = Field(
        "required",
        description="`required`, or `off` to authenticate every request as DEMO_CUSTOMER in a local demo",
    )
    auth_issuer: str = Field(
        "", description="issuer (`iss`) of accepted tokens: the URL of the Cognito user pool"
    )
    auth_client_ids: str = Field(
        "", description="IDs of the app clients whose tokens are accepted, comma-separated"
    )
    auth_jwks_url: str = Field(
        "", description="URL of the issuer's keys; defaults to AUTH_ISSUER/.well-known/jwks.json"
    )
    demo_customer: str = Field(
        "guest", min_length=1, max_length=64, description="ID of the customer of every request with AUTH=off"
    )
    machine_keys: SecretStr = Field(
        SecretStr(""),
        description="access keys of machines whose signatures the service itself verifies: `ID:SECRET,…`",
    )
    machine_api_url: str = Field(
        "", description="base URL that machines with MACHINE_KEYS use in their signatures"
    )
    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="secret with which the API Gateway proves that it has verified the signature of a machine",
    )
    caller_rate: float = Field(
        50.0, gt=0, description="sustained requests per second that each caller may send to this process"
    )
    caller_burst: int = Field(
        200, ge=1, description="requests that each caller may send in a burst above the rate"
    )

    @model_validator(mode="after")
    def _complete(self) -> "Self":
        if self.auth == "required" and not (self.auth_issuer and self.auth_client_ids):
            raise ValueError("AUTH_ISSUER and AUTH_CLIENT_IDS are required unless AUTH=off")
        machines = self.machine_keys.get_secret_value()
        if machines and not self.machine_api_url:
            raise ValueError("MACHINE_KEYS requires MACHINE_API_URL, the base URL in the signatures")
        if not all(key and secret for key, _, secret in (each.partition(":") for each in _listed(machines))):
            raise ValueError("MACHINE_KEYS must have the form ID:SECRET,…")
        if self.auth == "required" and "demo_customer" in self.model_fields_set:
            raise ValueError("DEMO_CUSTOMER requires AUTH=off; set AUTH=off, or remove DEMO_CUSTOMER")
        return self


def verifier() -> Verifier:
    """The verifier that the settings of this process select.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    settings = AuthSettings.load()
    if settings.auth == "off":
        log.warning("auth_off", customer=settings.demo_customer)
        return SingleCustomer(settings.demo_customer)
    keys = Keys(settings.auth_jwks_url or f"{settings.auth_issuer}/.well-known/jwks.json")
    customers = Customers(settings.auth_issuer, _listed(settings.auth_client_ids), keys)
    partners = Partners(settings.gateway_secret.get_secret_value())
    rates = Rates(settings.caller_rate, settings.caller_burst)
    return Authenticator(customers, Machines.of(settings), partners, rates)


class SingleCustomer:
    """Authenticates every request as one customer.

    Args:
        customer: ID of the customer.
    """

    def __init__(self, customer: str) -> None:
        self._caller = Caller(customer, frozenset({"orders:read", "orders:write"}))

    def verify(self, request: Request) -> Caller:  # noqa: ARG002 - as Verifier.verify
        """As `Verifier.verify`."""
        return self._caller


class Authenticator:
    """Authenticates customers by token, machines by signature, and partners by the assertion of the API Gateway.

    Args:
        customers: verifies tokens.
        machines: verifies signatures.
        partners: verifies assertions of the API Gateway.
        rates: rate limit per caller; None for no limit.
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
            TooManyRequests: the caller exceeds its rate.
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
    """Authenticates partners. The authorizer of the API Gateway verifies their keys, see `services.partners`.

    Args:
        gateway_secret: secret that proves the origin of an assertion of the API Gateway; empty without a gateway.
    """

    def __init__(self, gateway_secret: str = "") -> None:
        self._gateway_secret = gateway_secret

    def verify(self, request: Request) -> Caller | None:
        """The partner that sent a request, or None if the API Gateway asserts no partner.

        Raises:
            Unauthorized: the request also asserts a machine.
        """
        partner = request.headers.get(PARTNER_HEADER, "")
        if not partner or not _is_gateway(request, self._gateway_secret):
            return None
        if request.headers.get(CALLER_HEADER):
            raise _unauthorized("the request names both a partner and a machine as its caller")
        scopes = frozenset(request.headers.get(SCOPES_HEADER, "").split())
        return Caller(f"{PARTNER_PREFIX}{partner}", scopes)


class Customers:
    """Authenticates customers by access tokens of a Cognito user pool (RFC 6750, RFC 7519).

    Args:
        issuer: `iss` of accepted tokens.
        clients: IDs of the app clients whose tokens are accepted. Cognito's access tokens have no `aud`.
        keys: public keys of the user pool.
    """

    def __init__(self, issuer: str, clients: frozenset[str], keys: "Keys") -> None:
        self._issuer = issuer
        self._clients = clients
        self._keys = keys

    def verify(self, request: Request) -> Caller:
        """As `Verifier.verify`."""
        given = request.headers.get("Authorization", "")
        if not given:
            raise _unauthorized("send an access token in the header Authorization: Bearer …")
        # Two Authorization headers arrive as one value with a comma, which no token contains.
        found = _TOKEN.fullmatch(given) if len(given) <= LONGEST_TOKEN else None
        if found is None:
            raise _unauthorized(
                "the Authorization header must contain exactly one Bearer token", "invalid_request"
            )
        claims = self._claims(found[1])
        if claims["token_use"] != "access":  # noqa: S105 - the kind of a token
            raise _invalid("it is not an access token; send the access token instead of the ID token")
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
        except Exception as error:  # noqa: BLE001 - any error in parsing a token is the client's
            log.info("token_refused", reason=type(error).__name__)
            raise _invalid("its signature or a claim is invalid") from None
        return claims


class Keys:
    """The public keys of an issuer (RFC 7517), fetched when an unknown key is needed.

    The keys stay in use while the issuer is unavailable, so that issued tokens remain valid.

    Args:
        url: URL of the key set.
        fetch: returns the document at a URL.
        clock: monotonic clock, in seconds.
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
        """The key with an ID, or None if the issuer has none.

        Raises:
            Unavailable: the keys could never be fetched.
        """
        key = self._keys.get(kid)
        if key is not None and self._clock() - self._fetched_at < KEYS_KEPT_SECONDS:
            return key
        # One thread fetches. The others wait only if they have no key to continue with.
        if self._lock.acquire(blocking=key is None):
            try:
                if self._clock() - self._tried_at >= KEYS_SOONEST_SECONDS:
                    self._refresh()
            finally:
                self._lock.release()
        if not self._keys:
            raise Unavailable(
                "authentication is temporarily unavailable; retry the request",
                retry_after=int(KEYS_SOONEST_SECONDS),
            )
        return self._keys.get(kid)

    def _refresh(self) -> None:
        try:
            self._keys = _rsa_keys(self._fetch(self._url))
            self._fetched_at = self._clock()
        except Exception as error:  # noqa: BLE001 - the known keys stay in use, whatever the error
            log.warning("keys_not_fetched", url=self._url, error=repr(error))
        self._tried_at = self._clock()


class Machines:
    """Authenticates machines by the signatures of their requests.

    On AWS, the API Gateway verifies the signature, names the signer in a header, and proves the origin of the header with a
    secret. With an emulator, the service verifies the signature itself, with the configured keys.

    Args:
        keys: access key ID -> secret; empty on AWS.
        url: base URL in the signatures: the address of the API for machines.
        gateway_secret: secret of the API Gateway; empty if no API Gateway verifies signatures.
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
        """Builds the verifier from the settings."""
        pairs = (pair.partition(":") for pair in _listed(settings.machine_keys.get_secret_value()))
        keys = {key_id: secret for key_id, _, secret in pairs}
        return cls(keys, settings.machine_api_url, settings.gateway_secret.get_secret_value())

    def verify(self, request: Request) -> Caller | None:
        """The machine that signed a request, or None if the request is not signed.

        Raises:
            Unauthorized: the signature is invalid.
        """
        if _is_gateway(request, self._gateway_secret):
            signer = request.headers.get(CALLER_HEADER, "")
            return Caller(signer, machine=True) if signer else None
        # Without keys, a signed request is rejected as a request without a token.
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
    """The headers that authenticate the caller of a request at another service. A signature is valid at one service only."""
    asserted = (PARTNER_HEADER, SCOPES_HEADER, GATEWAY_HEADER)
    names = asserted if caller.subject.startswith(PARTNER_PREFIX) else ("Authorization",)
    return {name: request.headers[name] for name in names if name in request.headers}


def _is_gateway(request: Request, secret: str) -> bool:
    shown = request.headers.get(GATEWAY_HEADER, "").encode()
    return bool(secret) and hmac.compare_digest(shown, secret.encode())


def _listed(text: str) -> frozenset[str]:
    return frozenset(each.strip() for each in text.split(",") if each.strip())


def insufficient(scopes: "list[str]") -> Forbidden:
    """The error for a token that lacks the scopes of an operation."""
    needed = " ".join(f"{SCOPE_PREFIX}{scope}" for scope in scopes)
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{needed}"'
    return Forbidden(
        f"the access token lacks the scope {needed}; request a token with this scope",
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
    import httpx  # noqa: PLC0415 - a Lambda function that only lists products does not need it

    answer = httpx.get(url, timeout=KEYS_TIMEOUT_SECONDS).raise_for_status()
    found: Mapping[str, Any] = answer.json()
    return found


def _rsa_keys(document: Mapping[str, Any]) -> "Mapping[str, RSAPublicKey]":
    """Key ID -> public key, for the signing keys of a key set.

    Raises:
        Exception: the document is not a key set.
    """
    found = {
        str(each["kid"]): jwt.PyJWK(each, "RS256").key
        for each in document["keys"]
        if each.get("kty") == "RSA" and each.get("use", "sig") == "sig"
    }
    if not found:
        raise ValueError("the key set contains no signing key")
    return found
