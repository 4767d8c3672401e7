"""The sample image: its responses and its shutdown."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shopdev.checkout import ROOT
from shopdev.demo import images, target
from shopdev.ports import free_port
from shopdev.sample import ALIVE, Handler, Server
from tests.dev.programs import Machine
from tests.waiting import wait_for

PROGRAM = ROOT / "dev" / "shopdev" / "sample.py"


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, when it listens."""
    command = [sys.executable, str(PROGRAM), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "listening on" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def closed(server: Server) -> None:
    server.shutdown()
    server.server_close()


def asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/catalogue?q=tea"])
def test_given_any_path_when_requested_then_the_response_is_json(path: str) -> None:
    port = free_port()

    with running("--port", str(port)):
        answer = asked(port, path)

    assert answer["status"] == "ok"
    assert answer["path"] == path.partition("?")[0]


def test_given_a_health_port_then_both_ports_respond() -> None:
    port, health = free_port(), free_port()

    with running("serve", "--port", str(port), "--health-port", str(health)):
        assert asked(port, "/status")["path"] == "/status"
        assert asked(health, "/alive")["path"] == "/alive"


@pytest.mark.parametrize("mode", [["serve", "--port"], ["work", "--port"]], ids=lambda mode: str(mode[0]))
def test_given_a_running_sample_when_it_receives_sigterm_then_it_exits_immediately_with_0(
    mode: list[str],
) -> None:
    with running(*mode, str(free_port())) as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=5) == 0


def test_given_a_running_request_when_the_server_is_closed_then_the_request_is_completed_first() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        before = threading.active_count()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.putrequest("POST", "/orders")
        connection.putheader("Content-Length", "2")
        connection.endheaders()
        wait_for(lambda: threading.active_count() > before, what="a thread that reads the request")

        closing = threading.Thread(target=closed, args=(server,))
        closing.start()
        connection.send(b"{}")

        assert json.loads(connection.getresponse().read())["path"] == "/orders"
        closing.join(timeout=5)
        assert not closing.is_alive()
        serving.join(timeout=5)


def test_given_a_worker_without_a_port_then_it_touches_its_liveness_file() -> None:
    ALIVE.unlink(missing_ok=True)

    with running("work"):
        wait_for(ALIVE.exists, what="a sign of life")


def test_given_the_examples_then_each_names_the_image_of_the_demo() -> None:
    for path in (ROOT / "manifests" / "examples").glob("*.yaml"):
        named = re.findall(r"(?m)^  image: (.+)$", path.read_text())

        assert named, path
        assert set(named) == {images.SAMPLE}, path


def test_given_a_kind_cluster_then_the_image_is_also_loaded_under_its_name_in_the_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    for program in ("kubectl", "docker", "kind"):
        machine.program(tmp_path / "bin" / program)
    machine.answer("kubectl config current-context", "kind-dev")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    chosen = target.choose({"CLUSTER": "current"})

    built = chosen.deliver_images(targets=["sample"])["sample"]

    name = f"docker.io/library/{images.SAMPLE}"
    assert f"docker tag {built.reference} {name}" in machine.commands()
    assert machine.commands()[-1].endswith(f" {name}")
