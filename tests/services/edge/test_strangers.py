"""Credentials that are valid elsewhere are rejected: tokens of another shop, two tokens, signatures of other requests."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shopdev import identity
from shopdev.aws_environment import EMULATOR_KEY, REGION
from shopdev.processes.shop import Shop
from tests.services.callers import bearer

pytestmark = pytest.mark.emulator

PATH = "/payments/00000000-0000-4000-8000-000000000000"
KEY = Credentials(EMULATOR_KEY, EMULATOR_KEY)


def signed(url: str, *, service: str = "execute-api", method: str = "GET") -> dict[str, str]:
    """The headers of a signed request."""
    request = AWSRequest(method, url)
    SigV4Auth(KEY, service, REGION).add_auth(request)
    return dict(request.headers.items())


def test_given_a_token_of_another_shop_when_a_request_is_sent_then_it_is_rejected(running_shop: Shop) -> None:
    emulator = running_shop.emulator
    other = emulator.deploy("elsewhere", {}, ("identity",))["identity"]
    identity.seed(emulator.clients, other)
    token = identity.token(other, emulator.endpoint)

    for door in (running_shop.api_url, running_shop.url):
        assert httpx.get(f"{door}/orders", headers=bearer(token), timeout=20).status_code == 401


@pytest.mark.parametrize("direct", [False, True], ids=["api", "gateway"])
def test_given_two_valid_tokens_when_one_request_contains_both_then_it_is_rejected(
    running_shop: Shop, direct: bool
) -> None:
    at = urlsplit(running_shop.url if direct else running_shop.api_url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=20)
    connection.putrequest("GET", f"{at.path}/orders")
    for user in ("alice", "bob"):
        connection.putheader("Authorization", f"Bearer {running_shop.token(user)}")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()

    assert status in {400, 401}


def not_for_this(url: str) -> Mapping[str, Mapping[str, str]]:
    """Defect of a signature -> the headers that carry it."""
    good = signed(url)
    return {
        "another service": signed(url, service="sqs"),
        "another method": signed(url, method="POST"),
        "another query": signed(url + "?all=true"),
        "another day": {**good, "X-Amz-Date": "20200101T000000Z"},
        "no time": {name: value for name, value in good.items() if name != "X-Amz-Date"},
        "no signature": {**good, "Authorization": good["Authorization"].partition(", Signature")[0]},
        "two signatures": {**good, "Authorization": f"{good['Authorization']}, {good['Authorization']}"},
    }


def test_given_a_valid_signature_when_a_machine_sends_a_request_then_it_is_accepted(
    running_shop: Shop,
) -> None:
    """Ensures that the rejections below are caused by the fault."""
    url = running_shop.machine_api_url + PATH

    assert httpx.get(url, headers=signed(url), timeout=20).status_code == 404


@pytest.mark.parametrize("fault", list(not_for_this("http://localhost/")))
def test_given_a_signature_of_another_request_when_a_machine_sends_it_then_it_is_rejected(
    running_shop: Shop, fault: str
) -> None:
    url = running_shop.machine_api_url + PATH

    assert httpx.get(url, headers=not_for_this(url)[fault], timeout=20).status_code in {401, 403}


def test_given_a_valid_signature_when_it_is_sent_to_the_customer_api_then_it_is_rejected(
    running_shop: Shop,
) -> None:
    url = running_shop.api_url + PATH

    assert httpx.get(url, headers=signed(url), timeout=20).status_code == 401
