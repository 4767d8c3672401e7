"""Authentication: valid tokens and signatures, and every way to forge one."""

import hashlib
import hmac
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import jwt
import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Request, Response
from flask.testing import FlaskClient
from flask_openapi3.blueprint import APIBlueprint
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from services.common.http import web
from services.common.http.auth import (
    KEYS_KEPT_SECONDS,
    KEYS_SOONEST_SECONDS,
    Authenticator,
    AuthSettings,
    Customers,
    Keys,
    Machines,
    Partners,
    SingleCustomer,
    Verifier,
    proof,
    verifier,
)
from services.common.http.rates import Rates
from services.common.values.caller import Caller
from services.common.values.errors import Unavailable
from tests.services.callers import ALICE, CLIENT, ISSUER, As, Pool, bearer, unsigned

API = "https://abc123.execute-api.eu-central-1.amazonaws.com/live"
KEY = ("AKIAMACHINE", "a secret of the machine")
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def shop(verifier: Verifier) -> FlaskClient:
    """An API with something public, something for customers, and something for machines as well."""
    api = APIBlueprint("things", __name__)

    @api.get("/public")
    def show_public() -> Response:
        return web.json_response({})

    @api.get("/mine", security=[web.for_customers("orders:read")])
    def show_mine() -> Response:
        return web.json_response({"subject": web.caller().subject})

    @api.post("/mine", security=[web.for_customers("orders:write")])
    def write_mine() -> Response:
        return web.json_response({"subject": web.caller().subject})

    @api.get("/any", security=[web.for_customers("orders:read"), web.FOR_MACHINES])
    def show_any() -> Response:
        return web.json_response({"subject": web.caller().subject, "machine": web.caller().machine})

    return web.create_app(name="things", version="1", apis=[api], ready={}, verifier=verifier).test_client()


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool()


@pytest.fixture(scope="module")
def other_pool() -> Pool:
    return Pool(issuer=f"{ISSUER}2")


@pytest.fixture
def client(pool: Pool) -> FlaskClient:
    return shop(pool.door())


