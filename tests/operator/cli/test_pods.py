"""`kubectl shop logs`, `exec`, `forward` and `restart`: what they ask of kubectl and of the API server."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server

pytestmark = pytest.mark.slow

COMMAND: Final = [sys.executable, "-c", "from shop_operator.cli.commands import main; main()"]
# The fake kubectl prints its arguments, one a line.
FAKE: Final = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
WORKERS: Final = [
    {"name": "relay", "command": ["relay"]},
    {"name": "mail", "command": ["mail"], "port": 9000},
]


@dataclass
class WithKubectl:
    """`kubectl shop` in a process of its own, with a kubectl on PATH that prints its arguments.

    Attributes:
        program: it.
        bin: the one folder on PATH.
    """

    program: Program
    bin: Path

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**self.program.environment, "PATH": str(self.bin)}
        return subprocess.run(
            [*COMMAND, *arguments], env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def asked(self, *arguments: str) -> list[str]:
        """Arguments that kubectl was called with."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def kubectl(program: Program, tmp_path: Path) -> WithKubectl:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(FAKE)
    (folder / "kubectl").chmod(0o755)
    return WithKubectl(program, folder)


def pod(name: str, component: str, *, phase: str = "Running", ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    found = owned("Pod", name, status={"phase": phase, "conditions": conditions})
    found["metadata"]["labels"]["app.kubernetes.io/component"] = component
    found["spec"] = {"containers": [{"name": "app"}]}
    return found


def deployment(name: str, component: str, **spec: Any) -> dict[str, Any]:
    found = owned("Deployment", name, spec={"template": {}, **spec})
    found["metadata"]["labels"]["app.kubernetes.io/component"] = component
    return found


@pytest.fixture
def running(server: Server) -> Server:
    """A ShopService with two workers, of which the web workload has a pod that is not ready."""
    server.objects += [
        shopservice(workers=WORKERS),
        pod("web-a", "web", ready=False),
        pod("web-b", "web"),
        pod("web-relay-a", "worker-relay", phase="Pending", ready=False),
        pod("web-mail-a", "worker-mail"),
        deployment("web", "web"),
        deployment("web-relay", "worker-relay"),
        deployment("web-mail", "worker-mail"),
    ]
    return server


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["web"], ["--selector=shopservice.dev/name=web", "--prefix", "--all-containers", "--tail=100"]),
        (["shopsvc/web"], ["--selector=shopservice.dev/name=web"]),
        (
            ["web", "-w", "relay"],
            ["--selector=shopservice.dev/name=web,app.kubernetes.io/component=worker-relay"],
        ),
        (["web", "-f"], ["--follow", "--ignore-errors"]),
        (["web", "--previous", "--tail", "-1"], ["--previous", "--tail=-1"]),
        (["web", "--since", "5m", "-c", "app"], ["--since=5m", "--container=app"]),
    ],
    ids=str,
)
def test_given_a_shopservice_or_a_worker_when_logs_runs_then_it_selects_their_pods(
    running: Server, kubectl: WithKubectl, arguments: list[str], asked: list[str]
) -> None:
    given = kubectl.asked("logs", *arguments)

    assert given[:3] == ["--namespace", "shop", "logs"]
    assert set(asked) <= set(given)


def test_given_twelve_containers_when_logs_follows_then_kubectl_may_open_twelve_requests(
    server: Server, kubectl: WithKubectl
) -> None:
    server.objects += [shopservice(), *(pod(f"web-{number}", "web") for number in range(12))]

    assert "--max-log-requests=12" in kubectl.asked("logs", "web", "-f")


def test_when_exec_runs_then_the_command_runs_in_a_ready_pod_with_its_own_options(
    running: Server, kubectl: WithKubectl
) -> None:
    asked = kubectl.asked("exec", "web", "-it", "--", "ls", "-n", "a b")

    assert asked == [
        *("--namespace", "shop", "exec", "web-b", "--container=app", "--stdin", "--tty"),
        *("--", "ls", "-n", "a b"),
    ]


