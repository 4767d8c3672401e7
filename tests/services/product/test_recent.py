"""Responses of the last second: their age, their number and their tags."""

import pytest

from services.product.recent import KEPT, MOST, Recent


class Page:
    """A response that changes, and counts how often it is rendered."""

    def __init__(self) -> None:
        self.body = b"1"
        self.rendered = 0
        self.time = 1000.0
        self.recent = Recent(lambda: self.time)

    def render(self) -> bytes:
        self.rendered += 1
        return self.body


def test_given_a_response_of_the_last_second_when_it_is_requested_again_then_it_is_not_rendered_again() -> (
    None
):
    page = Page()
    first = page.recent.get("TEA", page.render)
    page.body = b"2"
    page.time += KEPT / 2

    assert page.recent.get("TEA", page.render) is first
    assert page.rendered == 1


def test_given_an_older_response_when_it_is_requested_again_then_it_is_rendered_with_another_tag() -> None:
    page = Page()
    first = page.recent.get("TEA", page.render)
    page.body = b"2"
    page.time += KEPT

    again = page.recent.get("TEA", page.render)

    assert (again.body, again.etag == first.etag) == (b"2", False)


def test_given_an_unchanged_response_when_it_is_rendered_again_then_its_tag_is_the_same() -> None:
    page = Page()
    first = page.recent.get("TEA", page.render)
    page.time += KEPT

    assert page.recent.get("TEA", page.render) == first
    assert page.rendered == 2


def test_given_a_response_that_cannot_be_rendered_when_it_is_requested_again_then_it_is_rendered_again() -> (
    None
):
    page = Page()

    def fail() -> bytes:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        page.recent.get("TEA", fail)

    assert page.recent.get("TEA", page.render).body == b"1"


def test_given_requests_for_many_keys_when_they_are_kept_then_their_number_is_limited() -> None:
    page = Page()

    for number in range(2 * MOST + 1):
        page.recent.get(str(number), page.render)

    assert len(page.recent._kept) <= MOST
