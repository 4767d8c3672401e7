"""`kubectl shop recommend` against a Prometheus or metrics-server behind an API server."""

import json

import pytest

from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server

USAGE = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
RANGE = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query_range"


@pytest.fixture
def shop(server: Server) -> Server:
    server.objects.append(shopservice(resources={"requests": {"cpu": "50m"}}))
    return server


def with_prometheus(server: Server, points: int) -> None:
    server.objects.append(
        {
            "kind": "Service",
            "metadata": {
                "name": "prometheus",
                "namespace": "monitoring",
                "labels": {"app.kubernetes.io/name": "prometheus"},
            },
            "spec": {"ports": [{"port": 9090}]},
        }
    )

    def matrix(value: str) -> str:
        values = [[1764460800 + 60 * point, value] for point in range(points)]
        return json.dumps(
            {
                "status": "success",
                "data": {
                    "resultType": "matrix",
                    "result": [{"metric": {"pod": "web-5d-abcde"}, "values": values}],
                },
            }
        )

    server.prepared[RANGE] = [matrix("0.02"), matrix("52428800")]


def test_given_the_history_of_a_prometheus_when_recommend_runs_then_it_prints_numbers_basis_and_command(
    shop: Server, program: Program
) -> None:
    with_prometheus(shop, 61)

    lines = program("recommend", "web").stdout.splitlines()

    assert lines[0] == "web: cpu 50m → 25m, memory unset → 60Mi"
    assert lines[1] == "  basis: Prometheus, 1 h, 61 samples of 1 pod"
    assert lines[4].startswith("Apply: kubectl patch shopservice web -n shop --type json -p '[{")
    asked = [query for _, path, query in shop.requests if path == RANGE]
    assert 'pod=~"web-[0-9a-z]+-[0-9a-z]{5}", container="app"' in asked[0]["query"]
    assert float(asked[0]["end"]) - float(asked[0]["start"]) == 86400


def test_given_few_samples_when_recommend_runs_then_it_refuses_and_says_how_to_get_more(
    shop: Server, program: Program
) -> None:
    with_prometheus(shop, 3)

    done = program("recommend", "web", "--window", "1h")

    assert (done.exit_code, done.stdout) == (6, "")
    assert "Prometheus has 3 samples, and a recommendation needs at least 20; measure a longer" in done.stderr


def test_given_the_metrics_api_when_a_sample_is_read_twice_then_it_counts_once(
    shop: Server, program: Program
) -> None:
    def usage(second: int) -> str:
        labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "web"}
        pods = [
            {
                "metadata": {"name": f"web-{number}", "namespace": "shop", "labels": labels},
                "timestamp": f"2026-11-30T00:00:{second:02}Z",
                "containers": [{"name": "app", "usage": {"cpu": "10m", "memory": "40Mi"}}],
            }
            for number in range(10)
        ]
        return json.dumps({"items": pods})

    shop.prepared[USAGE] = [usage(0), usage(15)]

    found = json.loads(program("recommend", "web", "--sample", "1s", "-o", "json").stdout)

    assert found["workloads"][0]["basis"]["samples"] == 20
    assert found["patch"][0]["value"]["requests"] == {"cpu": "15m", "memory": "48Mi"}


def test_given_no_source_when_recommend_runs_then_it_names_both(shop: Server, program: Program) -> None:
    done = program("recommend", "web")

    assert done.exit_code == 4
    assert "name one with --prometheus, or install metrics-server" in done.stderr
    assert program("recommend", "web", "--window", "soon").exit_code == 2