def refused(client: FlaskClient, headers: Any, status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> str:
    """The challenge of a rejected request."""
    answer = client.get("/mine", headers=headers)
    assert answer.status_code == status
    problem = orjson.loads(answer.data)
    assert answer.content_type == "application/problem+json"
    assert problem["status"] == status
    assert problem["detail"]
    return str(answer.headers["WWW-Authenticate"])


def test_given_a_valid_token_when_a_request_is_sent_then_the_caller_is_identified(
    client: FlaskClient, pool: Pool
) -> None:
    answer = client.get("/mine", headers=bearer(pool.token()))

    assert (answer.status_code, orjson.loads(answer.data)) == (HTTPStatus.OK, {"subject": "alice"})


def test_given_no_credentials_when_operations_are_called_then_only_those_without_declared_security_respond(
    client: FlaskClient,
) -> None:
    assert client.get("/public").status_code == HTTPStatus.OK
    assert refused(client, {}) == 'Bearer realm="shop"'
    assert client.head("/mine").status_code == HTTPStatus.UNAUTHORIZED


def test_given_public_and_private_operations_when_they_respond_then_only_private_responses_disable_caching(
    client: FlaskClient, pool: Pool
) -> None:
    private = client.get("/mine", headers=bearer(pool.token()))
    refused_ = client.get("/mine")

    assert {answer.headers.get("Cache-Control") for answer in (private, refused_)} == {"no-store"}
    assert "Cache-Control" not in client.get("/public").headers


def test_given_an_api_with_security_when_no_verifier_is_configured_then_the_app_is_not_created() -> None:
    api = APIBlueprint("closed", __name__)

    @api.get("/closed", security=[web.for_customers("orders:read")])
    def show() -> None: ...

    with pytest.raises(ValueError, match="no authentication is configured for /closed"):
        web.create_app(name="things", version="1", apis=[api], ready={})


FORGERIES: dict[str, Callable[[Pool, Pool], str]] = {
    "the none algorithm": lambda pool, _: unsigned({"alg": "none", "kid": pool.kid}, pool.claims()),
    "none in capitals": lambda pool, _: unsigned({"alg": "NONE", "kid": pool.kid}, pool.claims()),
    "HMAC with the public key": lambda pool, _: hs256_with_public_key(pool),
    "no key id": lambda pool, _: jwt.encode(pool.claims(), pool.private, "RS256"),
    "a key id that is no text": lambda pool, _: unsigned({"alg": "RS256", "kid": 1}, pool.claims(), b"x"),
    "another pool": lambda _, other: other.token(),
    "another pool's key for this issuer": lambda pool, other: other.token(iss=pool.issuer),
    "this key for another issuer": lambda pool, other: pool.token(iss=other.issuer),
    "a key of its own in the header": lambda pool, other: jwt.encode(
        pool.claims(), other.private, "RS256", headers={"kid": pool.kid, "jku": "https://evil.test"}
    ),
    "expired": lambda pool, _: pool.token(iat=int(time.time()) - 7200, exp=int(time.time()) - 60),
    "not yet": lambda pool, _: pool.token(nbf=int(time.time()) + 600),
    "from the future": lambda pool, _: pool.token(iat=int(time.time()) + 600),
    "an id token": lambda pool, _: pool.token(token_use="id", aud=CLIENT),
    "another application": lambda pool, _: pool.token(client_id="client-of-another"),
    "several applications": lambda pool, _: pool.token(client_id=[CLIENT, "other"]),
    "an empty subject": lambda pool, _: pool.token(sub=""),
    "no expiry": lambda pool, _: pool.token(exp=None),
    "no subject": lambda pool, _: pool.token(sub=None),
    "no use": lambda pool, _: pool.token(token_use=None),
    "changed claims": lambda pool, _: swapped(pool),
    "a signature too few": lambda pool, _: pool.token().rpartition(".")[0] + ".",
}


def hs256_with_public_key(pool: Pool) -> str:
    """A token that is accepted by a verifier that lets the token choose the algorithm."""
    public = pool.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, claims, _ = unsigned({"alg": "HS256", "kid": pool.kid}, pool.claims(), b"x").split(".")
    signature = hmac.digest(public, f"{head}.{claims}".encode(), "sha256")
    return unsigned({"alg": "HS256", "kid": pool.kid}, pool.claims(), signature)


def swapped(pool: Pool) -> str:
    head, _, signature = pool.token().split(".")
    _, claims, _ = unsigned({}, pool.claims(sub="bob"), b"x").split(".")
    return f"{head}.{claims}.{signature}"


@pytest.mark.parametrize("kind", FORGERIES)
def test_given_a_forged_token_when_a_request_is_sent_then_it_is_rejected(
    client: FlaskClient, pool: Pool, other_pool: Pool, kind: str
) -> None:
    assert 'error="invalid_' in refused(client, bearer(FORGERIES[kind](pool, other_pool)))


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer a.b.c, Bearer a.b.c",
        "Basic YWxpY2U6cGFzc3dvcmQ=",
        "Bearer " + "a" * 5000 + ".b.c",
        "Bearer a.b.c\u00e9",
        "Token a.b.c",
    ],
)
def test_given_an_authorization_header_without_exactly_one_token_when_a_request_is_sent_then_it_is_rejected(
    client: FlaskClient, authorization: str
) -> None:
    assert 'error="invalid_' in refused(client, {"Authorization": authorization})


def test_given_two_authorization_headers_when_a_request_is_sent_then_it_is_rejected(
    client: FlaskClient, pool: Pool
) -> None:
    both = [("Authorization", f"Bearer {pool.token()}"), ("Authorization", f"Bearer {pool.token(sub='bob')}")]
    environ = {"HTTP_AUTHORIZATION": ",".join(value for _, value in both)}  # as gunicorn hands them over

    answer = client.get("/mine", environ_base=environ)

    assert answer.status_code == HTTPStatus.UNAUTHORIZED


