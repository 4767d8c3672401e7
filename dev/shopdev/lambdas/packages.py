"""The Python packages of the functions: those of requirements/services.txt, for the Linux of AWS Lambda.

They include boto3, although Lambda provides it: that version is older, differs between regions and changes without notice, and the
functions must run the tested one. The descriptions of unused services, which are most of boto3, are left out. Bytecode is
included, because the file system of Lambda is read-only and each cold start would compile the code again.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

from services.common.aws import clients
from shopdev.checkout import ROOT
from shopdev.console import CommandError

REQUIREMENTS = ROOT / "requirements" / "services.txt"
PYTHON = (3, 11)
PLATFORM = "x86_64-manylinux2014"
# The folder of the code in Lambda, which tracebacks show.
TASK_ROOT = "/var/task"
# Not needed where API Gateway is the server.
LEFT_OUT = frozenset({"gunicorn"})
_NAME = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)
_UNUSED_FOLDERS = frozenset({"__pycache__", "bin", "test", "tests"})
_UNUSED_FILES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", ".lock"})
_UNUSED_ENDINGS = frozenset({".pyc", ".pyi", ".c", ".h", ".pyx", ".pxd"})


class BuildFailed(CommandError):
    """The packages cannot be installed; the message says why."""


def key() -> str:
    """A hash of everything on which the packages depend."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    for part in (
        Path(__file__).read_bytes(),
        sys.version.encode(),
        repr(sorted(get_args(clients.Name))).encode(),
    ):
        digest.update(part)
    return digest.hexdigest()


def install(target: Path) -> None:
    """Install the packages into a new folder.

    Raises:
        BuildFailed: with the output of the installer.
    """
    if sys.version_info[:2] != PYTHON:
        # Lambda cannot use the bytecode of another version.
        raise BuildFailed(
            f"building the functions requires Python {'.'.join(map(str, PYTHON))}; run dev/bootstrap"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(_requirements(), encoding="utf-8")
        made = Path(folder) / "packages"
        _run_installer(wanted, made)
        _prune(made)
        compile_all(made)
        made.rename(target)


def _requirements() -> str:
    """The lock file without the packages in LEFT_OUT. An entry begins at the start of a line."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", REQUIREMENTS.read_text(encoding="utf-8"))
    return "".join(each for each in entries if not ((name := _NAME.match(each)) and name[1] in LEFT_OUT))


def _run_installer(wanted: Path, made: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "uv"),
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--link-mode", "copy", "--python-platform", PLATFORM),
        *("--python-version", ".".join(map(str, PYTHON)), "--target", str(made), "-r", str(wanted)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"the packages cannot be installed: {' '.join(done.stderr.split())}")


def _prune(made: Path) -> None:
    for folder in sorted(made.rglob("*"), reverse=True):
        if folder.is_dir() and folder.name in _UNUSED_FOLDERS:
            shutil.rmtree(folder)
    for file in list(made.rglob("*")):
        if file.is_file() and (file.name in _UNUSED_FILES or file.suffix in _UNUSED_ENDINGS):
            file.unlink()
    called = set(get_args(clients.Name))
    for service in (made / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in called:
            shutil.rmtree(service)
    shutil.rmtree(made / "boto3" / "data", ignore_errors=True)  # of resources, which are unused here


def compile_all(folder: Path, below: str = "") -> None:
    """Add reproducible bytecode, which Python uses without checking the time of the source.

    Args:
        folder: folder to compile.
        below: its path in the task root of Lambda.
    """
    where = str(Path(TASK_ROOT) / below)
    command = [
        sys.executable,
        *("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", where, str(folder)),
    ]
    # The order of sets in the bytecode depends on the hash seed.
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"the code cannot be compiled: {' '.join(done.stdout.split())}")
