"""Every page in every state: its size, and its accessibility in Chromium."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Route
from werkzeug.test import TestResponse

from services.storefront import language
from tests.pages import Visitor, chromium
from tests.services.storefront import tour
from tests.services.storefront.tour import Tour

LARGEST_PAGE: Final = 60_000
"""Bytes of a page with its styles and scripts, without pictures."""
LANGUAGES: Final = sorted(language.NAMES)
HOST: Final = "http://127.0.0.1:8085"

toured = cache(tour.take)


def transferred(response: TestResponse) -> int:
    """Bytes of a response with its headers, without compression."""
    return len(f"HTTP/1.1 {response.status}\r\n{response.headers}") + len(response.data)


@pytest.mark.parametrize("code", LANGUAGES)
def test_given_any_page_when_loaded_for_the_first_time_then_it_is_small(code: str) -> None:
    taken = toured(code)
    sizes = {}
    for name, response in taken.pages.items():
        files = re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', response.text)
        assert files, name
        sizes[name] = transferred(response) + sum(transferred(taken.customer.get(file)) for file in files)

    assert {name: size for name, size in sizes.items() if size > LARGEST_PAGE} == {}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("code", LANGUAGES)
def test_given_any_page_when_shown_then_it_is_accessible_fits_the_window_and_runs_no_foreign_script(
    browser: Browser, code: str
) -> None:
    taken = toured(code)
    context = browser.new_context(reduced_motion="reduce")
    context.route("**/*", lambda route: answer(route, taken))
    visitor = Visitor(context, f"{HOST}/tour/catalog")

    flaws = {}
    for name in taken.pages:
        visitor.opens(f"/tour/{name}").wait_for_selector("h1")
        if found := visitor.flaws_in_every_appearance():
            flaws[name] = found
        visitor.problems.clear()
    context.close()

    assert flaws == {}


def answer(route: Route, taken: Tour) -> None:
    """Answers with a page of the tour, or with that to which it refers."""
    split = urlsplit(route.request.url)
    name = unquote(split.path).removeprefix("/tour/")
    response = taken.pages.get(name) or taken.customer.get(f"{split.path}?{split.query}")

    route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.data)
