"""`kubectl shop top` and `recommend` on a real API server without metrics API, and with a Prometheus on loopback."""

import json
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.integration.test_cli import Shop, reconciled
from tests.waiting import wait_for

SERIES = {
    "cpu": {
        "metric": {"pod": "web-5d5d-abcde"},
        "values": [[1764460800 + 60 * n, "0.02"] for n in range(30)],
    },
    "memory": {
        "metric": {"pod": "web-5d5d-abcde"},
        "values": [[1764460800 + 60 * n, "52428800"] for n in range(30)],
    },
}


class _Prometheus(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer every query with half an hour of a pod that uses 20m and 50Mi."""
        query = parse_qs(urlsplit(self.path).query)["query"][0]
        series = SERIES["cpu" if "cpu_usage" in query else "memory"]
        body = json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": [series]}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Print nothing."""


@pytest.fixture
def prometheus() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Prometheus)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_given_an_api_server_without_metrics_when_top_runs_then_it_shows_the_workloads_and_names_the_source(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(shopservice(namespace, workers=[WORKER]))
    wait_for(lambda: reconciled(cluster, namespace))
    wait_for(lambda: "Deployment/web-relay" in cluster.children(namespace))

    done = Shop(cluster.kubeconfig).run("-n", namespace, "-o", "json", "top", "--interval", "1")

    assert done.returncode == 0, done.stderr
    web, relay = json.loads(done.stdout)
    assert (web["workload"], relay["workload"]) == ("web", "relay")
    assert {web["cpuCores"], web["ratePerSecond"], relay["queueMessages"]} == {None}
    assert "missing: CPU and memory: the cluster has no metrics API; install metrics-server." in done.stderr


def test_given_a_recommendation_when_its_command_runs_then_the_requests_of_all_workloads_are_set(
    cluster: Cluster, operator: Operator, namespace: str, prometheus: str, kubectl: Path
) -> None:
    cluster.apply(shopservice(namespace, workers=[WORKER]))
    wait_for(lambda: reconciled(cluster, namespace))
    shop = Shop(cluster.kubeconfig)

    said = shop.says("-n", namespace, "recommend", "web", "--prometheus", prometheus)

    (line,) = (each for each in said.splitlines() if each.startswith("Apply: "))
    command = shlex.split(line.removeprefix("Apply: "))
    subprocess.run([kubectl, *command[1:]], env=shop._env, check=True, capture_output=True)
    wait_for(lambda: reconciled(cluster, namespace))
    for name in ("web", "web-relay"):
        deployment = cluster.get("Deployment", namespace, name)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == {"cpu": "25m", "memory": "60Mi"}
