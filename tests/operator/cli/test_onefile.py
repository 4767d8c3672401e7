"""`kubectl shop` as one file: built as the how-to says, run with nothing of ours beside it."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server
from tests.operator.cli.test_installing import ROOT, SHOPSERVICE, Person, blocks, owner_of_python

pytestmark = pytest.mark.slow

LARGEST: Final = 12_000_000
"""Bytes of the file; 208 MB are installed by pip."""


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A user who has the file on PATH, under both its names."""
    found = owner_of_python(tmp_path_factory.mktemp("onefile") / "home")
    command = [sys.executable, str(ROOT / "dev/plugin"), "--output", str(found.home / "bin/kubectl-shop")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    (found.home / "bin/kubectl_complete-shop").symlink_to(found.home / "bin/kubectl-shop")
    return found


def test_given_no_other_package_when_the_single_file_runs_then_it_is_small_and_the_commands_work(
    person: Person,
) -> None:
    assert (person.home / "bin/kubectl-shop").stat().st_size < LARGEST
    assert person.run("python3", "-c", "import shop_operator").returncode == 1

    done = person.run("kubectl-shop", "--help")

    assert done.stderr == ""
    assert "Usage: kubectl shop" in done.stdout
    assert "kind: Deployment" in person.run("kubectl-shop", "render", "-f", "-", given=SHOPSERVICE).stdout
    assert person.run("kubectl_complete-shop", "exp").stdout.startswith("explain\t")


def test_given_a_kubeconfig_when_the_single_file_runs_then_it_reads_from_that_cluster(
    person: Person, server: Server, program: Program
) -> None:
    server.objects.append(shopservice())

    done = person.run("kubectl-shop", "--kubeconfig", str(program.kubeconfig), "status", "web")

    assert done.stderr == ""
    assert done.stdout.splitlines()[1].split() == ["web", "2/2", "True", "Ready", "web:2"]


def test_given_no_other_package_when_the_single_file_serves_its_page_then_it_contains_flask(
    person: Person, program: Program
) -> None:
    path = f"{person.home}/bin:/usr/bin:/bin"
    command = ["kubectl-shop", "--kubeconfig", str(program.kubeconfig), "ui"]
    with subprocess.Popen(
        command,
        env={"PATH": path, "HOME": str(person.home)},
        cwd=person.home,
        stdout=subprocess.PIPE,
        text=True,
    ) as page:
        assert page.stdout is not None
        line = page.stdout.readline()
        page.terminate()

    assert line.startswith("http://127.0.0.1:")
    assert page.returncode in {0, -15}


def test_when_the_single_file_runs_twice_then_it_is_unpacked_once_with_mode_700(person: Person) -> None:
    person.run("kubectl-shop", "--version")
    person.run("kubectl-shop", "--version")

    (unpacked,) = (person.home / ".cache/kubectl-shop").iterdir()
    assert unpacked.parent.stat().st_mode & 0o777 == 0o700


def test_given_a_single_file_for_another_python_when_it_runs_then_it_says_so_and_exits_with_126(
    person: Person, tmp_path: Path
) -> None:
    person.run("kubectl-shop", "--version")
    (unpacked,) = (person.home / ".cache/kubectl-shop").iterdir()
    module = unpacked / "shop_operator" / "api" / "v1alpha1" / "spec.py"
    module.rename(tmp_path / "away")
    try:
        done = person.run("kubectl-shop", "status")
    finally:
        (tmp_path / "away").rename(module)

    assert done.returncode == 126
    assert "build one for it with `make plugin`" in done.stderr


def test_given_the_how_to_then_it_names_an_existing_make_target_for_the_single_file() -> None:
    (commands,) = blocks("As a single file")

    assert commands.splitlines()[0].split("#")[0].strip() == "make plugin"
    assert "\nplugin:" in (ROOT / "Makefile").read_text()
