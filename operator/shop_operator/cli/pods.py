"""The commands for the running pods of a ShopService: logs, exec, forward, restart and dlq."""

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.cli import workloads
from shop_operator.cli.errors import CliError, NotThere, NotValid
from shop_operator.cli.kubectl import become_kubectl
from shop_operator.cli.settings import Command, Settings, a_name

RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
DEAD_LETTERS: Final = "python -m services.common.messaging.dlq"
_LINES: Final = 100
_REQUESTS: Final = 5  # the default of kubectl
_PORTS: Final = re.compile(r"(?:(?P<local>\d{1,5})?:)?(?P<port>\d{1,5})")
_HIGHEST_PORT: Final = 65535

_worker = click.option(
    "-w", "--worker", metavar="WORKER", help="Name of the worker. Defaults to the web Deployment."
)
_any_worker = click.option(
    "-w",
    "--worker",
    metavar="WORKER",
    help="Only this worker. Defaults to the web Deployment and all workers.",
)
_container = click.option(
    "-c",
    "--container",
    metavar="NAME",
    help="Name of the container. Defaults to the one with the ShopService's image.",
)


@click.command(cls=Command)
@a_name
@_any_worker
@click.option("-c", "--container", metavar="NAME", help="Only this container. Defaults to all containers.")
@click.option("-f", "--follow", is_flag=True, help="Stream new lines until Ctrl-C.")
@click.option("-p", "--previous", is_flag=True, help="Logs from before the last restart of the containers.")
@click.option(
    "--tail",
    type=click.IntRange(-1),
    default=_LINES,
    show_default=True,
    metavar="LINES",
    help="Number of most recent lines of each container; -1 for all.",
)
@click.option("--since", metavar="DURATION", help="Only lines newer than this, such as 5s, 2m or 3h.")
@click.pass_obj
def logs(
    obj: Settings,
    name: str,
    worker: str | None,
    container: str | None,
    follow: bool,  # noqa: FBT001  click hands flags over by name
    previous: bool,  # noqa: FBT001  click hands flags over by name
    tail: int,
    since: str | None,
) -> None:
    """Print the logs of all pods of a ShopService, each line prefixed with its pod and container. Runs kubectl logs."""
    found = obj.cluster.shop(obj.namespace, name)
    wanted = None if worker is None else workloads.component(found, worker)
    pods = _pods(obj, name, wanted)
    if not any(map(workloads.has_started, pods)):
        workload = worker or name
        click.echo(
            f"kubectl shop: no container of {workload} has started; see `kubectl shop explain {name}`.",
            err=True,
        )
    arguments = [
        "logs",
        f"--selector={workloads.selector(name, wanted)}",
        "--prefix",
        "--ignore-errors",
        f"--tail={tail}",
        f"--max-log-requests={max(_REQUESTS, workloads.containers(pods))}",
        "--all-containers" if container is None else f"--container={container}",
    ]
    arguments += [f"--since={since}"] if since is not None else []
    arguments += ["--follow"] if follow else []
    arguments += ["--previous"] if previous else []
    become_kubectl(obj, *arguments)


@click.command("exec", cls=Command)
@a_name
@_worker
@_container
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input to the command.")
@click.option("-t", "--tty", is_flag=True, help="Standard input is a terminal (TTY).")
@click.argument("command", metavar="-- COMMAND [ARGUMENT]...", nargs=-1, required=True)
@click.pass_obj
def exec_(
    obj: Settings,
    name: str,
    worker: str | None,
    container: str | None,
    stdin: bool,  # noqa: FBT001  click hands flags over by name
    tty: bool,  # noqa: FBT001  click hands flags over by name
    command: Sequence[str],
) -> None:
    """Run a command in a pod of a ShopService, preferably a ready one. Runs kubectl exec."""
    pod = running(obj, name, worker)
    flags = [flag for flag, wanted in (("--stdin", stdin), ("--tty", tty)) if wanted]
    chosen = container or workloads.container(worker)
    become_kubectl(obj, "exec", pod, f"--container={chosen}", *flags, "--", *command)


@click.command(cls=Command)
@a_name
@click.argument("ports", metavar="[[LOCAL:]PORT]", required=False)
@_worker
@click.pass_obj
def forward(obj: Settings, name: str, ports: str | None, worker: str | None) -> None:
    """Forward a local port to a pod of a ShopService until Ctrl-C. Runs kubectl port-forward.

    Without a port, forwards spec.port of the ShopService or the port of the worker. With ":PORT", kubectl chooses the local
    port.
    """
    if ports is not None:
        _check(ports)
    pod = running(obj, name, worker)
    if ports is None:
        ports = port_of(obj.cluster.shop(obj.namespace, name), worker)
    become_kubectl(obj, "port-forward", f"pod/{pod}", ports)


