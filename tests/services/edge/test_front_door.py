"""The API Gateway with its authorizers, in front of the cluster's gateway and the real processes of the services."""

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shopdev import identity
from shopdev.aws_environment import EMULATOR_KEY, REGION
from shopdev.cloudformation import stacks
from shopdev.codegen.apigateway.documents import Operation, operations
from shopdev.customer import Customer, wish
from shopdev.processes.shop import Shop
from tests.services.callers import Pool, bearer

pytestmark = pytest.mark.emulator

CLOSED = [each for each in operations() if each.scopes is not None]


@pytest.fixture(scope="module")
def alice(running_shop: Shop) -> Iterator[Customer]:
    """Alice at the API Gateway."""
    with Customer(running_shop.api_url, running_shop.token("alice")) as customer:
        yield customer


@pytest.fixture(scope="module")
def shipped(alice: Customer) -> str:
    """The id of an order of alice's that was shipped."""
    sku = max(alice.catalogue(), key=lambda product: int(product["available"]))["sku"]
    return str(alice.follow(alice.place(sku))["id"])


def concrete(operation: Operation, order_id: str) -> str:
    return operation.path.replace("{order_id}", order_id).replace("{sku}", "BR-001")


def signed(shop: Shop, path: str, key: tuple[str, str] = (EMULATOR_KEY,) * 2) -> httpx.Response:
    """The response to a GET at the API for machines, signed by botocore."""
    request = AWSRequest(method="GET", url=f"{shop.machine_api_url}{path}")
    SigV4Auth(Credentials(*key), "execute-api", REGION).add_auth(request)
    return httpx.get(str(request.url), headers=dict(request.headers.items()), timeout=20)


@pytest.mark.parametrize("operation", list(operations()), ids=lambda each: each.key)
def test_given_an_operation_when_it_is_called_through_the_api_then_its_service_responds(
    running_shop: Shop, shipped: str, operation: Operation
) -> None:
    user = ("ops", identity.OPERATOR_SCOPES) if operation.staff else ("alice", identity.CUSTOMER_SCOPES)
    headers = bearer(running_shop.token(*user)) | {"Idempotency-Key": str(uuid.uuid4())}
    body = {"all": True} if operation.staff else wish("BR-001")
    answer = httpx.request(
        operation.method,
        running_shop.api_url + concrete(operation, shipped),
        headers=headers,
        json=body if operation.method == "POST" else None,
        timeout=20,
    )
    # An order that was shipped is not cancelled; that the service says so is an answer.
    assert answer.status_code in {200, 202, 409}, answer.text


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.key)
def test_given_a_protected_operation_when_it_is_called_without_a_valid_token_then_the_api_rejects_it(
    running_shop: Shop, shipped: str, operation: Operation
) -> None:
    url = running_shop.api_url + concrete(operation, shipped)
    known = running_shop.outputs["identity"]
    good = running_shop.token()
    head, claims, signature = good.split(".")
    forger = Pool(kid=str(jwt.get_unverified_header(good)["kid"]), issuer=known["Issuer"])
    forged = {
        "nothing": {},
        "another key by the same name": bearer(forger.token(client_id=known["WebClientId"])),
        "expired": bearer(forger.token(client_id=known["WebClientId"], exp=int(time.time()) - 60)),
        "a signature of something else": bearer(f"{head}.{claims}.{signature[::-1]}"),
        "none": bearer(f"{jwt.encode(forger.claims(), '', 'none').rpartition('.')[0]}."),
        "not a token": bearer("a.b.c"),
    }
    for kind, headers in forged.items():
        answer = httpx.request(operation.method, url, headers=headers, timeout=20)
        assert answer.status_code == 401, kind


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.key)
def test_given_a_token_without_the_scope_when_an_operation_is_called_then_the_api_forbids_it(
    running_shop: Shop, shipped: str, operation: Operation
) -> None:
    other = "orders:write" if operation.scopes == ("orders:read",) else "orders:read"
    answer = httpx.request(
        operation.method,
        running_shop.api_url + concrete(operation, shipped),
        headers=bearer(running_shop.token(scopes=[other])),
        timeout=20,
    )
    assert answer.status_code == 403


