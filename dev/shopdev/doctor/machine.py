"""The facts about this machine on which the commands depend."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopdev.checkout import ROOT
from shopdev.cluster import cgroups, chromium, debian, tools
from shopdev.cluster.paths import Paths, cache
from shopdev.cluster.progress import ClusterError
from shopdev.launcher import ENVIRONMENT

_ADMINISTER_NETWORK: Final = 12
_ADMINISTER_SYSTEM: Final = 21
"""Numbers of capabilities of Linux (capabilities(7))."""
_CONTROLLERS: Final = frozenset({"cpu", "memory", "pids"})
"""The controllers of cgroups that the kubelet needs for the pods."""


@dataclass(frozen=True)
class Disk:
    """A file system.

    Attributes:
        device: number that two folders on one file system share.
        free: free bytes.
    """

    device: int
    free: int


@dataclass(frozen=True)
class Machine:
    """Facts about a machine.

    Attributes:
        system: name of the operating system, such as Linux.
        architecture: name of the processor architecture, such as x86_64.
        python: major and minor version of the Python that runs the commands.
        environment: whether .venv exists.
        ensurepip: whether Python can create .venv.
        root: whether the user is root.
        capabilities: whether the process may administer the system and the network, as root in a container often may not.
        apt: whether apt-get exists.
        packages: Debian packages that the local node needs and that are missing.
        chromium: whether Chromium is installed.
        go: why Go cannot build the tools; empty if it can.
        unbuilt: names of the pinned tools that are not in the cache.
        controllers: controllers of cgroups that are missing.
        writable_cgroups: whether the root group can be changed.
        overlay: whether the kernel has the overlay file system.
        memory: available bytes; None if unknown.
        taken: TCP ports of loopback on which a process listens, of those in question.
        engine: whether docker or podman responds.
        programs: programs on PATH, of those in question.
        cluster: whether the cluster of the current kube context responds.
        disks: purpose of a folder -> its file system.
    """

    system: str
    architecture: str
    python: tuple[int, int]
    environment: bool
    ensurepip: bool
    root: bool
    capabilities: bool
    apt: bool
    packages: frozenset[str]
    chromium: bool
    go: str
    unbuilt: frozenset[str]
    controllers: frozenset[str]
    writable_cgroups: bool
    overlay: bool
    memory: int | None
    taken: frozenset[int]
    engine: bool
    programs: frozenset[str]
    cluster: bool
    disks: Mapping[str, Disk]


def read(ports: Collection[int], programs: Collection[str]) -> Machine:
    """The facts about this machine.

    Args:
        ports: the ports to check.
        programs: the programs to look for.
    """
    linux = platform.system() == "Linux"
    found = frozenset(each for each in programs if shutil.which(each))
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        python=sys.version_info[:2],
        environment=ENVIRONMENT.is_dir(),
        ensurepip=importlib.util.find_spec("ensurepip") is not None,
        root=os.geteuid() == 0,
        capabilities=linux and _has_capabilities(Path("/proc/self/status").read_text(encoding="utf-8")),
        apt=shutil.which("apt-get") is not None,
        packages=frozenset(debian.missing()),
        chromium=chromium.found() is not None,
        go=_problem_of_go(),
        unbuilt=frozenset(each for each in tools.names() if not tools.folder(each).is_dir()),
        controllers=_CONTROLLERS - cgroups.controllers() if linux else frozenset(),
        writable_cgroups=os.access(cgroups.memory(), os.W_OK),
        overlay=linux and "\toverlay" in Path("/proc/filesystems").read_text(encoding="utf-8"),
        memory=_available(Path("/proc/meminfo").read_text(encoding="utf-8")) if linux else None,
        taken=frozenset(each for each in ports if _listens(each)),
        engine=any(_succeeds(each, "info") for each in ("docker", "podman")),
        programs=found,
        cluster="kubectl" in found and _succeeds("kubectl", "version", "--request-timeout=5s"),
        disks={
            "checkout": _disk(ROOT),
            "cache": _disk(cache()),
            "go": _disk(Path(os.environ.get("GOCACHE") or Path.home() / ".cache" / "go-build")),
            "node": _disk(Paths().state),
        },
    )


def _has_capabilities(status: str) -> bool:
    (line,) = (each for each in status.splitlines() if each.startswith("CapEff:"))
    held = int(line.split()[1], 16)
    return all(held >> each & 1 for each in (_ADMINISTER_NETWORK, _ADMINISTER_SYSTEM))


def _available(meminfo: str) -> int:
    (line,) = (each for each in meminfo.splitlines() if each.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _problem_of_go() -> str:
    try:
        tools.check_go()
    except ClusterError as error:
        return str(error)
    return ""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=15)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _disk(folder: Path) -> Disk:
    """The file system on which a folder is, or will be."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return Disk(there.stat().st_dev, shutil.disk_usage(there).free)
