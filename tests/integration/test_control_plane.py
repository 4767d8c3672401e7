"""The API server of a test or of a benchmark ends with the process that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shopdev.checkout import ROOT
from shopdev.cluster.daemon import all_of
from tests.waiting import wait_for

PROGRAM = """
import sys
from pathlib import Path
from shopdev.cluster.controlplane import ControlPlane
with ControlPlane(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_given_a_program_with_an_api_server_when_a_signal_ends_it_then_the_api_server_ends_too(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "plane")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "dev")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        processes = list(all_of(tmp_path / "plane"))
        assert [each.name for each in processes if each.pid] == [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
        ]
        program.send_signal(number)

    wait_for(lambda: not [each.name for each in processes if each.pid])
