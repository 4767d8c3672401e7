"""The documentation builds as a site in which every link works, and which loads nothing from another host."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from shopdev.checkout import ROOT
from shopdev.documentation.version import version

PAGES: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "services").rglob("README.md")),
    *sorted((ROOT / "charts").glob("*/README.md")),
]
LOADING: Final = {
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
    ("object", "data"),
}
"""Attributes by which a browser loads a file at once; it does so for `link` too, unless the relation only describes."""
DESCRIBING: Final = {"canonical", "prev", "next", "alternate"}
_FENCED: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def built(folder: Path, checkout: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(checkout / "dev/docs"), "--output", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Tags(HTMLParser):
    """The start tags of a page, and those of its navigation."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.navigation: list[str] = []
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.all.append((tag, found))
        if tag == "nav" and (self._depth or "md-nav--primary" in found.get("class", "")):
            self._depth += 1
        if tag == "a" and self._depth:
            self.navigation.append(found.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "nav" and self._depth:
            self._depth -= 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = built(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"docs: open {folder}/index.html, also without a server\n"
    return folder


def pages(site: Path) -> Iterator[tuple[Path, Tags]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Tags(path.read_text())


@pytest.mark.slow
def test_given_the_site_then_it_contains_every_page_and_its_navigation_links_each(site: Path) -> None:
    start = Tags((site / "index.html").read_text())

    linked = {target(site, each) for each in start.navigation if each}

    # The page for unknown addresses has no place in the navigation.
    assert {path.resolve() for path, _ in pages(site)} - {site / "404.html"} == linked
    assert len(linked) == len(PAGES)


def target(site: Path, link: str) -> Path:
    path = (site / link.partition("#")[0]).resolve()
    return path / "index.html" if path.is_dir() else path


@pytest.mark.slow
def test_given_the_site_then_no_page_and_no_style_sheet_loads_from_another_host(site: Path) -> None:
    assert [
        f"{path.relative_to(site)}: {each}"
        for path, tags in pages(site)
        for each in loaded(tags)
        if ":" in each or each.startswith("//")
    ] == []
    assert [
        each.name
        for each in site.rglob("*.css")
        if re.search(r"@import|url\([\"']?(https?:)?//", each.read_text())
    ] == []


def loaded(tags: Tags) -> Iterator[str]:
    for tag, found in tags.all:
        if tag == "link" and found.get("rel") not in DESCRIBING:
            yield found["href"]
        yield from (value for name, value in found.items() if (tag, name) in LOADING)


@pytest.mark.slow
def test_given_a_picture_in_the_site_then_it_has_an_alternative_text(site: Path) -> None:
    pictures = [(path, found) for path, tags in pages(site) for tag, found in tags.all if tag == "img"]

    assert pictures
    assert [f"{path}: {found['src']}" for path, found in pictures if not found.get("alt")] == []


@pytest.mark.slow
def test_given_the_site_then_every_page_shows_the_version_of_the_charts(site: Path) -> None:
    assert [path for path, _ in pages(site) if f"ShopService {version()}" not in path.read_text()] == []


@pytest.mark.slow
def test_given_a_link_to_a_file_outside_the_site_then_the_page_contains_only_its_text(site: Path) -> None:
    page = (site / "services/order/index.html").read_text()

    assert "domain.py" in page
    assert 'href="domain.py"' not in page
    assert 'href="../../how-to/look-after-orders.html' in page


@pytest.mark.slow
def test_given_a_dead_link_a_dead_anchor_and_an_unlisted_page_when_built_then_each_is_named(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "checkout"
    for folder in ("charts", "docs", "services"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("*.py", "templates"))
    shutil.copytree(ROOT / "dev", checkout / "dev", ignore=shutil.ignore_patterns("__pycache__"))
    for each in (ROOT / "mkdocs.yml", *ROOT.glob("*.md")):
        shutil.copy(each, checkout)
    (checkout / "docs/how-to/unlisted.md").write_text(
        "# Unlisted\n\n[a](gone.md) [b](scale-by-hand.md#gone) [c](../../gone.py)\n"
    )

    done = built(tmp_path / "site", checkout)

    assert done.returncode == 1
    for name in ("docs/how-to/unlisted.md", "'gone.md'", "'scale-by-hand.md#gone'", "'../../gone.py'"):
        assert name in done.stderr
    assert 'not included in the "nav"' in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_given_a_page_then_its_lists_and_tables_are_complete_in_the_site(page: Path) -> None:
    """GitHub renders more than Python-Markdown, for which a list needs an empty line before it and four spaces within."""
    text = _FENCED.sub("```", page.read_text())

    assert re.findall(r"\n\n {1,3}[^ \n].*", text) == [], (
        "indent the paragraphs of a list item by four spaces"
    )
    assert re.findall(r"^[^-\s|#\d`].*\n(?:- |1\. |\| ).*", text, re.MULTILINE) == [], "add an empty line"
    assert re.findall(r"^```\n(?:- |1\. |\| ).*", text, re.MULTILINE) == [], (
        "add an empty line after the block"
    )
