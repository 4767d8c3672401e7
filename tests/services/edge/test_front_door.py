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
def test_given_an_operation_when_asked_through_the_api_then_its_service_answers(
    running_shop: Shop, shipped: str, operation: Operation
) -> None:
    headers = bearer(running_shop.token()) | {"Idempotency-Key": str(uuid.uuid4())}
    answer = httpx.request(
        operation.method,
        running_shop.api_url + concrete(operation, shipped),
        headers=headers,
        json=wish("BR-001") if operation.method == "POST" else None,
        timeout=20,
    )
    # An order that was shipped is not cancelled; that the service says so is an answer.
    assert answer.status_code in {200, 202, 409}, answer.text


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.key)
def test_given_a_closed_operation_when_asked_without_a_good_token_then_the_api_refuses(
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
def test_given_a_token_without_the_scope_when_asked_then_the_api_refuses(
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


def test_given_an_operators_scope_when_the_user_is_no_operator_then_the_service_refuses_and_of_one_it_takes_it(
    running_shop: Shop, shipped: str
) -> None:
    """Cognito grants the scope to every user of the client, and the API admits the token: the service checks the group."""
    url = f"{running_shop.api_url}/orders/{shipped}"
    assert httpx.get(url, headers=bearer(running_shop.token("bob", ["ops:read"]))).status_code == 403
    assert httpx.get(url, headers=bearer(running_shop.token("ops", ["ops:read"]))).status_code == 200


@pytest.mark.parametrize("path", ["/orders/{}", "/orders/{}/details", "/payments/{}", "/shipments/{}"])
def test_given_somebody_elses_order_when_asked_for_then_it_looks_like_none(
    running_shop: Shop, shipped: str, path: str
) -> None:
    bob = bearer(running_shop.token("bob"))
    others = httpx.get(running_shop.api_url + path.format(shipped), headers=bob)
    absent = str(uuid.uuid4())
    none = httpx.get(running_shop.api_url + path.format(absent), headers=bob)
    assert (others.status_code, none.status_code) == (404, 404)
    alike = {**others.json(), "trace_id": ""}, {**none.json(), "trace_id": ""}
    assert json.dumps(alike[0]).replace(shipped, absent) == json.dumps(alike[1])


def test_given_somebody_elses_order_when_cancelled_or_listed_then_it_stays_and_is_not_there(
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
def test_given_what_no_service_declares_when_asked_for_then_the_api_knows_no_such_route(
    running_shop: Shop, method: str, path: str
) -> None:
    answer = httpx.request(method, running_shop.api_url + path, headers=bearer(running_shop.token()))
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


# ---- machines


def test_given_a_signed_request_when_a_machine_asks_then_it_sees_every_customers(
    running_shop: Shop, shipped: str
) -> None:
    assert signed(running_shop, f"/payments/{shipped}").json()["order_id"] == shipped
    assert signed(running_shop, f"/shipments/{shipped}").json()["order_id"] == shipped


def test_given_a_bad_signature_when_a_machine_asks_then_the_service_itself_refuses(
    running_shop: Shop, shipped: str
) -> None:
    """The emulator verifies no signature: this is the check of the service."""
    guessed = signed(running_shop, f"/payments/{shipped}", (EMULATOR_KEY, "guessed"))
    unknown = signed(running_shop, f"/payments/{shipped}", ("AKIAUNKNOWN", EMULATOR_KEY))
    nothing = httpx.get(f"{running_shop.machine_api_url}/payments/{shipped}")
    assert (guessed.status_code, unknown.status_code, nothing.status_code) == (401, 401, 403)
    assert "signature" in guessed.json()["detail"]


def test_given_a_signed_request_when_replayed_for_another_order_then_it_is_refused(
    running_shop: Shop, shipped: str
) -> None:
    request = AWSRequest(method="GET", url=f"{running_shop.machine_api_url}/payments/{uuid.uuid4()}")
    SigV4Auth(Credentials(EMULATOR_KEY, EMULATOR_KEY), "execute-api", REGION).add_auth(request)
    replayed = httpx.get(
        f"{running_shop.machine_api_url}/payments/{shipped}", headers=dict(request.headers.items())
    )
    assert replayed.status_code == 401


@pytest.mark.parametrize("path", ["/orders", "/products"])
def test_given_what_is_not_for_machines_when_one_asks_then_there_is_no_such_route(
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
def test_given_headers_that_others_believe_when_sent_then_neither_the_api_nor_the_gateway_does(
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
def test_given_a_path_that_others_read_otherwise_when_asked_without_a_token_then_nothing_of_an_order_is_told(
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
    if answer.status == 200:  # the catalogue is for everybody
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
def test_given_a_request_of_two_meanings_when_sent_to_gateway_or_service_then_it_is_refused(
    running_shop: Shop, smuggled: bytes
) -> None:
    for url in (running_shop.url, f"http://127.0.0.1:{running_shop.programs['order'].port}"):
        assert raw(url, smuggled) in {0, 400, 401, 404, 501}


def test_given_a_body_or_header_that_is_too_large_when_sent_then_it_is_refused_and_the_next_is_answered(
    running_shop: Shop, alice: Customer
) -> None:
    large = {**wish("BR-001"), "padding": "x" * 70_000}
    assert alice.post("/orders", large, idempotency_key=str(uuid.uuid4())).status_code == 413
    headers = bearer(running_shop.token()) | {"X-Large": "x" * 70_000}
    assert httpx.get(f"{running_shop.url}/orders", headers=headers).status_code in {400, 431}
    assert alice.get("/orders")["items"] is not None


def test_given_a_page_of_a_known_site_when_it_asks_before_it_asks_then_it_may_and_another_may_not(
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
