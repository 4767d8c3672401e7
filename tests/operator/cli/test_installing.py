"""The commands of the how-to, run as they stand there, and what comes of them with nothing else on the machine."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[3]
HOW_TO: Final = ROOT / "docs/how-to/install-the-kubectl-plugin.md"
SHOPSERVICE: Final = yaml.safe_dump(
    {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "web"},
        "spec": {"image": "web:1"},
    }
)
# Of what builds a distribution, pip takes what that asks for.
BUILDERS: Final = frozenset({"pip", "setuptools", "wheel", "shop-operator"})


def blocks(heading: str) -> list[str]:
    """The indented blocks below a heading of the how-to."""
    _, _, below = HOW_TO.read_text().partition(f"\n## {heading}\n")
    section, _, _ = below.partition("\n## ")
    return [
        re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
        for block in re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", section, re.MULTILINE)
    ]


@dataclass
class Person:
    """A user with krew, a Python, and no project files.

    Args:
        home: where krew keeps its things.
    """

    home: Path

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        path = f"{self.home}/.krew/bin:{self.home}/bin:/usr/bin:/bin"
        return subprocess.run(
            command,
            env={"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"},
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def owner_of_python(home: Path) -> Person:
    """A user whose python3 is the one below this virtual environment."""
    (home / "bin").mkdir(parents=True)
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (home / "bin/python3").symlink_to(base.resolve())
    return Person(home)


def built(checkout: Path, commands: str) -> None:
    """Run them in a checkout, with the versions that this environment has."""
    shutil.copytree(
        ROOT / "operator",
        checkout / "operator",
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
    known = {each.name.lower(): each.version for each in distributions() if each.name}
    pinned = [f"{name}=={version}\n" for name, version in known.items() if name not in BUILDERS]
    (checkout / "constraints").write_text("".join(pinned))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={**os.environ, "PATH": path, "PIP_CONSTRAINT": str(checkout / "constraints"), "PIP_QUIET": "1"},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A user who has installed the archive as krew does: unpacked, with a link to its program."""
    build, manifest, link = blocks("With krew")
    folder = tmp_path_factory.mktemp("krew")
    built(folder / "checkout", build)
    found = owner_of_python(folder / "home")
    store = found.home / ".krew/store/shop/v0.1.0"
    store.mkdir(parents=True)
    (found.home / ".krew/bin").mkdir()
    (platform,) = yaml.safe_load(manifest)["spec"]["platforms"]
    shutil.unpack_archive(folder / "checkout" / Path(platform["uri"]).name, store, filter="data")
    (found.home / ".krew/bin/kubectl-shop").symlink_to(store / platform["bin"])
    shutil.rmtree(folder / "checkout")
    done = found.run("bash", "-euc", link)
    assert done.returncode == 0, done.stderr
    yield found
    shutil.rmtree(folder)


def test_given_no_other_package_when_the_krew_archive_runs_then_the_commands_work(person: Person) -> None:
    assert person.run("python3", "-c", "import shop_operator").returncode == 1

    done = person.run("kubectl-shop", "render", "-f", "-", given=SHOPSERVICE)

    assert done.stderr == ""
    kinds: set[Any] = {each["kind"] for each in yaml.safe_load_all(done.stdout)}
    assert {"Deployment", "Service"} <= kinds
    version = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]["version"]
    assert person.run("kubectl-shop", "--version").stdout == f"kubectl shop, version {version}\n"
    assert "no cluster is configured" in person.run("kubectl-shop", "status").stderr


def test_given_the_krew_archive_when_the_completion_program_runs_then_it_prints_completions(
    person: Person,
) -> None:
    words = person.run("kubectl_complete-shop", "exp").stdout.splitlines()

    assert words[0].startswith("explain\t")
    assert words[-1] == ":4"


def test_given_the_package_then_it_has_the_programs_of_the_pipx_instructions(person: Person) -> None:
    programs = {path.name for path in (person.home / ".krew/store/shop/v0.1.0/lib/bin").iterdir()}

    assert {"kubectl-shop", "kubectl_complete-shop"} <= programs
    assert blocks("With pipx")[0] == 'pipx install "./operator[cli,ui]"\n'


def test_given_an_archive_for_another_python_when_it_runs_then_it_says_so_and_exits_with_126(
    tmp_path: Path,
) -> None:
    person = owner_of_python(tmp_path / "home")
    shutil.copy(ROOT / "operator/shop_operator/cli/krew.py", person.home / "bin/kubectl-shop")

    done = person.run("kubectl-shop", "status")

    assert done.returncode == 126
    assert f"was not built for Python {sys.version_info.major}.{sys.version_info.minor}." in done.stderr
    assert done.stderr.endswith("; install the archive for this platform, or build it.\n")
