"""Access to the pages of `kubectl shop ui`."""

import re

import pytest
from flask import Flask

from shop_operator.cli.ui.access import Access
from tests.operator.cli.ui.conftest import PORT, Open


def test_given_the_printed_link_when_it_is_opened_then_a_strict_cookie_replaces_the_token(
    browse: Open,
) -> None:
    browser = browse(opened=False)

    answer = browser.get(browser.link)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert re.fullmatch(
        rf"kubectl-shop-ui-{PORT}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=Strict",
        answer.headers["Set-Cookie"],
    )


def test_given_a_link_that_was_opened_when_another_browser_opens_it_then_the_response_is_403(
    browse: Open,
) -> None:
    browser = browse(opened=False)
    link = browser.link
    assert browser.get(link).status_code == 303
    other = browser.client.application.test_client()

    answer = other.get(link, base_url=browser.access.url)

    assert answer.status_code == 403
    assert "run the command again to get a new one" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_given_the_default_port_when_the_link_is_opened_then_a_host_without_a_port_is_accepted() -> None:
    access = Access(80)

    with Flask("pages").test_request_context(access.link, base_url="http://127.0.0.1"):
        answer = access.check()

    assert access.url == "http://127.0.0.1"
    assert answer is not None
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "path", ["/", "/graph", "/live", "/static/console.css", "/?token=guessed", "/?token="]
)
def test_given_no_cookie_when_a_page_is_requested_then_the_response_is_403(browse: Open, path: str) -> None:
    browser = browse()
    other = browser.client.application.test_client()

    assert other.get(path, base_url=browser.access.url).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "shop.example.com"},
        {"Host": f"attacker.example:{PORT}"},
        {"Host": "127.0.0.1"},
        {"Host": f"127.0.0.1:{PORT + 1}"},
        {"Origin": "https://attacker.example"},
        {"Origin": f"http://127.0.0.1:{PORT + 1}"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_given_another_host_or_origin_when_a_page_is_requested_then_the_response_is_403(
    browse: Open, headers: dict[str, str]
) -> None:
    assert browse().get("/", **headers).status_code == 403


def test_when_a_page_is_requested_then_its_headers_keep_other_pages_and_other_content_out(
    browse: Open,
) -> None:
    headers = browse().get("/", Origin=f"http://127.0.0.1:{PORT}").headers

    policy = dict(each.strip().split(" ", 1) for each in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert policy["frame-ancestors"] == "'none'"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_given_a_method_that_changes_things_when_a_page_is_requested_then_the_response_is_405(
    browse: Open, method: str
) -> None:
    browser = browse()

    answer = browser.client.open("/services/shop/web", method=method, base_url=browser.access.url)

    assert answer.status_code == 405
