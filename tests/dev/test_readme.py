"""README shows results of real runs: the trace that the tests expect, and pictures with a text for screen readers."""

import re

from shopdev.checkout import ROOT
from tests import traces

README = (ROOT / "README.md").read_text()


def test_given_the_readme_then_it_shows_the_trace_of_a_shipped_order() -> None:
    assert f"```\n{traces.SHIPPED}\n```" in README


def test_given_the_readme_then_each_of_its_pictures_exists_and_has_a_text() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)

    assert pictures
    assert [path for text, path in pictures if len(text) < 20 or not (ROOT / path).is_file()] == []