def test_given_an_operator_scope_when_an_order_is_requested_then_only_a_member_of_the_ops_group_gets_it(
    running_shop: Shop, shipped: str
) -> None:
    """Cognito grants the scope to every user of the client, and the API admits the token: the service checks the group."""
    url = f"{running_shop.api_url}/orders/{shipped}"
    assert httpx.get(url, headers=bearer(running_shop.token("bob", ["ops:read"]))).status_code == 403
    assert httpx.get(url, headers=bearer(running_shop.token("ops", ["ops:read"]))).status_code == 200


@pytest.mark.parametrize("path", ["/orders/{}", "/orders/{}/details", "/payments/{}", "/shipments/{}"])
def test_given_an_order_of_another_customer_when_it_is_requested_then_it_is_not_found_like_an_unknown_one(
    running_shop: Shop, shipped: str, path: str
) -> None:
    bob = bearer(running_shop.token("bob"))
    others = httpx.get(running_shop.api_url + path.format(shipped), headers=bob)
    absent = str(uuid.uuid4())
    none = httpx.get(running_shop.api_url + path.format(absent), headers=bob)
    assert (others.status_code, none.status_code) == (404, 404)
    alike = {**others.json(), "trace_id": ""}, {**none.json(), "trace_id": ""}
    assert json.dumps(alike[0]).replace(shipped, absent) == json.dumps(alike[1])


def test_given_an_order_of_another_customer_when_it_is_cancelled_or_listed_then_it_is_not_found(
    running_shop: Shop, alice: Customer
) -> None:
    order = alice.place(alice.catalogue()[5]["sku"])
    with Customer(running_shop.api_url, running_shop.token("bob")) as bob:
        assert bob.post(f"/orders/{order['id']}/cancel").status_code == 404
        assert order["id"] not in [each["id"] for each in bob.get("/orders?limit=100")["items"]]
    assert alice.follow(order)["state"] == "SHIPPED"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("DELETE", "/orders"),
        ("PUT", "/products/BR-001"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/openapi.json"),
        ("POST", "/payments/x"),
        ("GET", "/orders/x/y/z"),
    ],
)
def test_given_an_undeclared_route_when_it_is_requested_then_the_api_responds_with_404(
    running_shop: Shop, method: str, path: str
) -> None:
    answer = httpx.request(method, running_shop.api_url + path, headers=bearer(running_shop.token()))
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


# ---- machines


def test_given_a_signed_request_when_a_machine_sends_it_then_the_resources_of_every_customer_are_readable(
    running_shop: Shop, shipped: str
) -> None:
    assert signed(running_shop, f"/payments/{shipped}").json()["order_id"] == shipped
    assert signed(running_shop, f"/shipments/{shipped}").json()["order_id"] == shipped


def test_given_an_invalid_signature_when_a_machine_sends_a_request_then_the_service_rejects_it(
    running_shop: Shop, shipped: str
) -> None:
    """The emulator verifies no signature: this is the check of the service."""
    guessed = signed(running_shop, f"/payments/{shipped}", (EMULATOR_KEY, "guessed"))
    unknown = signed(running_shop, f"/payments/{shipped}", ("AKIAUNKNOWN", EMULATOR_KEY))
    nothing = httpx.get(f"{running_shop.machine_api_url}/payments/{shipped}")
    assert (guessed.status_code, unknown.status_code, nothing.status_code) == (401, 401, 403)
    assert "signature" in guessed.json()["detail"]


def test_given_a_signed_request_when_it_is_replayed_for_another_order_then_it_is_rejected(
    running_shop: Shop, shipped: str
) -> None:
    request = AWSRequest(method="GET", url=f"{running_shop.machine_api_url}/payments/{uuid.uuid4()}")
    SigV4Auth(Credentials(EMULATOR_KEY, EMULATOR_KEY), "execute-api", REGION).add_auth(request)
    replayed = httpx.get(
        f"{running_shop.machine_api_url}/payments/{shipped}", headers=dict(request.headers.items())
    )
    assert replayed.status_code == 401


@pytest.mark.parametrize("path", ["/orders", "/products"])
def test_given_a_route_that_is_not_for_machines_when_a_machine_requests_it_then_the_response_is_404(
    running_shop: Shop, path: str
) -> None:
    assert signed(running_shop, path).status_code == 404


