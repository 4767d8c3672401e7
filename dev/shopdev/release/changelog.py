"""The section of a version in CHANGELOG.md, its upgrade notes, and its entries as Artifact Hub lists them."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shopdev.console import CommandError
from shopdev.release.version import Version

UNRELEASED = "## [Unreleased]"
NOTES_UNRELEASED = "### Unreleased"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
# Such as ([how-to](docs/how-to/scale-by-queue.md)), which means nothing without its link.
_REFERENCE = re.compile(r"\s\(\[[^\]]+\]\([^)]+\)\)")


@dataclass(frozen=True)
class Change:
    """One entry of a changelog.

    Args:
        kind: its group in lower case, such as `added`.
        part: the part of the project in the line above it, such as `The shop`; empty without one.
        description: its text in one line, without links and code marks.
    """

    kind: str
    part: str
    description: str


def section(changelog: str, version: Version) -> str:
    """The text below the heading of a version.

    Raises:
        CommandError: when the changelog has no such heading, or nothing below it.
    """
    heading = rf"^## \[{re.escape(version.text)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n"
    _, *below = re.split(heading, changelog, maxsplit=1, flags=re.MULTILINE)
    text = re.split(r"^## ", below[0], maxsplit=1, flags=re.MULTILINE)[0].strip() if below else ""
    if not text:
        raise CommandError(
            f"CHANGELOG.md has no section for {version.text}: run `dev/release {version.text} --prepare`, "
            "which dates the unreleased changes"
        )
    return text


def dated(changelog: str, version: Version, date: str) -> str:
    """The changelog with the unreleased changes as the section of a version, unless it has that section.

    Raises:
        CommandError: when there are no unreleased changes.
    """
    if f"## [{version.text}] - " in changelog:
        return changelog
    above, heading, below = changelog.partition(f"{UNRELEASED}\n")
    if not heading or below.lstrip().startswith("## "):
        raise CommandError(
            f"CHANGELOG.md has no changes below {UNRELEASED!r} that {version.text} would release"
        )
    return f"{above}{heading}\n## [{version.text}] - {date}\n{below}"


def notes(page: str, version: Version) -> str:
    """The steps of an upgrade to a version, from the page on upgrades; empty if the version needs none."""
    _, *below = re.split(rf"^### {re.escape(version.text)}\n", page, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^##", below[0], maxsplit=1, flags=re.MULTILINE)[0].strip() if below else ""


def dated_notes(page: str, version: Version) -> str:
    """The page on upgrades with the unreleased notes as those of a version, unless it has notes for it."""
    if f"### {version.text}\n" in page:
        return page
    return page.replace(f"{NOTES_UNRELEASED}\n", f"### {version.text}\n", 1)


def with_links(text: str, source: str, folder: str = "") -> str:
    """The text with absolute links, for a reader outside the repository.

    Args:
        text: Markdown with links to files of the repository.
        source: URL of the files of the tag.
        folder: folder of the page that contains the text.
    """

    def absolute(found: re.Match[str]) -> str:
        target = found[2]
        if "://" in target or target.startswith("#"):
            return found[0]
        return f"[{found[1]}]({source.rstrip('/')}/{posixpath.normpath(posixpath.join(folder, target))})"

    return _LINK.sub(absolute, text)


def changes(text: str) -> Iterator[Change]:
    """The entries of a section, in its order."""
    kind = part = ""
    for paragraph in re.split(r"\n(?=- |### )|\n\n+", text):
        if paragraph.startswith("### "):
            kind, part = paragraph[4:].strip().lower(), ""
        elif paragraph.startswith("- "):
            yield Change(kind, part, _plain(paragraph[2:]))
        elif kind:
            part = _plain(paragraph).rstrip(":")


def _plain(text: str) -> str:
    return " ".join(_LINK.sub(r"\1", _REFERENCE.sub("", text)).replace("`", "").split())
