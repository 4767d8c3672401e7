"""The series that dashboards and alerts are built on keep their names and their meaning."""

import pytest

from shop_operator.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lease="shop-operator")


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.exposition().decode().splitlines())


def test_before_anything_happens_it_does_not_lead_and_nothing_waits(metrics: Metrics) -> None:
    assert 'leader_election_master_status{name="shop-operator"} 0.0' in lines(metrics)
    assert 'workqueue_depth{name="shopservice"} 0.0' in lines(metrics)


def test_every_report_moves_its_series(metrics: Metrics) -> None:
    metrics.leading(leads=True)
    metrics.request("PATCH", 201)
    metrics.reconciled("success", 0.02)
    metrics.added(3)
    metrics.started(2, 0.001)
    metrics.retried()
    metrics.wrote("Service", "create")
    metrics.shops(7)

    assert lines(metrics) >= {
        'leader_election_master_status{name="shop-operator"} 1.0',
        'rest_client_requests_total{code="201",method="PATCH"} 1.0',
        'controller_runtime_reconcile_total{controller="shopservice",result="success"} 1.0',
        'controller_runtime_reconcile_time_seconds_count{controller="shopservice"} 1.0',
        'controller_runtime_active_workers{controller="shopservice"} 1.0',
        'workqueue_adds_total{name="shopservice"} 1.0',
        'workqueue_depth{name="shopservice"} 2.0',
        'workqueue_queue_duration_seconds_count{name="shopservice"} 1.0',
        'workqueue_retries_total{name="shopservice"} 1.0',
        'shop_operator_child_writes_total{kind="Service",operation="create"} 1.0',
        "shop_operator_shopservices 7.0",
    }

    metrics.finished(0.02)
    assert 'controller_runtime_active_workers{controller="shopservice"} 0.0' in lines(metrics)
    assert 'workqueue_work_duration_seconds_count{name="shopservice"} 1.0' in lines(metrics)


def test_two_processes_in_one_do_not_share_their_series(metrics: Metrics) -> None:
    metrics.request("GET", 200)

    assert not any(line.startswith("rest_client_requests_total{") for line in lines(Metrics(lease="x")))
