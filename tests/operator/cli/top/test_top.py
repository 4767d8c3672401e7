"""`kubectl shop top` against an API server with metrics-server, pods and a Prometheus behind its proxies."""

import json
from typing import Any

import pytest

from shop_operator.cli.errors import NotValid
from shop_operator.cli.top.prometheus import address
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server

POD = "/api/v1/namespaces/shop/pods/web-1:8080/proxy/metrics"
USAGE = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query"


def exposed(requests: int, failed: int = 0) -> str:
    return (
        "# TYPE http_requests_total counter\n"
        f'http_requests_total{{method="GET",route="/",status="200"}} {requests - failed}\n'
        f'http_requests_total{{method="GET",route="/",status="500"}} {failed}\n'
        f'http_request_duration_seconds_bucket{{le="0.1"}} {requests}\n'
        f'http_request_duration_seconds_bucket{{le="+Inf"}} {requests}\n'
        'queue_messages{queue="tasks",state="visible"} 4\n'
        'queue_messages{queue="tasks",state="in_flight"} 2\n'
        'queue_oldest_message_age_seconds{queue="tasks"} 3.5\n'
    )


def prometheus(*series: tuple[dict[str, str], str]) -> str:
    result = [{"metric": labels, "value": [1764460800.0, value]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.fixture
def busy(server: Server) -> Server:
    """A ShopService with one ready pod that uses 30m and 50Mi."""
    web = owned(
        "Pod",
        "web-1",
        spec={"containers": [{"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]},
        status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    )
    web["metadata"]["labels"]["app.kubernetes.io/component"] = "web"
    deployment = owned("Deployment", "web", spec={"replicas": 1}, status={"readyReplicas": 1})
    deployment["metadata"]["labels"]["app.kubernetes.io/component"] = "web"
    server.objects += [shopservice(), web, deployment]
    used = {
        "metadata": {"namespace": "shop", "name": "web-1"},
        "containers": [{"usage": {"cpu": "30000001n", "memory": "51200Ki"}}],
    }
    server.prepared[USAGE] = [json.dumps({"items": [used]})]
    return server


def first(program: Program, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(program("-o", "json", "top", "--interval", "1", *arguments).stdout)[0]
    return found


def test_given_no_prometheus_when_top_runs_then_the_rates_are_those_between_two_scrapes(
    busy: Server, program: Program
) -> None:
    busy.prepared[POD] = [exposed(100), exposed(140, failed=4)]

    found = first(program)

    assert found["ratePerSecond"] == pytest.approx(40, rel=0.1)
    assert found["errorRate"] == pytest.approx(0.1)
    assert found["p95Seconds"] == pytest.approx(0.095)
    assert (found["queueMessages"], found["queueAgeSeconds"]) == (6, 3.5)
    assert found["cpuCores"] == pytest.approx(0.030000001)
    assert (found["cpuRequestCores"], found["memoryBytes"]) == (0.05, 50 * 2**20)


def test_given_a_path_with_dots_when_top_runs_then_every_request_stays_behind_the_proxy_of_the_pod(
    busy: Server, program: Program
) -> None:
    busy.objects[0]["spec"]["monitoring"] = {"path": "/../../../../services/other:80/proxy/delete"}

    program("top", "--interval", "1")

    proxied = {path for _, path, _ in busy.requests if "proxy" in path and "/services/" in path}
    assert proxied == {POD.replace("/metrics", "/services/other:80/proxy/delete")}


def test_given_a_prometheus_in_the_cluster_when_top_runs_then_it_is_asked_through_the_api_server(
    busy: Server, program: Program
) -> None:
    service = {
        "kind": "Service",
        "metadata": {
            "name": "prometheus",
            "namespace": "monitoring",
            "labels": {"app.kubernetes.io/name": "prometheus"},
        },
        "spec": {"ports": [{"name": "grpc", "port": 10901}, {"name": "web", "port": 9090}]},
    }
    busy.objects.append(service)
    pod = {"namespace": "shop", "pod": "web-1"}
    labels, queue = {**pod, "metric": "http_requests_total"}, {**pod, "queue": "q"}
    busy.prepared[PROMETHEUS] = [
        prometheus((labels | {"status": "200"}, "1.5"), (labels | {"status": "500"}, "0.5")),
        prometheus(),
        prometheus(
            (queue | {"__name__": "queue_messages"}, "3"),
            (queue | {"__name__": "queue_oldest_message_age_seconds"}, "NaN"),
        ),
    ]

    found = first(program)

    assert (found["ratePerSecond"], found["errorRate"], found["queueMessages"]) == (2, 0.25, 3)
    assert found["queueAgeSeconds"] is None
    queries = [query["query"] for _, path, query in busy.requests if path == PROMETHEUS]
    assert 'rate(http_requests_total{namespace="shop", pod!=""}[2m])' in queries[0]


def test_given_missing_sources_when_top_runs_then_one_line_names_them_and_their_columns_show_a_dash(
    busy: Server, program: Program
) -> None:
    del busy.prepared[USAGE]
    busy.forbidden.add("horizontalpodautoscalers")

    done = program("top", "--interval", "1")

    head, row = done.stdout.splitlines()
    assert head.split() == [
        "NAME",
        "WORKLOAD",
        "READY",
        "RATE",
        "ERRORS",
        "P95",
        "QUEUE",
        "AGE",
        "CPU",
        "MEMORY",
    ]
    assert row.split() == ["web", "web", "1/1", "-", "-", "-", "-", "-", "-/50m", "-/64Mi"]
    (line,) = done.stderr.splitlines()
    assert "metrics of web-1: 404 page not found" in line
    assert "CPU and memory: the cluster has no metrics API; install metrics-server" in line
    assert "queues of autoscalers: horizontalpodautoscalers is forbidden" in line


def test_given_a_url_that_is_no_prometheus_when_top_runs_then_it_says_so(
    busy: Server, program: Program
) -> None:
    assert program("top", "--prometheus", "prometheus").exit_code == 6
    assert (
        "http://127.0.0.1:1 does not respond" in program("top", "--prometheus", "http://127.0.0.1:1").stderr
    )
    assert program("top", "--prometheus", "http://x", "--scrape").exit_code == 2


def test_given_no_shopservice_when_top_runs_then_it_reports_none(server: Server, program: Program) -> None:
    assert program("top").stderr == "No ShopServices found in namespace shop.\n"
    assert json.loads(program("top", "-o", "json").stdout) == []


def service(name: str, *ports: int, namespace: str = "m") -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app.kubernetes.io/name": "prometheus"},
        },
        "spec": {"ports": [{"port": each} for each in ports]},
    }


def test_given_services_with_the_label_of_prometheus_then_the_first_with_a_port_is_chosen() -> None:
    assert address([service("b", 80, 9090), service("a")]) == "/api/v1/namespaces/m/services/b:9090/proxy"
    assert address([]) is None


def test_given_several_prometheus_then_that_of_the_namespace_is_chosen_or_the_user_has_to_choose() -> None:
    found = [service("a", 9090, namespace="shop"), service("b", 9090), service("c", 80, namespace="n")]

    assert address(found, "shop") == "/api/v1/namespaces/shop/services/a:9090/proxy"
    for namespace in ("other", None):
        with pytest.raises(
            NotValid, match=r"\(m/b:9090, n/c:80, shop/a:9090\); choose one with --prometheus"
        ):
            address(found, namespace)


@pytest.mark.parametrize(
    ("named", "code", "asked"),
    [
        ("monitoring/prometheus", 0, True),
        ("monitoring/prometheus:9090", 0, True),
        ("monitoring/prometheus:80", 0, False),
        ("monitoring/../prometheus", 6, False),
        ("../prometheus", 6, False),
        ("prometheus:9090", 6, False),
    ],
)
def test_given_a_user_who_may_not_list_services_when_the_prometheus_is_named_then_that_one_is_asked(
    busy: Server, program: Program, named: str, code: int, asked: bool
) -> None:
    busy.forbidden.add("services")
    busy.prepared[PROMETHEUS] = [prometheus()]

    assert program("top", "--prometheus", named).exit_code == code

    assert any(path == PROMETHEUS for _, path, _ in busy.requests) == asked


def test_given_a_worker_named_web_when_top_runs_then_its_row_has_another_name(
    server: Server, program: Program
) -> None:
    server.objects.append(shopservice(workers=[{"name": "web"}]))

    found = json.loads(program("-o", "json", "top", "--interval", "1").stdout)

    assert [each["workload"] for each in found] == ["web", "worker/web"]
