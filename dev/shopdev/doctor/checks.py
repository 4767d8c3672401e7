"""The requirements of the commands, and the checks of a machine against them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shopdev.aws_environment import EMULATOR_PORT
from shopdev.cluster import tools
from shopdev.cluster.node import TOOLS
from shopdev.doctor.machine import Machine

GIB: Final = 1024**3
_OLDEST: Final = (3, 11)
_OF_LAMBDA: Final = (3, 11)
_ARCHITECTURES: Final = frozenset({"x86_64", "amd64", "aarch64", "arm64"})
_ENVIRONMENTS: Final = 1.5 * GIB
_COMPILED: Final = 3 * GIB
_GO_CACHES: Final = 17 * GIB
_IMAGES: Final = 3 * GIB
"""The space for the virtual environments, the compiled tools, the caches of Go while it compiles, and the images."""
_OWN_CLUSTER: Final = "use your own cluster instead: make demo CLUSTER=current REGISTRY=…"


@dataclass(frozen=True)
class Requirements:
    """Requirements of a command besides Python.

    Attributes:
        node: whether it starts the local node.
        functions: whether it builds the Lambda functions.
        tools: the pinned Go tools.
        engine: whether it builds images with docker or podman.
        browser: whether it opens pages in Chromium.
        memory: bytes.
        ports: ports of loopback that it prefers; it chooses free ones for those that are taken.
        programs: further programs.
    """

    node: bool = False
    functions: bool = False
    tools: frozenset[str] = frozenset()
    engine: bool = False
    browser: bool = False
    memory: int = GIB
    ports: tuple[int, ...] = ()
    programs: tuple[str, ...] = ()


class Level(Enum):
    """The effect of a finding."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        level: whether the command fails.
        text: the observed fact.
        fix: what to do; empty if nothing.
    """

    level: Level
    text: str
    fix: str = ""


Check = Callable[[Machine, Requirements], Iterator[Finding]]

_NODE_PORTS: Final = (6443, 8000, EMULATOR_PORT)
_DEMO: Final = Requirements(
    node=True, functions=True, tools=frozenset(TOOLS), memory=3 * GIB, ports=_NODE_PORTS
)
_DEMO_ELSEWHERE: Final = Requirements(
    functions=True, engine=True, ports=(EMULATOR_PORT,), programs=("kubectl", "helm")
)


def requirements(cluster: str) -> Mapping[str, Requirements]:
    """Command -> its requirements.

    Args:
        cluster: the variable CLUSTER, `local` or `current`.
    """
    every = frozenset(tools.names())
    return {
        "dev": Requirements(ports=(*range(8080, 8085), EMULATOR_PORT)),
        "demo": _DEMO if cluster == "local" else _DEMO_ELSEWHERE,
        "test": Requirements(
            node=True, functions=True, tools=every, browser=True, memory=3 * GIB, ports=_NODE_PORTS
        ),
        "bench": Requirements(tools=every),
    }


def findings(machine: Machine, needed: Requirements) -> list[Finding]:
    """The result of every check that applies."""
    return [finding for check in _CHECKS for finding in check(machine, needed)]


def _python(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    version = "Python " + ".".join(map(str, machine.python))
    if machine.python < _OLDEST:
        yield Finding(
            Level.ERROR,
            f"{version} is too old",
            "install Python 3.11, and set PYTHON=/path/to/python3.11",
        )
    elif needed.functions and machine.python != _OF_LAMBDA:
        yield Finding(
            Level.ERROR,
            f"{version} cannot build the Lambda functions, which run on Python 3.11",
            "install Python 3.11, remove .venv, and set PYTHON=/path/to/python3.11",
        )
    else:
        yield Finding(Level.OK, version)
    if machine.environment or machine.ensurepip:
        return
    if machine.root and machine.apt:
        yield Finding(Level.OK, "python3-venv is missing; it will be installed")
    else:
        yield Finding(Level.ERROR, "Python has no venv module", "apt-get install python3-venv")


def _platform(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    where = f"{machine.system} on {machine.architecture}"
    if machine.system not in {"Linux", "Darwin"} or machine.architecture not in _ARCHITECTURES:
        yield Finding(
            Level.ERROR,
            f"{where}: some Python packages have no build for it",
            "use Linux or macOS on x86-64 or arm64",
        )
    elif needed.node and machine.system != "Linux":
        yield Finding(Level.ERROR, f"{where}: the local node requires Linux", _OWN_CLUSTER)
    else:
        yield Finding(Level.OK, where)


def _privileges(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    if not needed.node or machine.system != "Linux":
        return
    if not machine.root:
        yield Finding(
            Level.ERROR, "the local node requires root access", f"run the command as root, or {_OWN_CLUSTER}"
        )
    elif not machine.capabilities:
        yield Finding(
            Level.ERROR,
            "root lacks the capabilities CAP_SYS_ADMIN and CAP_NET_ADMIN, as in an unprivileged container",
            f"start the container with --privileged, or {_OWN_CLUSTER}",
        )
    else:
        yield Finding(Level.OK, "root, with the capabilities for the local node")


def _packages(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    wanted = machine.packages if needed.node and machine.system == "Linux" else frozenset()
    if needed.browser and not machine.chromium:
        wanted |= {"chromium"}
    if not wanted:
        return
    listed = " ".join(sorted(wanted))
    if machine.apt and machine.root:
        yield Finding(Level.OK, f"these packages are missing; they will be installed: {listed}")
    else:
        tool = f"apt-get install {listed}" if machine.apt else f"install these packages: {listed}"
        yield Finding(Level.ERROR, f"these packages are missing: {listed}", tool)


def _kernel(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    if not needed.node or machine.system != "Linux":
        return
    if machine.controllers:
        yield Finding(
            Level.ERROR,
            f"these cgroup controllers are missing: {' '.join(sorted(machine.controllers))}",
            "enable them on the command line of the kernel, such as cgroup_enable=memory",
        )
    elif not machine.writable_cgroups:
        yield Finding(
            Level.ERROR,
            "the cgroups in /sys/fs/cgroup are read-only",
            "start the container with --privileged and --cgroupns=host, or mount /sys/fs/cgroup read-write",
        )
    else:
        yield Finding(Level.OK, "cgroups")
    if not machine.overlay:
        yield Finding(Level.ERROR, "the kernel has no overlay file system", "modprobe overlay")


def _go(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    unbuilt = machine.unbuilt & needed.tools
    if not needed.tools:
        return
    if not unbuilt:
        yield Finding(Level.OK, "all tools are built")
    elif machine.go:
        text, _, fix = machine.go.partition("; ")
        yield Finding(Level.ERROR, text, fix)
    else:
        yield Finding(Level.OK, f"Go will build {len(unbuilt)} tools once: {' '.join(sorted(unbuilt))}")


def _engine(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    if needed.engine and not machine.engine:
        yield Finding(
            Level.ERROR,
            "neither docker nor podman responds",
            "install one of them, and start its service; or use the local node, which needs none: make demo",
        )
    absent = [each for each in needed.programs if each not in machine.programs]
    if absent:
        yield Finding(Level.ERROR, f"not on PATH: {' '.join(absent)}", f"install {' and '.join(absent)}")
    elif "kubectl" in needed.programs and not machine.cluster:
        yield Finding(
            Level.ERROR,
            "the cluster of the current kube context does not respond",
            "set KUBECONFIG, or select a context with kubectl config use-context",
        )


def _memory(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    if machine.memory is None:
        return
    text = f"{_size(machine.memory)} of memory are available; about {_size(needed.memory)} are required"
    if machine.memory < needed.memory:
        yield Finding(Level.ERROR, text, "stop other programs, or use a machine with more memory")
    else:
        yield Finding(Level.OK, text)


def _space(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    required: defaultdict[int, float] = defaultdict(float)
    purposes = {
        "checkout": 0 if machine.environment else _ENVIRONMENTS,
        "cache": _COMPILED if machine.unbuilt & needed.tools else 0,
        "go": _GO_CACHES if machine.unbuilt & needed.tools else 0,
        "node": _IMAGES if needed.node else 0,
    }
    for purpose, size in purposes.items():
        required[machine.disks[purpose].device] += size
    free = {disk.device: disk.free for disk in machine.disks.values()}
    for device, size in required.items():
        names = ", ".join(name for name in purposes if machine.disks[name].device == device)
        text = f"{_size(free[device])} of disk space are free ({names}); up to {_size(size)} are required"
        if free[device] < size:
            yield Finding(
                Level.ERROR,
                text,
                "free space, or set SHOP_CACHE_DIR and GOCACHE to folders on a larger disk",
            )
        elif size:
            yield Finding(Level.OK, text)


def _ports(machine: Machine, needed: Requirements) -> Iterator[Finding]:
    taken = sorted(machine.taken & set(needed.ports))
    if taken:
        yield Finding(
            Level.WARNING,
            f"other processes listen on {', '.join(map(str, taken))}",
            "no action is required, unless you need these ports: the command prints the free ports that it uses instead",
        )
    elif needed.ports:
        yield Finding(Level.OK, f"the ports {', '.join(map(str, needed.ports))} are free")


def _size(size: float) -> str:
    return f"{size / GIB:.1f} GiB"


_CHECKS: Final[tuple[Check, ...]] = (
    _python,
    _platform,
    _privileges,
    _packages,
    _kernel,
    _go,
    _engine,
    _memory,
    _space,
    _ports,
)
