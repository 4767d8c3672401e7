"""The commands in dev/ start with any interpreter; those that clean up or run first need no package."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shopdev import launcher
from shopdev.checkout import ROOT

LAUNCHERS = sorted(
    path.name
    for path in (ROOT / "dev").iterdir()
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env python3\n")
)
WITHOUT_PACKAGES = (["cluster", "--help"], ["delivery", "changed"], ["demo", "--help"], ["doctor", "--help"])
# Of no environment, and with no package that is installed beside the standard library.
BARE = (str(Path(sys.base_prefix) / "bin" / "python3"), "-S", "-E")


def run(*command: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without a virtual environment."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "dev", folder / "dev", ignore=shutil.ignore_patterns("__pycache__", "tools"))
    return folder


def test_given_every_command_of_dev_then_ruff_lints_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert settings["tool"]["ruff"]["extend-include"] == [f"dev/{name}" for name in LAUNCHERS]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHERS)
def test_given_another_interpreter_when_a_command_is_started_then_it_uses_that_of_the_virtual_environment(
    name: str,
) -> None:
    done = run(*BARE, f"dev/{name}", "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: dev/{name} ")
    assert os.access(ROOT / "dev" / name, os.X_OK)


@pytest.mark.parametrize("flag", ["-P", "-I"])
def test_given_an_interpreter_with_a_safe_path_when_a_command_is_started_then_it_finds_its_code(
    bare: Path, flag: str
) -> None:
    done = run(*BARE, flag, "dev/demo", "--help", cwd=bare)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", WITHOUT_PACKAGES, ids=" ".join)
def test_given_no_package_when_a_command_that_needs_none_is_started_then_it_works(
    bare: Path, command: list[str]
) -> None:
    done = run(*BARE, f"dev/{command[0]}", *command[1:], cwd=bare)

    assert done.returncode == 0, done.stderr


def test_given_no_package_when_another_command_is_started_then_the_error_says_what_to_run(bare: Path) -> None:
    done = run(*BARE, "dev/aws", "status", cwd=bare)

    assert done.returncode == 1
    assert done.stderr.startswith("dev/aws: the Python package ")
    assert done.stderr.endswith("; run `dev/bootstrap`, which creates .venv\n")


def test_given_a_missing_module_of_the_project_when_started_then_it_is_not_reported_as_a_missing_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launcher, "ENVIRONMENT", Path(sys.prefix))
    monkeypatch.setattr(sys, "path", list(sys.path))

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        launcher.launch("shopdev.no_such_module")
