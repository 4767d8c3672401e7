"""A copy of the checkout with the version of the release, and the places that contain the version."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.console import CommandError
from shopdev.release import changelog
from shopdev.release.version import Version

CHARTS = ("shop-operator", "shop-service", "shop", "local-aws")
CHANGELOG = "CHANGELOG.md"
UPGRADES = "docs/how-to/upgrade-the-operator.md"
_PROJECT = "operator/pyproject.toml"
# File -> expressions, in which VERSION stands for the present version. Each has to match.
_PLACES: Mapping[str, tuple[str, ...]] = {
    _PROJECT: (r'^version = "(VERSION)"$',),
    **{f"charts/{name}/Chart.yaml": (r"^version: (VERSION)$",) for name in CHARTS},
    "charts/shop/values.yaml": (r"^    tag: (VERSION)$",),
    "charts/shop/README.md": (r'^\| `global\.image\.tag` \| `"(VERSION)"`',),
    "charts/shop-operator/README.md": (r"/shop-operator:(VERSION)\b",),
    "docs/how-to/install-the-kubectl-plugin.md": (r"^ +version: v(VERSION)$",),
    "manifests/install.yaml": (r"^ +app\.kubernetes\.io/version: (VERSION)$", r"/shop-operator:(VERSION)$"),
}
# Charts that have an appVersion or local dependencies in addition.
_ALSO: Mapping[str, str] = {
    "charts/shop-operator/Chart.yaml": r"^appVersion: (VERSION)$",
    "charts/local-aws/Chart.yaml": r"^appVersion: (VERSION)$",
    "charts/shop/Chart.yaml": r"(?:^appVersion|\bversion): (VERSION)\b",
}


def copy(target: Path, source: Path = ROOT) -> None:
    """Copy the files that Git tracks, with uncommitted changes."""
    listed = subprocess.run(
        ["git", "-C", str(source), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        file = source / name
        if file.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / name)


def set_version(tree: Path, version: Version, date: str) -> list[str]:
    """Write the version into every place, date the changelog and the upgrade notes, and return the changed files.

    Raises:
        CommandError: when a place does not contain the present version, or the changelog has no changes.
    """
    present = tomllib.loads((tree / _PROJECT).read_text(encoding="utf-8"))["project"]["version"]
    changed = {name: _replaced(tree, name, forms, present, version) for name, forms in _PLACES.items()}
    for name, form in _ALSO.items():
        changed[name] = _set(name, changed[name], form, present, version)
    changed[CHANGELOG] = changelog.dated((tree / CHANGELOG).read_text(encoding="utf-8"), version, date)
    changed[UPGRADES] = changelog.dated_notes((tree / UPGRADES).read_text(encoding="utf-8"), version)
    different = [name for name, text in changed.items() if text != (tree / name).read_text(encoding="utf-8")]
    for name in different:
        (tree / name).write_text(changed[name], encoding="utf-8")
    return different


def _replaced(tree: Path, name: str, forms: tuple[str, ...], present: str, version: Version) -> str:
    text = (tree / name).read_text(encoding="utf-8")
    for form in forms:
        text = _set(name, text, form, present, version)
    return text


def _set(name: str, text: str, form: str, present: str, version: Version) -> str:
    expression = re.compile(form.replace("VERSION", re.escape(present)), re.MULTILINE)
    if not expression.search(text):
        raise CommandError(f"{name} does not contain the version {present} of {_PROJECT}: correct it")
    return expression.sub(lambda found: found[0].replace(found[1], version.text), text)
