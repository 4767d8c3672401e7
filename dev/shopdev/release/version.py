"""Versions of releases: Semantic Versioning 2.0.0 without build metadata, which image tags cannot contain."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shopdev.console import CommandError

_NUMBER = r"(?:0|[1-9]\d*)"
_FORM = re.compile(
    rf"(?P<numbers>{_NUMBER}\.{_NUMBER}\.{_NUMBER})"
    rf"(?:-(?P<prerelease>(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
)


@dataclass(frozen=True)
class Version:
    """A version, such as 1.2.3 or 1.2.3-rc.1."""

    text: str

    @classmethod
    def of(cls, text: str) -> "Version":
        """The version in a text.

        Raises:
            CommandError: when the text is no version.
        """
        if not _FORM.fullmatch(text):
            raise CommandError(
                f"{text!r} is not a version: use the form 1.2.3 or 1.2.3-rc.1, without a leading v"
            )
        return cls(text)

    @property
    def tag(self) -> str:
        """The name of its Git tag."""
        return f"v{self.text}"

    @property
    def is_prerelease(self) -> bool:
        """Whether it has a suffix such as -rc.1."""
        return "-" in self.text

    @property
    def order(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        """Sorts versions by their precedence: a prerelease comes before its release, and numbers before words."""
        numbers, _, prerelease = self.text.partition("-")
        words = tuple(
            (not each.isdigit(), int(each) if each.isdigit() else 0, each)
            for each in prerelease.split(".")
            if each
        )
        return tuple(map(int, numbers.split("."))), not prerelease, words


def of_tags(tags: Iterable[str]) -> list[Version]:
    """The versions of Git tags, oldest first; other tags are skipped."""
    found = [Version(tag[1:]) for tag in tags if tag.startswith("v") and _FORM.fullmatch(tag[1:])]
    return sorted(found, key=lambda each: each.order)


def must_follow(version: Version, tags: Iterable[str]) -> None:
    """Check that a version is newer than every other one that has a tag.

    Raises:
        CommandError: names the newest version.
    """
    others = [each for each in of_tags(tags) if each != version]
    if others and others[-1].order > version.order:
        raise CommandError(f"{version.text} is not newer than {others[-1].text}, which has the newest tag")