def test_given_a_worker_when_exec_runs_then_the_command_runs_in_its_container(
    running: Server, kubectl: WithKubectl
) -> None:
    assert kubectl.asked("exec", "web", "-w", "mail", "--", "ls")[2:5] == [
        *("exec", "web-mail-a", "--container=mail"),
    ]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], ["pod/web-b", "8080"]),
        (["9000"], ["pod/web-b", "9000"]),
        (["8000:80"], ["pod/web-b", "8000:80"]),
        ([":80"], ["pod/web-b", ":80"]),
        (["-w", "mail"], ["pod/web-mail-a", "9000"]),
    ],
    ids=lambda given: " ".join(given) or "(none)",
)
def test_when_forward_runs_then_the_port_is_forwarded_to_a_ready_pod(
    running: Server, kubectl: WithKubectl, arguments: list[str], asked: list[str]
) -> None:
    assert kubectl.asked("forward", "web", *arguments)[2:] == ["port-forward", *asked]


def test_given_a_kubeconfig_context_and_namespace_when_a_command_runs_kubectl_then_they_are_passed_on(
    running: Server, kubectl: WithKubectl
) -> None:
    file = str(kubectl.program.kubeconfig)

    asked = kubectl.asked("--kubeconfig", file, "--context", "here", "-n", "shop", "logs", "web")

    assert asked[:7] == ["--kubeconfig", file, "--context", "here", "--namespace", "shop", "logs"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["logs", "wbe"], 4, "ShopService wbe not found in namespace shop; did you mean web?"),
        (["logs", "web", "-w", "relai"], 4, "web has no worker relai; did you mean relay?"),
        (["restart", "web", "-w", "x"], 4, "web has no worker x; it has relay, mail"),
        (["exec", "web", "-w", "relay", "--", "ls"], 4, "no pod of relay is running; see `kubectl shop"),
        (["exec", "web"], 2, "Missing argument"),
        (["forward", "web", "http"], 2, "'http' is not a port: use PORT or LOCAL:PORT, from 1 to 65535"),
        (["forward", "web", "0"], 2, "is not a port"),
        (["forward", "web", "80:70000"], 2, "is not a port"),
        (["logs", "-A", "web"], 2, "this command needs one namespace: use -n instead of -A"),
        (["port-forward", "web"], 2, "No such command 'port-forward'. Use: kubectl shop forward web"),
        (["log", "web"], 2, "Did you mean 'logs'?"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_given_invalid_arguments_and_no_kubectl_then_the_command_names_the_arguments_first(
    running: Server,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("PATH", "")

    done = program(*arguments)

    assert sentence in done.stderr
    assert (done.exit_code, done.stdout) == (code, "")


def test_given_a_worker_without_a_port_when_forward_runs_then_it_asks_for_a_port(
    server: Server, kubectl: WithKubectl
) -> None:
    server.objects += [shopservice(workers=WORKERS), pod("web-relay-a", "worker-relay")]

    assert "worker relay has no port; name one" in kubectl("forward", "web", "-w", "relay").stderr
    assert kubectl.asked("forward", "web", "81", "-w", "relay")[-1] == "81"


@pytest.mark.parametrize("arguments", [["logs"], ["exec", "--", "ls"], ["forward"]], ids=" ".join)
def test_given_no_kubectl_on_path_then_the_command_names_it_and_exits_with_3(
    running: Server, program: Program, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    command, *more = arguments

    done = program(command, "web", *more)

    assert "kubectl is not on PATH, but this command runs `kubectl " in done.stderr
    assert done.exit_code == 3


def test_given_no_pods_when_logs_runs_then_it_says_so_and_exits_with_4(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice())

    done = program("logs", "web")

    assert done.stderr == "kubectl shop: web has no pods; see `kubectl shop explain web`.\n"
    assert done.exit_code == 4


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ({}, True),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, True),
        ({"containerStatuses": [{"state": {"waiting": {}}, "lastState": {"terminated": {}}}]}, False),
        ({"containerStatuses": [{"state": {"running": {}}}]}, False),
        ({"initContainerStatuses": [{"state": {"running": {}}}]}, False),
    ],
    ids=str,
)
def test_given_no_started_container_when_logs_runs_then_it_says_so_and_exits_with_0(
    server: Server, kubectl: WithKubectl, statuses: dict[str, Any], told: bool
) -> None:
    waiting = pod("web-a", "web", phase="Pending", ready=False)
    waiting["status"] |= statuses
    server.objects += [shopservice(), waiting]

    done = kubectl("logs", "web")

    said = "kubectl shop: no container of web has started; see `kubectl shop explain web`.\n"
    assert done.stderr == (said if told else "")
    assert done.returncode == 0