def test_given_a_token_without_the_scope_when_a_request_is_sent_then_the_challenge_names_the_scope(
    client: FlaskClient, pool: Pool
) -> None:
    challenge = refused(client, bearer(pool.token(scope="shop/orders:write openid")), HTTPStatus.FORBIDDEN)

    assert challenge == 'Bearer realm="shop", error="insufficient_scope", scope="shop/orders:read"'
    refused(client, bearer(pool.token(scope="orders:read other/orders:read")), HTTPStatus.FORBIDDEN)
    refused(client, bearer(pool.token(scope=None)), HTTPStatus.FORBIDDEN)


def test_given_an_operator_scope_when_a_request_is_sent_then_it_counts_for_members_of_the_group_only(
    client: FlaskClient, pool: Pool
) -> None:
    asked = {"scope": "shop/ops:read"}

    refused(client, bearer(pool.token(**asked)), HTTPStatus.FORBIDDEN)
    refused(client, bearer(pool.token(**asked, **{"cognito:groups": "ops"})), HTTPStatus.FORBIDDEN)
    operator = client.get("/mine", headers=bearer(pool.token(**asked, **{"cognito:groups": ["ops"]})))
    writing = client.post("/mine", headers=bearer(pool.token(**asked, **{"cognito:groups": ["ops"]})))

    assert (operator.status_code, writing.status_code) == (HTTPStatus.OK, HTTPStatus.FORBIDDEN)


def test_given_a_customer_an_operator_and_a_machine_then_each_may_see_and_change_only_its_permitted_resources() -> (
    None
):
    alice = Caller("alice", frozenset({"orders:read", "orders:write", "ops:read", "ops:write"}))
    operator = Caller("olga", frozenset({"ops:read"}), frozenset({"ops"}))
    machine = Caller("arn:machine", machine=True)

    assert (alice.may_see("alice"), alice.may_see("bob")) == (True, False)
    assert (operator.may_see("alice"), operator.may_change("alice")) == (True, False)
    assert (machine.may_see("alice"), machine.may_change("alice"), machine.may_change("arn:machine")) == (
        True,
        False,
        False,
    )


def test_given_a_rate_limit_when_a_caller_exceeds_it_then_it_gets_429_with_retry_after_and_others_are_served(
    pool: Pool,
) -> None:
    customers = Customers(pool.issuer, frozenset({CLIENT}), Keys("https://keys.test", pool.document))
    client = shop(Authenticator(customers, Machines({}), Partners(), Rates(0.1, 2)))

    answers = [client.get("/mine", headers=bearer(pool.token())) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[-1].headers["Retry-After"], answers[-1].content_type) == (
        "10",
        "application/problem+json",
    )
    assert client.get("/mine", headers=bearer(pool.token(sub="bob"))).status_code == HTTPStatus.OK
    assert client.get("/public").status_code == HTTPStatus.OK


# ---- the keys


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_given_fetched_keys_when_they_expire_then_they_are_fetched_once_more(pool: Pool) -> None:
    clock, fetched = Clock(), pool.fetched
    keys = Keys("https://keys.test", pool.document, clock)

    assert all(keys.find(pool.kid) for _ in range(5))
    assert pool.fetched == fetched + 1

    clock.at += KEYS_KEPT_SECONDS + 1
    assert keys.find(pool.kid) is not None
    assert pool.fetched == fetched + 2


def test_given_a_rotated_key_when_key_ids_are_looked_up_then_it_is_found_without_a_fetch_per_unknown_id() -> (
    None
):
    clock, pool = Clock(), Pool()
    keys = Keys("https://keys.test", pool.document, clock)
    assert keys.find("key-1") is not None

    pool.kid, pool.private = "key-2", rsa.generate_private_key(65537, 2048)
    for number in range(100):
        assert keys.find(f"made-up-{number}") is None
    assert pool.fetched == 1, "not within a moment of the last time"

    clock.at += KEYS_SOONEST_SECONDS
    assert keys.find("key-2") is not None
    assert keys.find("key-1") is None, "a key that was withdrawn is good no more"
    assert pool.fetched == 2


def test_given_an_unavailable_issuer_when_a_key_is_looked_up_then_known_keys_stay_valid_and_unknown_ones_fail() -> (
    None
):
    clock, pool = Clock(), Pool()
    keys = Keys("https://keys.test", pool.document, clock)
    assert keys.find(pool.kid) is not None
    pool.away = True
    clock.at += KEYS_KEPT_SECONDS * 2

    assert keys.find(pool.kid) is not None
    with pytest.raises(Unavailable):
        Keys("https://keys.test", pool.document, clock).find(pool.kid)


