"""`kubectl shop recommend` against a Prometheus or metrics-server behind an API server."""

import json
import re
from typing import Any

import pytest

from shop_operator.cli.recommend.history import pods_of
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
    assert "you may list no Service with the label app.kubernetes.io/name=prometheus" in done.stderr
    assert "name one with --prometheus, or install metrics-server" in done.stderr
    assert program("recommend", "web", "--window", "soon").exit_code == 2


def test_given_a_worker_named_web_when_recommend_runs_then_each_workload_has_its_own_recommendation(
    server: Server, program: Program
) -> None:
    server.objects.append(
        shopservice(workers=[{"name": "web", "resources": {"requests": {"cpu": "20m"}}}], resources={"requests": {"cpu": "50m"}})
    )  # fmt: skip
    with_prometheus(server, 61)
    enough, few = server.prepared[RANGE], json.dumps({"status": "success", "data": {"result": []}})
    server.prepared[RANGE] = [few, few, *enough]

    done = program("recommend", "web")

    assert done.stdout.splitlines()[0] == "worker/web: cpu 20m → 25m, memory unset → 60Mi"
    assert "no recommendation for web: Prometheus has 0 samples" in done.stderr


@pytest.mark.parametrize("length", [3, 46, 47, 48, 52, 56, 57, 58, 62])
@pytest.mark.parametrize("hashed", ["5d4f6789b8", "7c9d"])
def test_given_the_name_of_a_deployment_then_its_pods_are_found_although_kubernetes_cuts_their_names(
    length: int, hashed: str
) -> None:
    deployment = ("order-" * 11)[: length - 1] + "x"
    pod = f"{deployment}-{hashed}-"[:58] + "abcde"

    assert len(pod) <= 63
    assert re.fullmatch(pods_of(deployment), pod)
    assert (
        not re.fullmatch(pods_of(deployment), f"{deployment[:-1]}y-{hashed}-"[:58] + "abcde") or length > 57
    )
    assert not re.fullmatch(pods_of(deployment), f"{deployment}-relay-{hashed}-abcde"[:62])


@pytest.mark.parametrize(
    "odd",
    [[], {}, None, 7, "x", {"items": None}, {"items": [7]}, {"items": [{"metadata": {}}]},
     {"items": [{"metadata": {"namespace": "shop", "name": "web-1"}, "containers": [{"usage": []}]}]}],
    ids=str,
)  # fmt: skip
def test_given_a_metrics_api_with_a_document_of_another_shape_when_recommend_runs_then_it_says_so(
    shop: Server, program: Program, odd: Any
) -> None:
    shop.prepared[USAGE] = [json.dumps(odd)]

    done = program("recommend", "web", "--sample", "1s")

    assert done.exit_code == 3
    assert "the metrics API returned an unexpected document" in done.stderr


@pytest.mark.parametrize(
    "odd",
    [[], {}, None, 7, {"status": "success"}, {"status": "success", "data": {"result": [7]}},
     {"status": "success", "data": {"result": [{"metric": {}, "values": [["now"]]}]}},
     {"status": "success", "data": {"result": [{"metric": [], "values": []}]}}],
    ids=str,
)  # fmt: skip
def test_given_a_prometheus_with_a_document_of_another_shape_when_recommend_runs_then_it_says_so(
    shop: Server, program: Program, odd: Any
) -> None:
    with_prometheus(shop, 61)
    shop.prepared[RANGE] = [json.dumps(odd)]

    done = program("recommend", "web")

    assert done.exit_code == 1
    assert "the response is not one of Prometheus" in done.stderr


def test_given_samples_that_are_no_numbers_when_recommend_runs_then_they_do_not_count(
    shop: Server, program: Program
) -> None:
    with_prometheus(shop, 61)
    shop.prepared[RANGE] = [each.replace('"0.02"', '"NaN"') for each in shop.prepared[RANGE]]

    assert "Prometheus has 0 samples" in program("recommend", "web").stderr
