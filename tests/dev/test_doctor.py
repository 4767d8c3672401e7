"""`make doctor` finds each fault of a machine, and says how to fix it."""

import dataclasses
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from shopdev.cluster import debian, tools
from shopdev.cluster.progress import ClusterError
from shopdev.doctor import checks, cli, machine
from shopdev.doctor.checks import GIB, Finding, Level
from shopdev.doctor.machine import Disk, Machine

GOOD: Final = Machine(
    system="Linux",
    architecture="x86_64",
    python=(3, 11),
    environment=False,
    ensurepip=True,
    root=True,
    capabilities=True,
    apt=True,
    packages=frozenset(),
    chromium=True,
    go="",
    unbuilt=frozenset({"kubernetes", "keda"}),
    controllers=frozenset(),
    writable_cgroups=True,
    overlay=True,
    memory=4 * GIB,
    taken=frozenset(),
    engine=True,
    programs=frozenset({"kubectl", "helm"}),
    cluster=True,
    disks={
        "checkout": Disk(1, 25 * GIB),
        "cache": Disk(1, 25 * GIB),
        "go": Disk(1, 25 * GIB),
        "node": Disk(2, 4 * GIB),
    },
)


def findings(command: str, found: Machine, cluster: str = "local") -> list[Finding]:
    return checks.findings(found, checks.requirements(cluster)[command])


def faults(command: str, found: Machine, cluster: str = "local") -> list[Finding]:
    return [each for each in findings(command, found, cluster) if each.level is not Level.OK]


@pytest.mark.parametrize("cluster", ["local", "current"])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_given_a_machine_that_meets_the_requirements_then_there_is_no_fault(
    command: str, cluster: str
) -> None:
    assert faults(command, GOOD, cluster) == []
    assert findings(command, GOOD, cluster)


EVERYTHING: Final = set(cli.COMMANDS)
NODE: Final = {"demo", "test"}
GO: Final = {"demo", "test", "bench"}


