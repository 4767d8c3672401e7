"""A memory cgroup with the chart's memory limit of the operator container."""

import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from shopdev.cluster import cgroups

_VALUES: Final = Path(__file__).parents[2] / "charts/shop-operator/values.yaml"


@dataclass(frozen=True)
class MemoryGroup:
    """One cgroup, of version 1 or 2.

    Args:
        path: its folder.
    """

    path: Path

    @property
    def procs(self) -> Path:
        """A process that writes its id here is in the group."""
        return self.path / "cgroup.procs"

    def killed(self) -> int:
        """How many processes of the group the kernel has killed for their memory."""
        file = next(each for each in ("memory.events", "memory.oom_control") if (self.path / each).exists())
        counts = dict(line.split() for line in (self.path / file).read_text().splitlines())
        return int(counts["oom_kill"])

    def limit(self, size: int) -> None:
        """Let the group have so many bytes, and no swap, as a kubelet does."""
        if (self.path / "memory.max").exists():
            (self.path / "memory.max").write_text(str(size))
            (self.path / "memory.swap.max").write_text("0")
            return
        (self.path / "memory.limit_in_bytes").write_text(str(size))
        (self.path / "memory.memsw.limit_in_bytes").write_text(str(size))


def _chart_limit() -> int:
    size = str(yaml.safe_load(_VALUES.read_text())["resources"]["limits"]["memory"])
    return int(size.removesuffix("Mi")) * 1024**2


@contextmanager
def limited() -> Iterator[MemoryGroup]:
    """A new group with the limit of the chart, which needs Linux and root."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        reason = "a memory cgroup needs Linux and root"
        if os.environ.get("CI") == "true":
            pytest.fail(f"this may not be skipped in CI: {reason}")
        pytest.skip(reason)
    name = f"shop-memory-{uuid.uuid4().hex[:8]}"
    cgroups.create(name)
    try:
        # A group of version 2 that has groups below it has no processes.
        group = MemoryGroup(cgroups.memory() / name / "operator")
        group.path.mkdir()
        group.limit(_chart_limit())
        yield group
    finally:
        cgroups.kill(name)
        cgroups.remove(name)
