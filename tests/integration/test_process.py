"""The operator as a process: its endpoints, its log, its permissions and its shutdown."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, Operator, started
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.waiting import wait_for


def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "HOME"}}
    return subprocess.run(
        [sys.executable, "-m", "shop_operator.main", *arguments],
        env={**clean, "PYTHONPATH": str(ROOT / "operator"), "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_given_a_running_operator_then_it_serves_its_probes_and_the_controller_runtime_metrics(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: "Deployment/web" in cluster.children(namespace))

    assert operator.ask("/healthz").text == "ok\n"
    assert operator.ask("/readyz").text == "ok\n"
    wait_for(lambda: operator.metric("controller_runtime_reconcile_total", result="success") >= 1)
    exposition = operator.ask("/metrics").text
    for series in (
        "controller_runtime_reconcile_time_seconds_bucket",
        'workqueue_depth{name="shopservice"}',
        "workqueue_adds_total",
        "workqueue_queue_duration_seconds_bucket",
        "workqueue_retries_total",
        'rest_client_requests_total{code="201",method="PATCH"}',
        'leader_election_master_status{name="shop-operator"}',
        "process_resident_memory_bytes",
    ):
        assert series in exposition


def test_given_the_permissions_of_the_chart_when_children_come_and_go_then_no_request_is_forbidden(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling=AUTOSCALING, workers=[WORKER], **ROUTE))
    wait_for(lambda: "HTTPRoute/web" in cluster.children(namespace))
    cluster.patch("ShopService", namespace, "web", {"spec": {"workers": None}})
    wait_for(lambda: "Deployment/web-relay" not in cluster.children(namespace))

    assert operator.metric("rest_client_requests_total", code="403") == 0
    assert operator.metric("rest_client_requests_total", code="401") == 0


def test_given_a_shopservice_when_it_is_reconciled_then_it_has_no_finalizer_and_no_annotation(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: "status" in cluster.get("ShopService", namespace, "web"))

    metadata = cluster.get("ShopService", namespace, "web")["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata


def test_when_the_crd_command_runs_then_it_prints_the_crd() -> None:
    done = command("crd")

    assert done.returncode == 0
    printed = yaml.safe_load(done.stdout)
    assert printed["kind"] == "CustomResourceDefinition"
    assert printed["metadata"]["name"] == "shopservices.shopservice.dev"


def test_given_no_cluster_when_the_operator_starts_then_one_line_says_which_variable_to_set() -> None:
    done = command("run")

    assert done.returncode == 2
    assert done.stderr == (
        "shop-operator: No cluster is configured. Set KUBECONFIG, or run in a pod with a ServiceAccount.\n"
    )


def test_given_a_missing_kubeconfig_when_the_operator_starts_then_one_line_names_the_file() -> None:
    done = command("run", KUBECONFIG="/nonexistent/config")

    assert done.returncode == 2
    assert "/nonexistent/config" in done.stderr
    assert done.stderr.count("\n") == 1


def test_given_an_invalid_flag_value_when_the_operator_starts_then_it_prints_one_line_and_exits_with_2() -> (
    None
):
    done = command("run", "--workers", "many")

    assert done.returncode == 2
    assert done.stderr == "shop-operator: --workers is 'many'; use a number from 1 to 256.\n"


def test_given_a_port_in_use_when_the_operator_starts_then_it_prints_one_line_and_exits_with_2(
    operator: Operator, operator_kubeconfig: Path
) -> None:
    done = command("run", "--metrics-port", str(operator.port), KUBECONFIG=str(operator_kubeconfig))

    assert done.returncode == 2
    assert done.stderr.startswith(
        f"shop-operator: cannot listen on port {operator.port} (Address already in use"
    )
    assert done.stderr.endswith("; use --metrics-port.\n")
    assert done.stderr.count("\n") == 1


def test_given_a_starting_operator_when_it_is_stopped_then_it_exits_with_0_and_logs_no_warning(
    operator: Operator, operator_kubeconfig: Path, tmp_path: Path
) -> None:
    assert operator.leading()
    for attempt in range(5):
        with started(operator_kubeconfig, tmp_path / f"{attempt}.log") as starting:
            wait_for(lambda: starting.said("started"))

            assert starting.stop() == 0
            assert [line for line in starting.lines() if line["level"] != "info"] == []
