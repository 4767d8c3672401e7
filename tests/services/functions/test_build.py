"""The zip of a function is reproducible, and contains everything that the function needs and nothing else."""

import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

from services.common.aws import clients
from shopdev.lambdas import build, packages

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
# What the order function reads when its module is loaded.
ENVIRONMENT = {
    "TABLE": "none",
    "TASKS_QUEUE_URL": "none",
    "EVENTS_QUEUE_URL": "none",
    "EVENTS_TOPIC_ARN": "none",
    "TOKENS_TABLE": "none",
    "STATE_MACHINE_ARN": "none",
    "AWS_REGION": "us-east-1",
    "AUTH": "off",
}


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # Without the virtual environment's Python before the system's, as in a shell that was not told of it.
    environment = {"PATH": os.defpath, "HOME": os.environ["HOME"], **_registry()}
    return subprocess.run(
        [sys.executable, str(ROOT / "dev" / "functions"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def _registry() -> dict[str, str]:
    """Where this machine gets packages from."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}


@pytest.fixture(scope="module")
def zips() -> dict[str, Path]:
    built = build.build(lambda line: sys.stderr.write(f"{line}\n"))
    return {file.stem: file for file in built}


def test_given_the_same_sources_when_two_processes_build_then_one_builds_and_the_zips_are_identical(
    zips: dict[str, Path], tmp_path: Path
) -> None:
    build_again = ("build", "--folder", str(tmp_path), "place-order")
    with ThreadPoolExecutor(2) as pool:
        idle, busy = sorted(
            pool.map(lambda _: command(*build_again), range(2)), key=lambda done: len(done.stderr)
        )

    assert (idle.returncode, busy.returncode) == (0, 0), idle.stderr + busy.stderr
    assert idle.stderr == "[1/1] place-order is up to date\n"
    assert "[1/1] place-order.zip" in busy.stderr
    assert (tmp_path / "place-order.zip").read_bytes() == zips["place-order"].read_bytes()


def test_given_unchanged_sources_when_the_functions_are_built_then_no_zip_is_written(
    zips: dict[str, Path],
) -> None:
    before = {name: file.stat().st_mtime_ns for name, file in zips.items()}

    done = command("build")

    assert done.stderr.count("is up to date") == len(build.FUNCTIONS)
    assert {name: file.stat().st_mtime_ns for name, file in zips.items()} == before


def test_given_an_unknown_function_when_it_is_built_then_the_error_names_the_known_functions() -> None:
    done = command("build", "place-oder")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"dev/functions: unknown function place-oder; known functions: {', '.join(build.FUNCTIONS)}"
    ]


@pytest.mark.parametrize("name", build.FUNCTIONS)
def test_given_a_zip_when_its_files_are_listed_then_it_contains_its_service_and_no_files_unused_by_lambda(
    zips: dict[str, Path], name: str
) -> None:
    with zipfile.ZipFile(zips[name]) as archive:
        files = archive.namelist()
        times = {entry.date_time for entry in archive.infolist()}
    folders = {part for file in files for part in file.split("/")[:-1]}

    assert zips[name].stat().st_size < build.LARGEST
    assert files == sorted(files)
    assert times == {(1980, 1, 1, 0, 0, 0)}
    assert not folders & {"pip", "setuptools", "gunicorn", "tests", "test", ".git", ".pytest_cache", "bin"}
    assert f"services/{build.FUNCTIONS[name]}/function.py" in files
    services = {file.split("/")[1] for file in files if file.startswith("services/")}
    assert services == {"__init__.py", "__pycache__", "common", build.FUNCTIONS[name]}
    # Bytecode of what is there, and of nothing else.
    compiled = {file for file in files if file.endswith(".pyc")}
    sources = {file for file in files if file.endswith(".py")}
    assert len(compiled) == len(sources)


def test_given_only_the_content_of_a_zip_when_its_function_is_imported_then_it_starts_with_all_aws_clients(
    zips: dict[str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(zips["place-order"]) as archive:
        archive.extractall(tmp_path)
    names = sorted(set(get_args(clients.Name)))
    check = f"""
import sys
sys.path[:] = [{str(tmp_path)!r}] + [path for path in sys.path if "site-packages" not in path]
from services.order.function import handler
from services.common.aws import clients
from services.order.config import Settings
for name in {names}:
    assert clients.client(name, Settings.load()).meta.service_model.service_name == name
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", check],
        env={"PATH": os.defpath, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_given_another_lock_file_when_its_packages_cannot_be_installed_then_the_key_differs_and_no_files_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = packages.key()
    other = tmp_path / "services.txt"
    other.write_text("flask==3.1.3 --hash=sha256:0\n", encoding="utf-8")
    monkeypatch.setattr(packages, "REQUIREMENTS", other)

    assert packages.key() != before
    with pytest.raises(packages.BuildFailed, match="cannot be installed"):
        packages.install(tmp_path / "packages")
    assert not (tmp_path / "packages").exists()