def test_given_no_keys_and_an_unavailable_issuer_when_a_request_is_sent_then_it_can_be_retried(
    pool: Pool,
) -> None:
    away = Pool(private=pool.private, away=True)

    answer = shop(away.door()).get("/mine", headers=bearer(pool.token()))

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    "document", [{}, {"keys": []}, {"keys": "none"}, {"keys": [{"kty": "RSA"}]}, {"keys": [{"kid": "x"}]}]
)
def test_given_an_invalid_key_set_when_a_key_is_looked_up_then_authentication_is_unavailable(
    document: Any,
) -> None:
    with pytest.raises(Unavailable):
        Keys("https://keys.test", lambda _: document).find("key-1")


# ---- machines


def signed(
    path: str = "/any",
    *,
    key: tuple[str, str] = KEY,
    at: float = NOW,
    service: str = "execute-api",
    method: str = "GET",
    api: str = API,
    body: bytes = b"",
    hashed: str = "",
) -> dict[str, str]:
    """The headers of a request as botocore sends it."""
    request = AWSRequest(method=method, url=f"{api}{path}", data=body)
    signer = SigV4Auth(Credentials(*key), service, "eu-central-1")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    if hashed:
        request.headers["X-Amz-Content-SHA256"] = hashed
    # As its add_auth does, which takes the real time.
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, Signature={signature}"
    )
    return {name: str(value) for name, value in request.headers.items()}


@pytest.fixture
def machine_client(pool: Pool) -> FlaskClient:
    return shop(pool.door(Machines(dict([KEY]), API, clock=lambda: NOW)))


@pytest.mark.parametrize("path", ["/any", "/any?a=1&b=x%20y", "/any?b=2&a=1"])
def test_given_a_signed_request_when_a_machine_sends_it_then_the_machine_is_authenticated(
    machine_client: FlaskClient, path: str
) -> None:
    answer = machine_client.get(path, headers=signed(path), environ_overrides={"RAW_URI": path})

    assert orjson.loads(answer.data) == {"subject": KEY[0], "machine": True}