@pytest.mark.parametrize(
    ("change", "commands", "text", "fix"),
    [
        ({"python": (3, 10)}, EVERYTHING, "Python 3.10 is too old", "install Python 3.11"),
        ({"python": (3, 12)}, NODE, "Python 3.12 cannot build the Lambda functions", "install Python 3.11"),
        ({"ensurepip": False, "root": False}, EVERYTHING, "no venv module", "apt-get install python3-venv"),
        ({"system": "Windows"}, EVERYTHING, "Windows", "use Linux or macOS"),
        ({"architecture": "riscv64"}, EVERYTHING, "riscv64", "x86-64 or arm64"),
        ({"system": "Darwin", "architecture": "arm64"}, NODE, "requires Linux", "CLUSTER=current"),
        ({"root": False}, NODE, "requires root", "as root"),
        ({"capabilities": False}, NODE, "CAP_SYS_ADMIN", "--privileged"),
        (
            {"packages": frozenset({"buildah"}), "apt": False},
            NODE,
            "missing: buildah",
            "install these packages: buildah",
        ),
        (
            {"chromium": False, "apt": False},
            {"test"},
            "missing: chromium",
            "install these packages: chromium",
        ),
        ({"controllers": frozenset({"memory"})}, NODE, "missing: memory", "cgroup_enable=memory"),
        ({"writable_cgroups": False}, NODE, "read-only", "--cgroupns=host"),
        ({"overlay": False}, NODE, "overlay", "modprobe overlay"),
        ({"go": "Go is not on PATH; install Go 1.26"}, GO, "Go is not on PATH", "install Go 1.26"),
        ({"memory": GIB // 2}, EVERYTHING, "0.5 GiB of memory", "more memory"),
        ({"memory": 2 * GIB}, NODE, "2.0 GiB of memory are available; about 3.0 GiB", "more memory"),
        ({"disks": {**GOOD.disks, "node": Disk(2, 2 * GIB)}}, NODE, "(node); up to 3.0 GiB", "free space"),
        ({"disks": {**GOOD.disks, "go": Disk(3, 16 * GIB)}}, GO, "(go); up to 17.0 GiB", "GOCACHE"),
        (
            {"disks": dict.fromkeys(GOOD.disks, Disk(1, GIB))},
            EVERYTHING,
            "1.0 GiB of disk space",
            "SHOP_CACHE_DIR",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else None,
)
def test_given_a_fault_then_exactly_the_commands_that_it_affects_fail(
    change: dict[str, Any], commands: set[str], text: str, fix: str
) -> None:
    found = dataclasses.replace(GOOD, **change)

    failing = {each: faults(each, found) for each in cli.COMMANDS}

    assert {name for name, each in failing.items() if each} == commands
    for each in failing.values():
        assert not each or any(text in fault.text and fix in fault.fix for fault in each), each
        assert all(fault.level is Level.ERROR for fault in each)


@pytest.mark.parametrize(
    ("change", "text", "fix"),
    [
        ({"engine": False}, "neither docker nor podman", "install one"),
        ({"programs": frozenset({"kubectl"})}, "not on PATH: helm", "install helm"),
        ({"cluster": False}, "does not respond", "KUBECONFIG"),
    ],
    ids=["engine", "programs", "cluster"],
)
def test_given_the_demo_on_another_cluster_when_it_lacks_something_then_the_demo_fails(
    change: dict[str, Any], text: str, fix: str
) -> None:
    found = dataclasses.replace(GOOD, **change)

    (fault,) = faults("demo", found, "current")

    assert (fault.level, text in fault.text, fix in fault.fix) == (Level.ERROR, True, True)
    assert faults("demo", found) == []


def test_given_the_demo_on_another_cluster_when_the_machine_cannot_run_a_node_then_it_does_not_fail() -> None:
    elsewhere = dataclasses.replace(
        GOOD, system="Darwin", architecture="arm64", root=False, capabilities=False, memory=None, go="no Go"
    )

    assert faults("demo", elsewhere, "current") == []


def test_given_ports_that_are_taken_then_a_warning_names_them() -> None:
    found = dataclasses.replace(GOOD, taken=frozenset({8081, 4566, 22}))

    (fault,) = faults("dev", found)

    assert (fault.level, fault.text) == (Level.WARNING, "other processes listen on 4566, 8081")


def test_given_everything_that_can_be_installed_or_is_cached_then_there_is_no_fault() -> None:
    found = dataclasses.replace(
        GOOD, ensurepip=False, packages=frozenset({"runc"}), chromium=False, go="no Go", unbuilt=frozenset()
    )

    assert [faults(each, found) for each in cli.COMMANDS] == [[]] * len(cli.COMMANDS)


def test_given_folders_on_one_disk_then_their_space_is_added() -> None:
    found = dataclasses.replace(GOOD, disks=dict.fromkeys(GOOD.disks, Disk(1, 24 * GIB)))

    (fault,) = faults("demo", found)

    assert "(checkout, cache, go, node); up to 24.5 GiB are required" in fault.text


# ---- the facts


def test_given_this_machine_when_it_is_read_then_the_facts_are_those_of_the_system() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = machine.read([port], ["sh", "no-such-program"])

    assert found.taken == {port}
    assert found.programs == {"sh"}
    assert found.root == (os.geteuid() == 0)
    assert found.packages == set(debian.missing())
    assert found.unbuilt <= set(tools.names())
    assert all(disk.free > 0 for disk in found.disks.values())
    assert found.cluster is False


def test_given_no_go_or_an_old_one_when_the_machine_is_read_then_the_problem_and_its_fix_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for script, problem in (
        ("", "Go is not on PATH"),
        ("echo go version go1.19.8 linux/amd64", "Go is too old"),
    ):
        if script:
            (tmp_path / "go").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "go").chmod(0o755)
        with pytest.raises(ClusterError, match=problem) as raised:
            tools.check_go()
        assert machine.read([], []).go == str(raised.value)
        assert "; install Go 1.26" in str(raised.value)


@pytest.mark.parametrize(("effective", "held"), [("000001ffffffffff", True), ("00000000a80425fb", False)])
def test_given_the_capabilities_of_a_process_then_those_of_the_local_node_are_found(
    effective: str, *, held: bool
) -> None:
    status = f"Name:\tpython\nCapPrm:\t0\nCapEff:\t{effective}\n"

    assert machine._has_capabilities(status) is held


# ---- the command


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    monkeypatch.delenv("CLUSTER", raising=False)
    return lambda found: monkeypatch.setattr(machine, "read", lambda *_: found)


def test_given_a_good_machine_when_checked_then_the_exit_code_is_0(
    on: Callable[[Machine], None], capsys: pytest.CaptureFixture[str]
) -> None:
    on(GOOD)

    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        *(f"make {each}" for each in cli.COMMANDS),
        "doctor: this machine meets the requirements",
    ]


def test_given_a_fault_when_checked_then_the_exit_code_is_1_and_the_fix_follows(
    on: Callable[[Machine], None], capsys: pytest.CaptureFixture[str]
) -> None:
    on(dataclasses.replace(GOOD, root=False))

    assert cli.main(["dev", "demo"]) == 1
    printed = capsys.readouterr()
    assert "  error    the local node requires root access\n           run the command as root" in printed.out
    assert printed.err == "doctor: make demo would fail; see above\n"


def test_given_a_fault_that_affects_another_command_when_checked_then_the_exit_code_is_0(
    on: Callable[[Machine], None],
) -> None:
    on(dataclasses.replace(GOOD, root=False))

    assert cli.main(["dev"]) == 0


@pytest.mark.parametrize(
    ("arguments", "cluster", "said"),
    [(["demos"], "", "unknown command 'demos'"), ([], "kind", "CLUSTER=kind")],
)
def test_given_an_unknown_command_or_cluster_then_the_error_lists_the_known_ones(
    arguments: list[str],
    cluster: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLUSTER", cluster)

    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert said in capsys.readouterr().err