def _check(ports: str) -> None:
    found = _PORTS.fullmatch(ports)
    given = [int(each) for each in found.groups() if each] if found else []
    if not given or not all(1 <= each <= _HIGHEST_PORT for each in given):
        raise click.UsageError(f"{ports!r} is not a port: use PORT or LOCAL:PORT, from 1 to {_HIGHEST_PORT}")


def port_of(shop: dict[str, Any], worker: str | None) -> str:
    """The port of a worker, or of the web workload if the worker is None.

    Raises:
        NotValid: the worker has no port.
    """
    spec = shop["spec"]
    if worker is not None:
        spec = next(each for each in spec["workers"] if each["name"] == worker)
        if spec.get("port") is None:
            raise NotValid(f"worker {worker} has no port; name one, as in `kubectl shop forward NAME PORT`")
    return str(spec.get("port", DEFAULT_PORT))


def running(obj: Settings, name: str, worker: str | None) -> str:
    """The name of a pod in which a command can run.

    Raises:
        NotThere: no pod of the workload is running.
    """
    wanted = workloads.component(obj.cluster.shop(obj.namespace, name), worker)
    pod = workloads.best(_pods(obj, name, wanted))
    if pod is None:
        raise NotThere(f"no pod of {worker or name} is running; see `kubectl shop explain {name}`")
    return pod


def _pods(obj: Settings, name: str, wanted: str | None) -> list[Any]:
    """The pods of a ShopService, or of one of its components.

    Raises:
        NotThere: it has no pods.
    """
    pods = obj.cluster.pods(obj.namespace, name)
    found = pods if wanted is None else workloads.of_component(pods, wanted)
    if not found:
        raise NotThere(f"{name} has no pods; see `kubectl shop explain {name}`")
    return list(found)


@click.command(cls=Command)
@a_name
@_any_worker
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def restart(obj: Settings, name: str, worker: str | None, dry_run: bool) -> None:  # noqa: FBT001  click hands flags over by name
    """Restart the pods of a ShopService by a rolling update, without changing the spec."""
    cluster, namespace = obj.cluster, obj.namespace
    found = cluster.shop(namespace, name)
    wanted = None if worker is None else workloads.component(found, worker)
    there = workloads.controlled(cluster.deployments(namespace, name), found)
    chosen = there if wanted is None else workloads.of_component(there, wanted)
    if not chosen:
        raise NotThere(f"{worker or name} has no Deployment; see `kubectl shop explain {name}`")
    names = [each["metadata"]["name"] for each in chosen]
    for each in chosen:
        if (each.get("spec") or {}).get("paused"):
            one = each["metadata"]["name"]
            raise NotValid(
                f"Deployment {one} is paused; resume it with `kubectl rollout resume deployment/{one} -n {namespace}`"
            )
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    refused = dict[str, CliError]()
    for each in names:
        try:
            cluster.annotate_pods(namespace, each, {RESTARTED: now}, dry_run=dry_run)
        except CliError as error:
            refused[each] = error
    names = [each for each in names if each not in refused]
    verb = "would be restarted" if dry_run else "is restarting"
    documents = [{"deployment": each, "dryRun": dry_run} for each in names]

    def text() -> None:
        for each in names:
            obj.say(f"Deployment {each} {verb}.")
        if names and not dry_run:
            obj.say(f"Watch it: kubectl shop status {name} -n {namespace} -w")

    obj.show(documents, text)
    if refused:
        told = "; ".join(f"Deployment {each} is not restarted: {error}" for each, error in refused.items())
        raise type(next(iter(refused.values())))(told)


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@a_name
@click.option(
    "-w",
    "--worker",
    metavar="WORKER",
    default="consumer",
    show_default=True,
    help="Worker to run the command in.",
)
@click.option(
    "--command",
    "program",
    metavar="PROGRAM",
    default=DEAD_LETTERS,
    show_default=True,
    help="Program of the image that manages dead letters.",
)
@click.argument(
    "arguments", metavar="list|show|redrive|discard [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED
)
@click.pass_obj
def dlq(obj: Settings, name: str, worker: str, program: str, arguments: Sequence[str]) -> None:
    """List, show, redrive or discard the dead letters of a ShopService's queues. Runs kubectl exec.

    Commands: `list`; `show [ID]...`; `redrive --id ID` or `redrive --all`; `discard ID --reason TEXT`. The program runs in a
    pod of the worker with the permissions of its service, so you need no access to AWS.
    """
    pod = running(obj, name, worker)
    become_kubectl(
        obj,
        "exec",
        pod,
        f"--container={workloads.container(worker)}",
        "--",
        *shlex.split(program),
        *(arguments or ("list",)),
    )
