"""The parent cgroups of the pods of a node, for cgroup v1 (also hybrid) and v2."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> None:
    """Create the root group of the node in every hierarchy, with the controllers that its pods need."""
    if (ROOT / "cgroup.controllers").exists():
        available = (ROOT / "cgroup.controllers").read_text().split()
        enable = " ".join(f"+{each}" for each in available)
        (ROOT / "cgroup.subtree_control").write_text(enable)
        (ROOT / name).mkdir(exist_ok=True)
        (ROOT / name / "cgroup.subtree_control").write_text(enable)
        return
    for hierarchy in _hierarchies():
        with contextlib.suppress(OSError):
            (hierarchy / name).mkdir(exist_ok=True)
        # A new cpuset is empty, and no process can run in an empty one.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists():
                (hierarchy / name / file).write_text((hierarchy / file).read_text())


def controllers() -> set[str]:
    """The available controllers."""
    if (ROOT / "cgroup.controllers").exists():
        return set((ROOT / "cgroup.controllers").read_text().split())
    return {controller for hierarchy in _hierarchies() for controller in hierarchy.name.split(",")}


def memory() -> Path:
    """The hierarchy with the memory limits."""
    return ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "memory"


def kill(name: str) -> None:
    """Kill every process of the pods of the node."""
    for hierarchy in _hierarchies():
        for procs in (hierarchy / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                for pid in procs.read_text().split():
                    kill_process(int(pid))


def kill_process(pid: int) -> None:
    """Kill one process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def remove(name: str, seconds: float = 10.0) -> None:
    """Remove the groups, innermost first, and retry those with a dying process until the deadline."""
    end = time.monotonic() + seconds
    while _kept(name) and time.monotonic() < end:
        time.sleep(0.05)


def _kept(name: str) -> list[Path]:
    """Try to remove all groups, and return the remaining ones."""
    return [group for group in _groups(name) if not _removed(group)]


def _groups(name: str) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            yield Path(folder)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _hierarchies() -> Iterator[Path]:
    if (ROOT / "cgroup.controllers").exists():
        yield ROOT
    else:
        yield from (each for each in ROOT.iterdir() if each.is_dir() and not each.is_symlink())
