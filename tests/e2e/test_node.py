"""The local node beside another one: they do not meet, a half-dead one is brought back, a removed one leaves nothing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopdev.cluster.daemon import Daemon
from shopdev.cluster.node import Node
from shopdev.cluster.paths import Paths
from shopdev.demo import target as targets
from tests.e2e.actors import Cluster


@pytest.fixture
def second(target: targets.Target, tmp_path: Path) -> Iterator[Node]:
    if not isinstance(target, targets.LocalNode):
        pytest.skip("the cluster under test is not the local node")
    node = Node(Paths(tmp_path))
    yield node
    node.down()


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def traces(name: str) -> list[str]:
    """Everything of a node that a machine can still have."""
    processes = [entry.name for entry in Path("/proc").glob("[0-9]*") if name in command_line(entry)]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line]
    groups = [str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{name}")]
    folders = [str(path) for path in (Path("/run/netns") / name, Path("/var/lib") / name) if path.exists()]
    return processes + mounts + groups + folders


def test_given_a_second_node_when_it_crashes_and_is_removed_then_it_recovers_and_leaves_no_trace(
    second: Node, cluster: Cluster
) -> None:
    second.up()
    assert second.healthy()
    assert second.environment()["SHOP_URL"] != cluster.env["SHOP_URL"]
    assert "product" in cluster.kubectl("get", "shopservices", "-n", "shop"), "the first one is as it was"
    assert "shop" not in second.kubectl("get", "namespaces"), "the second one is empty"

    for part in ("kube-apiserver", "containerd"):
        pid = Daemon(second.state, part).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert not second.healthy()
    second.up()
    assert second.healthy()

    second.down()
    assert traces(second.paths.name) == []
