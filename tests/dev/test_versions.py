"""The charts, the wheel and the changelog have the same version, and the changelog is well formed."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHANGELOG: Final = (ROOT / "CHANGELOG.md").read_text()
KREW: Final = ROOT / "docs/how-to/install-the-kubectl-plugin.md"
GROUPS: Final = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
CHARTS: Final = sorted(each.parent.name for each in (ROOT / "charts").glob("*/Chart.yaml"))
RELEASE: Final = re.compile(r"\[(?P<version>\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}")


def wheel() -> str:
    """The version of the Python package, as in `kubectl shop --version`."""
    project: dict[str, Any] = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]
    found: str = project["version"]
    return found


def sections(changelog: str) -> dict[str, list[str]]:
    """The groups below each heading of a version."""
    _, *found = re.split(r"^## ", changelog, flags=re.MULTILINE)
    return {each.split("\n", 1)[0]: re.findall(r"^### (.+)$", each, re.MULTILINE) for each in found}


def releases(changelog: str) -> Iterator[str]:
    """The versions of a changelog in its order, without the unreleased changes.

    Raises:
        AssertionError: when a heading has no version or no date.
    """
    first, *found = sections(changelog)
    assert first == "[Unreleased]"
    for heading in found:
        release = RELEASE.fullmatch(heading)
        assert release, f"{heading!r} is not of the form [1.2.3] - 2026-01-31"
        yield release["version"]


def test_given_the_changelog_then_its_newest_release_is_the_version_of_the_wheel() -> None:
    assert next(releases(CHANGELOG)) == wheel()


@pytest.mark.parametrize("chart", CHARTS)
def test_given_a_chart_then_it_and_its_local_dependencies_have_the_version_of_the_wheel(chart: str) -> None:
    found = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())

    versions = {
        found["version"],
        found.get("appVersion", wheel()),
        *(each["version"] for each in found.get("dependencies", ())),
    }

    assert versions == {wheel()}


def test_given_the_krew_manifest_then_it_has_the_version_of_the_wheel() -> None:
    assert re.findall(r"^ +version: v(\S+)$", KREW.read_text(), re.MULTILINE) == [wheel()]


def test_given_the_changelog_then_its_releases_are_ordered_newest_first() -> None:
    found = [tuple(map(int, each.split("."))) for each in releases(CHANGELOG)]

    assert found == sorted(set(found), reverse=True)


def test_given_a_release_in_the_changelog_then_its_groups_are_those_of_keep_a_changelog_in_order() -> None:
    for heading, groups in sections(CHANGELOG).items():
        assert groups == [each for each in GROUPS if each in groups], heading


@pytest.mark.parametrize("heading", ["0.2.0", "[0.2.0]", "[0.2] - 2026-12-01", "[0.2.0] - soon"])
def test_given_a_heading_without_a_version_or_a_date_then_it_is_refused(heading: str) -> None:
    with pytest.raises(AssertionError):
        _ = list(releases(f"# Changelog\n\n## [Unreleased]\n\n## {heading}\n"))


def test_given_no_unreleased_heading_then_the_changelog_is_refused() -> None:
    with pytest.raises(AssertionError):
        _ = list(releases("# Changelog\n\n## [0.2.0] - 2026-12-01\n"))