TAMPERED: dict[str, tuple[str, dict[str, str]]] = {
    "another path": ("/any", signed("/any/other")),
    "another query": ("/any?a=2", signed("/any?a=1")),
    "another method": ("/any", signed(method="POST")),
    "another secret": ("/any", signed(key=(KEY[0], "guessed"))),
    "another key": ("/any", signed(key=("AKIAOTHER", KEY[1]))),
    "an unknown key with the secret of unknown keys": ("/any", signed(key=("AKIAOTHER", "unknown"))),
    "another service": ("/any", signed(service="sts")),
    "another host": ("/any", signed(api="https://other.execute-api.eu-central-1.amazonaws.com/live")),
    "too old": ("/any", signed(at=NOW - 301)),
    "too early": ("/any", signed(at=NOW + 301)),
    "another time": ("/any", {**signed(), "X-Amz-Date": "20260101T000001Z"}),
    "no time": ("/any", {"Authorization": signed()["Authorization"]}),
    "an unsigned host": (
        "/any",
        {**signed(), "Authorization": signed()["Authorization"].replace("host;x-amz-date", "x-amz-date")},
    ),
    "no signature": ("/any", {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAMACHINE"}),
    "another body": ("/any", signed(body=b"{}")),
    "a body that is not verified": ("/any", signed(hashed="UNSIGNED-PAYLOAD")),
    "the hash of another body": ("/any", signed(hashed=hashlib.sha256(b"{}").hexdigest())),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_given_a_tampered_signature_when_a_machine_sends_a_request_then_it_is_rejected_and_reveals_no_secret(
    machine_client: FlaskClient, kind: str
) -> None:
    path, headers = TAMPERED[kind]

    answer = machine_client.get(path, headers=headers, environ_overrides={"RAW_URI": path})

    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert hashlib.sha256(KEY[1].encode()).hexdigest().encode() not in answer.data
    assert KEY[1].encode() not in answer.data


def test_given_a_signed_request_when_a_machine_calls_a_customer_operation_then_it_is_forbidden(
    machine_client: FlaskClient,
) -> None:
    answer = machine_client.get("/mine", headers=signed("/mine"), environ_overrides={"RAW_URI": "/mine"})

    assert answer.status_code == HTTPStatus.FORBIDDEN


def test_given_no_configured_machine_keys_when_a_signed_request_is_sent_then_it_is_rejected(
    client: FlaskClient,
) -> None:
    assert client.get("/any", headers=signed()).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Shop-Caller": "arn:machine", "X-Shop-Gateway": "the secret"}, HTTPStatus.OK),
        ({"X-Shop-Caller": "arn:machine"}, HTTPStatus.UNAUTHORIZED),
        ({"X-Shop-Caller": "arn:machine", "X-Shop-Gateway": "guessed"}, HTTPStatus.UNAUTHORIZED),
        ({"X-Shop-Caller": "arn:machine", "X-Shop-Gateway": ""}, HTTPStatus.UNAUTHORIZED),
        ({"X-Shop-Caller": "", "X-Shop-Gateway": "the secret"}, HTTPStatus.UNAUTHORIZED),
        ({"X-Shop-Gateway": "the secret"}, HTTPStatus.UNAUTHORIZED),
    ],
)
def test_given_gateway_headers_for_a_machine_when_a_request_is_sent_then_the_gateway_secret_is_required(
    pool: Pool, headers: dict[str, str], status: HTTPStatus
) -> None:
    behind_gateway = shop(pool.door(Machines({}, gateway_secret="the secret")))

    assert behind_gateway.get("/any", headers=headers).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Shop-Caller": "arn:machine", "X-Shop-Gateway": ""},
        {"X-Amzn-Oidc-Identity": "bob"},
        {"X-Forwarded-User": "bob"},
        {"X-Original-Url": "/public"},
        {"X-Rewrite-Url": "/public"},
        {"X-Http-Method-Override": "OPTIONS"},
        {"X-Forwarded-Prefix": "/public"},
        {"Forwarded": "for=127.0.0.1;host=localhost"},
    ],
)
def test_given_identity_headers_without_proof_when_a_request_is_sent_then_they_authenticate_no_caller(
    client: FlaskClient, pool: Pool, headers: dict[str, str]
) -> None:
    assert client.get("/any", headers=headers).status_code == HTTPStatus.UNAUTHORIZED
    mine = client.get("/any", headers={**headers, **bearer(pool.token())})
    assert orjson.loads(mine.data) == {"subject": "alice", "machine": False}


# ---- the environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for field in AuthSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    return monkeypatch


def test_given_no_issuer_when_the_api_starts_then_it_exits_and_names_the_required_settings(
    environment: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SystemExit, match="AUTH_ISSUER and AUTH_CLIENT_IDS are required unless AUTH=off"):
        verifier()
    environment.setenv("AUTH", "of")
    with pytest.raises(SystemExit, match=r"AUTH .* is invalid"):
        verifier()