def restarted(server: Server) -> set[str]:
    return {
        each["metadata"]["name"]
        for each in server.objects
        if each["kind"] == "Deployment"
        and "kubectl.kubernetes.io/restartedAt"
        in each["spec"]["template"].get("metadata", {}).get("annotations", {})
    }


@pytest.mark.parametrize(
    ("arguments", "names"),
    [([], {"web", "web-relay", "web-mail"}), (["-w", "mail"], {"web-mail"}), (["--dry-run"], set())],
    ids=["all", "worker", "dry"],
)
def test_when_restart_runs_then_the_pod_template_of_each_deployment_is_annotated_unless_it_is_a_dry_run(
    running: Server, program: Program, arguments: list[str], names: set[str]
) -> None:
    done = program("restart", "web", *arguments)

    assert done.exit_code == 0
    assert restarted(running) == names
    patches = [query for method, _, query in running.requests if method == "PATCH"]
    assert {each["fieldManager"] for each in patches} == {"kubectl-shop"}
    said = "would be restarted" if "--dry-run" in arguments else "is restarting"
    assert f"Deployment web-mail {said}.\n" in done.stdout


def test_given_the_json_output_when_restart_runs_then_it_prints_a_document(
    running: Server, program: Program
) -> None:
    assert json.loads(program("restart", "web", "-w", "relay", "-o", "json").stdout) == [
        {"deployment": "web-relay", "dryRun": False}
    ]


def test_given_a_paused_deployment_when_restart_runs_then_no_deployment_is_restarted(
    server: Server, program: Program
) -> None:
    server.objects += [
        shopservice(workers=WORKERS),
        deployment("web", "web"),
        deployment("web-relay", "worker-relay", paused=True),
    ]

    done = program("restart", "web")

    assert "`kubectl rollout resume deployment/web-relay -n shop`" in done.stderr
    assert done.exit_code == 6
    assert restarted(server) == set()


def test_given_a_deployment_that_refuses_the_patch_when_restart_runs_then_the_others_are_restarted(
    running: Server, program: Program
) -> None:
    running.protected = {"web-relay"}

    done = program("restart", "web")

    assert restarted(running) == {"web", "web-mail"}
    assert "Deployment web is restarting.\nDeployment web-mail is restarting.\n" in done.stdout
    assert "Deployment web-relay" not in done.stdout
    assert "Deployment web-relay is not restarted: " in done.stderr
    assert done.exit_code == 5


def test_given_a_deployment_of_another_owner_when_restart_runs_then_it_is_not_restarted(
    server: Server, program: Program
) -> None:
    foreign = deployment("web", "web")
    foreign["metadata"]["ownerReferences"] = [{"uid": "uid-other", "controller": True}]
    server.objects += [shopservice(), foreign]

    done = program("restart", "web")

    assert "web has no Deployment; see `kubectl shop explain web`" in done.stderr
    assert restarted(server) == set()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["web"], ["list"]),
        (["web", "redrive", "--all"], ["redrive", "--all"]),
        (["web", "redrive", "--id", "m-1", "--id", "m-2"], ["redrive", "--id", "m-1", "--id", "m-2"]),
        (
            ["web", "discard", "m-1", "--reason", "a test order", "-n", "shop"],
            ["discard", "m-1", "--reason", "a test order"],
        ),
    ],
    ids=str,
)
def test_given_a_worker_when_dlq_runs_then_its_command_runs_in_a_pod_of_the_worker(
    running: Server, kubectl: WithKubectl, given: list[str], asked: list[str]
) -> None:
    words = kubectl.asked("dlq", *given, "-w", "mail")

    assert words[2:] == [
        *("exec", "web-mail-a", "--container=mail", "--", "python", "-m", "services.common.messaging.dlq"),
        *asked,
    ]


def test_given_a_custom_program_when_dlq_runs_then_that_program_runs_in_the_pod(
    running: Server, kubectl: WithKubectl
) -> None:
    words = kubectl.asked("dlq", "web", "-w", "mail", "--command", "/bin/letters -q", "show")

    assert words[5:] == ["--", "/bin/letters", "-q", "show"]
