"""`kubectl shop open`: the URL of a route, or a forwarded port, and the browser that opens it."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from shop_operator.cli.browser import routed, scheme
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server
from tests.operator.cli.test_pods import COMMAND, pod
from tests.operator.cli.test_terminal import Terminal, in_pipe
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

GATEWAY: Final = {"name": "public", "namespace": "infra"}
ROUTE: Final = {"path": "/shop", "hostnames": ["shop.example.com"]}
URL: Final = "http://127.0.0.1:40123/"
# It notes its arguments and its process, says what kubectl says, and goes on until it is ended.
KUBECTL: Final = """#!/bin/sh
echo "$$ $@" > {folder}/asked
echo "Forwarding from 127.0.0.1:40123 -> 8080"
exec sleep 60
"""
BROWSER: Final = '#!/bin/sh\necho "$1" > {folder}/opened\n'


def gateway(*listeners: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "public", "namespace": "infra"}
    return {"kind": "Gateway", "metadata": metadata, "spec": {"listeners": list(listeners)}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with a kubectl and a browser, which write into it."""
    found = tmp_path / "bin"
    found.mkdir()
    for name, text in (("kubectl", KUBECTL), ("browser", BROWSER)):
        (found / name).write_text(text.format(folder=found))
        (found / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{found}:{os.environ['PATH']}")
    monkeypatch.setenv("BROWSER", f"{found}/browser %s")
    return found


@pytest.fixture
def running(server: Server) -> Server:
    server.objects += [shopservice(), pod("web-a", "web", ready=False), pod("web-b", "web")]
    return server


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_given_a_pipe_when_open_runs_then_it_prints_the_url_and_forwards_the_port_until_a_signal(
    running: Server, program: Program, folder: Path, end: signal.Signals
) -> None:
    command = [*COMMAND, "open", "web"]
    with subprocess.Popen(command, env=program.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{URL}\n"
        kubectl, *asked = (folder / "asked").read_text().split()
        assert is_running(int(kubectl))
        process.send_signal(end)
        assert process.wait(timeout=20) == 0

    assert asked == ["--namespace", "shop", "port-forward", "pod/web-b", ":8080", "--address=127.0.0.1"]
    wait_for(lambda: not is_running(int(kubectl)))
    assert not (folder / "opened").exists()


def test_given_a_terminal_when_open_runs_then_the_browser_opens_the_forwarded_port(
    running: Server, program: Program, folder: Path
) -> None:
    terminal = Terminal(program, "open", "web", "--port", "8000")
    wait_for((folder / "opened").exists)
    wait_for(lambda: (folder / "opened").read_text() == f"{URL}\n")

    assert terminal.interrupt() == 0
    assert " :8080" not in (folder / "asked").read_text()
    assert " 8000:8080 " in (folder / "asked").read_text()


def test_given_a_terminal_and_a_route_when_open_runs_then_the_browser_opens_the_host_name_of_the_route(
    server: Server, program: Program, folder: Path
) -> None:
    server.objects.append(shopservice(gateway=GATEWAY, routes=[ROUTE]))
    terminal = Terminal(program, "open", "web")

    assert "http://shop.example.com/shop" in terminal.until()
    assert terminal.ended() == 0
    wait_for(lambda: (folder / "opened").read_text() == "http://shop.example.com/shop\n")
    assert not (folder / "asked").exists()


def test_given_a_pipe_and_a_route_when_open_runs_then_it_prints_only_the_url_of_the_route(
    server: Server, program: Program, folder: Path
) -> None:
    server.objects += [
        shopservice(gateway=GATEWAY, routes=[ROUTE]),
        gateway({"name": "web", "protocol": "HTTPS"}),
    ]

    assert in_pipe(program, "open", "web") == "https://shop.example.com/shop\n"
    assert json.loads(in_pipe(program, "open", "web", "-o", "json")) == {
        "url": "https://shop.example.com/shop"
    }
    assert not (folder / "opened").exists()


def test_given_a_gateway_that_cannot_be_read_when_open_runs_then_it_prints_an_http_url(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice(gateway=GATEWAY, routes=[ROUTE]))
    server.absent.add("gateways")

    assert program("open", "web").stdout == "http://shop.example.com/shop\n"


def test_when_kubectl_fails_then_its_error_and_exit_code_are_passed_on(
    running: Server, program: Program, folder: Path
) -> None:
    (folder / "kubectl").write_text("#!/bin/sh\necho 'error: lost connection to pod' >&2\nexit 7\n")
    done = subprocess.run(
        [*COMMAND, "open", "web"],
        env=program.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert (done.returncode, done.stdout, done.stderr) == (7, "", "error: lost connection to pod\n")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["wbe"], 4, "ShopService wbe not found in namespace shop; did you mean web?"),
        (["web", "-A"], 2, "this command needs one namespace: use -n instead of -A"),
        (["web", "order"], 2, "Got unexpected extra argument (order)"),
        (["web", "--port", "70000"], 2, "70000 is not in the range 0<=x<=65535"),
        (["web"], 3, "kubectl is not on PATH, but this command runs `kubectl port-forward`"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_given_arguments_that_cannot_be_opened_when_open_runs_then_it_prints_one_sentence_and_its_exit_code(
    running: Server,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("PATH", "")

    done = program("open", *arguments)

    assert sentence in done.stderr
    assert (done.exit_code, done.stdout) == (code, "")


def test_given_no_running_pod_when_open_runs_then_it_names_the_explain_command_and_exits_with_4(
    server: Server, program: Program
) -> None:
    server.objects += [shopservice(), pod("web-a", "web", phase="Pending", ready=False)]

    done = program("open", "web")

    assert "no pod of web is running; see `kubectl shop explain web`" in done.stderr
    assert done.exit_code == 4


@pytest.mark.parametrize(
    ("route", "found"),
    [
        ({}, "shop.example.com/shop"),
        ({"hostnames": ["*.example.com", "shop.example.com"]}, "shop.example.com/shop"),
        ({"methods": ["GET", "POST"]}, "shop.example.com/shop"),
        ({"hostnames": ["*.example.com"]}, None),
        ({"hostnames": None}, None),
        ({"methods": ["POST"]}, None),
        ({"headers": [{"name": "X-Canary", "value": "1"}]}, None),
        ({"queryParams": [{"name": "canary", "value": "1"}]}, None),
    ],
    ids=str,
)
def test_given_a_route_then_it_is_opened_only_if_a_browser_can_reach_it(
    route: dict[str, Any], found: str | None
) -> None:
    assert routed(shopservice(gateway=GATEWAY, routes=[ROUTE | route])) == found


def test_given_routes_without_a_gateway_then_they_are_not_opened() -> None:
    assert routed(shopservice(routes=[ROUTE])) is None


@pytest.mark.parametrize(
    ("listeners", "section", "found"),
    [
        ([], None, "http"),
        ([{"name": "web", "protocol": "HTTP"}], None, "http"),
        ([{"name": "web", "protocol": "HTTP"}, {"name": "tls", "protocol": "HTTPS"}], None, "https"),
        ([{"name": "web", "protocol": "HTTP"}, {"name": "tls", "protocol": "HTTPS"}], "web", "http"),
        ([{"name": "tls", "protocol": "TLS"}], "tls", "https"),
    ],
    ids=str,
)
def test_given_the_listeners_of_a_gateway_then_they_decide_the_scheme(
    listeners: list[dict[str, Any]], section: str | None, found: str
) -> None:
    assert scheme(listeners, section) == found