def test_given_machine_keys_without_an_api_url_when_the_api_starts_then_it_exits_and_names_the_setting(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AUTH", "off")
    environment.setenv("MACHINE_KEYS", "AKIA:secret")

    with pytest.raises(SystemExit, match="MACHINE_KEYS requires MACHINE_API_URL"):
        verifier()


@pytest.mark.parametrize("keys", ["junk", "AKIA:", ":secret", "AKIA:secret,junk"])
def test_given_malformed_machine_keys_when_the_api_starts_then_it_exits_and_states_their_form(
    environment: pytest.MonkeyPatch, keys: str
) -> None:
    environment.setenv("AUTH", "off")
    environment.setenv("MACHINE_API_URL", API)
    environment.setenv("MACHINE_KEYS", keys)

    with pytest.raises(SystemExit, match="MACHINE_KEYS must have the form"):
        verifier()


def test_given_required_authentication_when_a_demo_customer_is_set_then_the_api_does_not_start(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AUTH_ISSUER", ISSUER)
    environment.setenv("AUTH_CLIENT_IDS", CLIENT)
    environment.setenv("DEMO_CUSTOMER", "guest")

    with pytest.raises(SystemExit, match="DEMO_CUSTOMER requires AUTH=off"):
        verifier()


def test_given_client_ids_with_spaces_when_a_request_is_sent_then_a_token_of_each_client_is_valid(
    environment: pytest.MonkeyPatch, pool: Pool
) -> None:
    environment.setenv("AUTH_ISSUER", ISSUER)
    environment.setenv("AUTH_CLIENT_IDS", f"other, {CLIENT},")
    environment.setattr("services.common.http.auth._fetch", pool.document)

    assert shop(verifier()).get("/mine", headers=bearer(pool.token())).status_code == HTTPStatus.OK


def test_given_disabled_authentication_when_a_request_is_sent_then_the_caller_is_the_demo_customer(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AUTH", "off")

    assert isinstance(verifier(), SingleCustomer)
    assert orjson.loads(shop(verifier()).get("/mine").data) == {"subject": "guest"}


def test_given_an_issuer_when_the_verifier_is_created_then_authentication_is_required(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AUTH_ISSUER", ISSUER)
    environment.setenv("AUTH_CLIENT_IDS", CLIENT)
    environment.setenv("MACHINE_KEYS", ":".join(KEY))
    environment.setenv("MACHINE_API_URL", API)

    found = verifier()

    assert isinstance(found, Authenticator)
    assert KEY[1] not in repr(AuthSettings.load())


def test_given_the_fake_verifier_when_a_request_is_sent_then_its_caller_is_identified() -> None:
    known: Verifier = As(Caller("alice", frozenset({"orders:read"})))

    assert orjson.loads(shop(known).get("/mine").data) == {"subject": "alice"}


@pytest.mark.parametrize(
    ("headers", "status", "subject"),
    [
        (
            {"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:read", "X-Shop-Gateway": "the secret"},
            200,
            True,
        ),
        (
            {"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:write", "X-Shop-Gateway": "the secret"},
            403,
            False,
        ),
        ({"X-Shop-Partner": "acme", "X-Shop-Gateway": "the secret"}, 403, False),
        ({"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:read", "X-Shop-Gateway": "guessed"}, 401, False),
        ({"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:read"}, 401, False),
        (
            {
                "X-Shop-Partner": "acme",
                "X-Shop-Scopes": "orders:read",
                "X-Shop-Gateway": "the secret",
                "X-Shop-Caller": "arn:machine",
            },
            401,
            False,
        ),
    ],
)
def test_given_gateway_headers_for_a_partner_when_a_request_is_sent_then_the_gateway_secret_is_required(
    pool: Pool, headers: dict[str, str], status: int, subject: bool
) -> None:
    behind = shop(pool.door(Machines({}, gateway_secret="the secret"), Partners("the secret")))

    answer = behind.get("/mine", headers=headers)

    assert answer.status_code == status
    assert (answer.get_json().get("subject") == "partner:acme") is subject


def test_given_partner_headers_when_the_request_is_from_a_customer_then_they_are_not_forwarded() -> None:
    """Otherwise, a customer's request would forward unverified assertions to other services."""
    headers = {
        **bearer("a.b.c"),
        "X-Shop-Partner": "acme",
        "X-Shop-Scopes": "orders:read",
        "X-Shop-Gateway": "the secret",
        "Cookie": "mine",
    }
    request = Request(EnvironBuilder(headers=Headers(headers)).get_environ())

    assert proof(request, ALICE) == bearer("a.b.c")
    assert proof(request, Caller("partner:acme")).keys() == {
        "X-Shop-Partner",
        "X-Shop-Scopes",
        "X-Shop-Gateway",
    }


def test_given_no_gateway_when_a_request_has_partner_headers_then_it_is_rejected(pool: Pool) -> None:
    headers = {"X-Shop-Partner": "acme", "X-Shop-Scopes": "orders:read", "X-Shop-Gateway": ""}

    assert shop(pool.door()).get("/mine", headers=headers).status_code == HTTPStatus.UNAUTHORIZED
