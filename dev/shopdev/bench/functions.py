"""Measure the first response of a function, and later ones, in comparison with the same service as a container.

Both are called in turn, in one run, through the API Gateway of the emulator, so that the ratio is meaningful although the emulator
is not AWS. This takes about a minute.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx

from shopdev.aws_environment import REGION
from shopdev.checkout import ROOT, SERVICES
from shopdev.cloudformation import stacks
from shopdev.console import say_aside
from shopdev.lambdas import build
from shopdev.lambdas.built import BUILT
from shopdev.ports import free_port
from shopdev.processes.emulator import Emulator
from shopdev.processes.process import Process

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

PREFIX = "bench"
NEEDED = ("network", "events", "tokens", "discovery", "artifacts", *SERVICES, "saga", "functions")
COLD, WARM = 5, 300
PATH = "/inventory/CF-001"
GUNICORN = (
    "-m",
    "gunicorn",
    "--config",
    "python:services.common.http.gunicorn",
    "services.product.app:create_app()",
)


def timed(work: Callable[[], object]) -> float:
    """The duration of a call in milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def answered(url: str) -> Callable[[], object]:
    """A function that sends a request on an open connection; the request must succeed."""
    client = httpx.Client(timeout=30)
    return lambda: client.get(url + PATH).raise_for_status()


def container_environment(emulator: Emulator, outputs: stacks.Outputs, port: int) -> dict[str, str]:
    """The product service's."""
    own = outputs["product"]
    return {
        "PATH": os.environ["PATH"],
        **emulator.env,
        "TABLE": own["Table"],
        "TASKS_QUEUE_URL": own["TasksQueueUrl"],
        "EVENTS_TOPIC_ARN": stacks.topic("product", outputs),
        "AUTH": "off",
        "LISTEN_HOST": "127.0.0.1",
        "PORT": str(port),
    }


@contextmanager
def container(environment: Mapping[str, str], url: str) -> Iterator[None]:
    """The service as in its container, when it is ready."""
    process = Process("product", [sys.executable, *GUNICORN], environment, lambda *_: None, ROOT)
    process.start()
    process.wait_until(lambda: answers(url), 60)
    try:
        yield
    finally:
        process.stop(grace=5)


def answers(url: str) -> bool:
    """Whether the service responds."""
    try:
        return httpx.get(url + PATH, timeout=5).is_success
    except httpx.TransportError:
        return False


def api(gateway: "ApiGatewayV2Client", endpoint: str, kind: str, target: str) -> str:
    """Create an API that forwards every request to one target, and return its URL."""
    made = gateway.create_api(Name=kind, ProtocolType="HTTP")["ApiId"]
    more = {"PayloadFormatVersion": "2.0"} if kind == "AWS_PROXY" else {"IntegrationMethod": "ANY"}
    integration = gateway.create_integration(
        ApiId=made,
        IntegrationType=kind,  # type: ignore[arg-type]  # one of two literals
        IntegrationUri=target,
        **more,  # type: ignore[arg-type]  # names and texts
    )["IntegrationId"]
    gateway.create_route(ApiId=made, RouteKey="GET /inventory/{sku}", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return f"{endpoint}/_aws/execute-api/{made}/$default"


def cold_function(emulator: Emulator, gateway: "ApiGatewayV2Client", number: int) -> float:
    """Measure the first response of a function that was never called."""
    functions = emulator.clients.functions
    live = functions.get_function(FunctionName=f"{PREFIX}-check-inventory")["Configuration"]
    arn = functions.create_function(
        FunctionName=f"{PREFIX}-cold-{number}",
        Runtime="python3.11",
        Handler=live["Handler"],
        Role=live["Role"],
        Timeout=30,
        Code={"ZipFile": (BUILT / "check-inventory.zip").read_bytes()},
        Environment={"Variables": live["Environment"]["Variables"]},
    )["FunctionArn"]
    return timed(answered(api(gateway, emulator.endpoint, "AWS_PROXY", arn)))


def start_up(*, bytecode: bool) -> float:
    """Measure a Python process that only loads the function from its unpacked zip."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(BUILT / "check-inventory.zip") as archive:
            archive.extractall(folder)
        if not bytecode:
            for cache in list(Path(folder).rglob("__pycache__")):
                shutil.rmtree(cache)
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict.fromkeys(("TABLE", "TASKS_QUEUE_URL", "EVENTS_TOPIC_ARN"), "none"),
            "AWS_REGION": REGION,
            "AUTH": "off",
        }
        command = [sys.executable, "-S", "-c", "import services.product.function"]
        return timed(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))


def row(what: str, function: float, other: float) -> None:
    """Print a row of the table."""
    print(f"| {what} | {function:.1f} ms | {other:.1f} ms | {function / other:.2f} |")


def p99(values: list[float]) -> float:
    """Of hundreds of values."""
    return statistics.quantiles(values, n=100)[98]


def main(argv: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    argparse.ArgumentParser(
        prog="dev/bench functions", description="Compare a function with the container of the same service."
    ).parse_args(argv)
    build.build(say_aside)
    emulator = Emulator(lambda name, line: say_aside(f"{name}: {line}"))
    emulator.start()
    try:
        measure(emulator)
    finally:
        emulator.stop()
    return 0


def measure(emulator: Emulator) -> None:
    """Print the table."""
    say_aside("Deploying…")
    outputs = emulator.deploy(PREFIX, stacks.chosen_for("local") | {"Auth": "off"}, NEEDED)
    port = free_port()
    environment = container_environment(emulator, outputs, port)
    subprocess.run(
        [sys.executable, "-m", "services.product.seed"],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    gateway = boto3.client(
        "apigatewayv2",
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator takes any
    )
    to_function = api(gateway, emulator.endpoint, "AWS_PROXY", outputs["functions"]["CheckInventoryAliasArn"])
    to_container = api(gateway, emulator.endpoint, "HTTP_PROXY", f"http://127.0.0.1:{port}")

    say_aside(f"Measuring {COLD} cold starts of each…")
    cold: tuple[list[float], list[float]] = ([], [])
    for number in range(COLD):
        cold[0].append(cold_function(emulator, gateway, number))
        started = time.perf_counter()
        with container(environment, to_container):
            cold[1].append((time.perf_counter() - started) * 1000)
    say_aside(f"Measuring {WARM} warm requests of each…")
    warm: tuple[list[float], list[float]] = ([], [])
    with container(environment, to_container):
        both = answered(to_function), answered(to_container)
        for request in both:
            for _ in range(20):
                request()
        for _ in range(WARM):
            for request, seen in zip(both, warm, strict=True):
                seen.append(timed(request))
    say_aside(f"Measuring {COLD} loads with and without bytecode…")
    loads = [(start_up(bytecode=True), start_up(bytecode=False)) for _ in range(COLD)]

    print(
        f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}\n"
    )
    print("| check-inventory | function | container | ratio |\n|---|---|---|---|")
    row(f"first answer after a start (median of {COLD})", *map(statistics.median, cold))
    row(f"warm answer, median of {WARM}", *map(statistics.median, warm))
    row("warm answer, 99th percentile", *map(p99, warm))
    print("\n| loading the function's code | with bytecode | without | ratio |\n|---|---|---|---|")
    row(f"median of {COLD}", *(statistics.median(column) for column in zip(*loads, strict=True)))