# ---- tricks


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Shop-Caller": "arn:aws:iam::000000000000:role/reports", "X-Shop-Gateway": ""},
        {"X-Shop-Caller": "arn:aws:iam::000000000000:role/reports", "X-Shop-Gateway": "guessed"},
        {"X-Forwarded-User": "alice", "X-Amzn-Oidc-Identity": "alice"},
        {"X-Original-URL": "/products", "X-Rewrite-URL": "/products"},
        {"X-HTTP-Method-Override": "OPTIONS"},
    ],
)
def test_given_forged_identity_headers_when_a_request_is_sent_then_the_api_and_the_gateway_ignore_them(
    running_shop: Shop, shipped: str, headers: dict[str, str]
) -> None:
    for door in (running_shop.api_url, running_shop.url):
        for path in (f"/payments/{shipped}", f"/orders/{shipped}"):
            assert httpx.get(door + path, headers=headers).status_code == 401
            bob = {**headers, **bearer(running_shop.token("bob"))}
            assert httpx.get(door + path, headers=bob).status_code == 404


def raw(url: str, request: bytes) -> int:
    """The status of the answer to bytes that no client would send; 0 when the connection is closed instead."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.connect()
    try:
        connection.sock.sendall(request)
        answer = http.client.HTTPResponse(connection.sock, method="GET")
        answer.begin()
    except (http.client.HTTPException, ConnectionError):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "//orders",
        "/products/../orders",
        "/products/..%2forders",
        "/products/%2e%2e/orders",
        "/products/..;/orders",
        "/orders%00",
        "/orders/",
        "/ORDERS",
        "/orders%2f{order}",
        "/payments/{order}/../{order}",
        "/products?x=/../orders",
        "/orders/{order}%3f",
        "/.//orders",
    ],
)
@pytest.mark.parametrize("direct", [False, True], ids=["api", "gateway"])
def test_given_an_ambiguous_path_when_it_is_requested_without_a_token_then_no_order_data_is_revealed(
    running_shop: Shop, shipped: str, path: str, direct: bool
) -> None:
    door = running_shop.url if direct else running_shop.api_url
    target = f"{urlsplit(door).path}{path.replace('{order}', shipped)}"
    parts = urlsplit(door)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.putrequest("GET", target, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in {200, 301, 307, 308, 400, 401, 404}
    if answer.status == 200:  # the catalog is public
        assert all("price" in each for each in json.loads(body)["items"])


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /orders HTTP/1.1\r\n\r\n",
        b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
        b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"GET /orders HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer a.b.c\r\n\r\n",
        b"GET http://x/orders HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["both lengths", "two lengths", "odd coding", "space before colon", "absolute form"],
)
def test_given_an_ambiguous_request_when_it_is_sent_to_the_gateway_or_a_service_then_it_is_rejected(
    running_shop: Shop, smuggled: bytes
) -> None:
    for url in (running_shop.url, f"http://127.0.0.1:{running_shop.programs['order'].port}"):
        assert raw(url, smuggled) in {0, 400, 401, 404, 501}


def test_given_a_body_or_header_over_the_limit_when_it_is_sent_then_only_that_request_is_rejected(
    running_shop: Shop, alice: Customer
) -> None:
    large = {**wish("BR-001"), "padding": "x" * 70_000}
    assert alice.post("/orders", large, idempotency_key=str(uuid.uuid4())).status_code == 413
    headers = bearer(running_shop.token()) | {"X-Large": "x" * 70_000}
    assert httpx.get(f"{running_shop.url}/orders", headers=headers).status_code in {400, 431}
    assert alice.get("/orders")["items"] is not None


def test_given_two_origins_when_they_send_preflight_requests_then_only_the_configured_one_is_allowed(
    running_shop: Shop,
) -> None:
    """The emulator ignores CORS settings in CloudFormation, so they are set with its API."""
    client = running_shop.clients.apigatewayv2
    cors = stacks.document("api")["Resources"]["Customers"]["Properties"]["CorsConfiguration"]
    origin = str(stacks.document("api")["Parameters"]["AllowedOrigins"]["Default"])
    client.update_api(
        ApiId=running_shop.outputs["api"]["ApiId"],
        CorsConfiguration={
            "AllowOrigins": [origin],
            "AllowMethods": cors["AllowMethods"],
            "AllowHeaders": cors["AllowHeaders"],
        },
    )
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    known = httpx.options(f"{running_shop.api_url}/orders", headers={**ask, "Origin": origin})
    other = httpx.options(f"{running_shop.api_url}/orders", headers={**ask, "Origin": "https://evil.test"})
    assert known.headers["access-control-allow-origin"] == origin
    assert "authorization" in known.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in other.headers
