"""The files and headings to which the pages link exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.headings import anchors

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "services").rglob("*.md")),
]
_CODE: Final = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\((?P<target>[^()\s]+)\)")
# In the documents at the root, paths are relative to it.
_PATH: Final = re.compile(
    r"`((?:charts|dev|docs|manifests|operator|requirements|services|tests|\.github|\.ci)/[\w./*-]+)`"
)
_ELSEWHERE: Final = ("https://", "http://", "mailto:")


def dead(page: Path) -> Iterator[str]:
    """The missing targets of the links of a page."""
    for link in _LINK.finditer(_CODE.sub("", page.read_text())):
        target = link["target"]
        if target.startswith(_ELSEWHERE):
            continue
        path, _, fragment = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (fragment and fragment not in anchors(file.read_text())):
            yield target


def absent(text: str, root: Path) -> Iterator[str]:
    """The missing paths in code spans; NAME, TASK and EVENT stand for any name."""
    for path in _PATH.findall(text):
        if not any(root.glob(re.sub(r"\b(NAME|TASK|EVENT)\b", "*", path))):
            yield path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_given_a_page_then_each_of_its_links_has_a_target(page: Path) -> None:
    assert list(dead(page)) == []


def test_given_broken_links_then_each_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The `first` page, again\n\n```\n[a](code.md) # no heading\n```\n`[b](code.md)`\n")
    with page.open("a") as more:
        _ = more.write(
            "[c](page.md#the-first-page-again) [d](#the-first-page-again) [e](https://example.com)\n"
        )
        _ = more.write("[f](gone.md) [g](page.md#gone) [h](#no-heading)\n")

    assert list(dead(page)) == ["gone.md", "page.md#gone", "#no-heading"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_given_a_document_at_the_root_then_each_path_in_it_exists(page: Path) -> None:
    assert list(absent(page.read_text(), ROOT)) == []


def test_given_missing_paths_then_each_is_named(tmp_path: Path) -> None:
    (tmp_path / "services/order").mkdir(parents=True)
    (tmp_path / "services/order/api.py").touch()
    text = "`services/NAME/api.py` `services/order/` `services/NAME/gone.py` `services/gone/api.py` `order/api.py`"

    assert list(absent(text, tmp_path)) == ["services/NAME/gone.py", "services/gone/api.py"]
