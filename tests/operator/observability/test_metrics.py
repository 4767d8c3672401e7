"""The series that dashboards and alerts are built on keep their names and their meaning."""

import pytest

from shop_operator.observability.metrics import Metrics
from tests.operator.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(lease="shop-operator", clock=clock, wall=clock)


@pytest.fixture
def leader(metrics: Metrics) -> Metrics:
    metrics.leading(leads=True)
    return metrics


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.exposition().decode().splitlines())


def of(metrics: Metrics, name: str) -> set[str]:
    """The lines that name one ShopService."""
    return {line for line in lines(metrics) if f'name="{name}",namespace="shop"' in line}


def test_given_new_metrics_then_the_replica_does_not_lead_and_the_queue_is_empty(metrics: Metrics) -> None:
    assert lines(metrics) >= {
        'leader_election_master_status{name="shop-operator"} 0.0',
        'workqueue_depth{name="shopservice"} 0.0',
        'workqueue_longest_running_processor_seconds{name="shopservice"} 0.0',
        'workqueue_unfinished_work_seconds{name="shopservice"} 0.0',
    }


def test_given_new_metrics_then_every_counter_of_an_alert_starts_at_zero(metrics: Metrics) -> None:
    results = ("success", "error", "requeue", "requeue_after")

    assert lines(metrics) >= {
        'controller_runtime_reconcile_errors_total{controller="shopservice"} 0.0',
        *(
            f'controller_runtime_reconcile_total{{controller="shopservice",result="{result}"}} 0.0'
            for result in results
        ),
    }


def test_when_events_are_recorded_then_each_changes_its_series(metrics: Metrics) -> None:
    metrics.leading(leads=True)
    metrics.request("PATCH", 201)
    metrics.answered("PATCH", 0.004)
    metrics.unanswered("GET")
    metrics.workers(16)
    metrics.reconciled("success", 0.02)
    metrics.added(3)
    metrics.started(2, 0.001)
    metrics.retried()
    metrics.wrote("Service", "create")
    metrics.drifted("Service")
    metrics.rolled_back()
    metrics.shops(7)

    assert lines(metrics) >= {
        'leader_election_master_status{name="shop-operator"} 1.0',
        'rest_client_requests_total{code="201",method="PATCH"} 1.0',
        'rest_client_requests_total{code="<error>",method="GET"} 1.0',
        'rest_client_request_duration_seconds_bucket{le="0.005",verb="PATCH"} 1.0',
        'rest_client_request_duration_seconds_bucket{le="0.001",verb="PATCH"} 0.0',
        'controller_runtime_reconcile_total{controller="shopservice",result="success"} 1.0',
        'controller_runtime_reconcile_errors_total{controller="shopservice"} 0.0',
        'controller_runtime_reconcile_time_seconds_count{controller="shopservice"} 1.0',
        'controller_runtime_active_workers{controller="shopservice"} 1.0',
        'controller_runtime_max_concurrent_reconciles{controller="shopservice"} 16.0',
        'workqueue_adds_total{name="shopservice"} 1.0',
        'workqueue_depth{name="shopservice"} 2.0',
        'workqueue_queue_duration_seconds_count{name="shopservice"} 1.0',
        'workqueue_retries_total{name="shopservice"} 1.0',
        'shop_operator_child_writes_total{kind="Service",operation="create"} 1.0',
        'shop_operator_drift_total{kind="Service"} 1.0',
        "shop_operator_rollbacks_total 1.0",
        "shop_operator_shopservices 7.0",
    }

    metrics.finished(0.02)
    assert 'controller_runtime_active_workers{controller="shopservice"} 0.0' in lines(metrics)
    assert 'workqueue_work_duration_seconds_count{name="shopservice"} 1.0' in lines(metrics)


def test_when_a_pass_fails_then_it_counts_as_a_result_and_as_an_error(metrics: Metrics) -> None:
    metrics.reconciled("error", 0.02)

    assert lines(metrics) >= {
        'controller_runtime_reconcile_total{controller="shopservice",result="error"} 1.0',
        'controller_runtime_reconcile_errors_total{controller="shopservice"} 1.0',
    }


def test_when_a_pass_ends_in_a_terminal_error_then_its_counter_rises_from_zero(metrics: Metrics) -> None:
    name = 'controller_runtime_terminal_reconcile_errors_total{controller="shopservice"}'
    assert f"{name} 0.0" in lines(metrics)

    metrics.terminal()

    assert f"{name} 1.0" in lines(metrics)


def test_given_waiting_keys_when_the_queue_is_cleared_then_none_waits(metrics: Metrics) -> None:
    metrics.added(3)

    metrics.depth(0)

    assert 'workqueue_depth{name="shopservice"} 0.0' in lines(metrics)
    assert 'workqueue_adds_total{name="shopservice"} 1.0' in lines(metrics), "nothing was added"


def test_given_work_in_progress_then_its_age_is_current(metrics: Metrics, clock: Clock) -> None:
    metrics.started(0, 0)
    clock.now += 10
    metrics.started(0, 0)
    clock.now += 5

    assert lines(metrics) >= {
        'workqueue_longest_running_processor_seconds{name="shopservice"} 15.0',
        'workqueue_unfinished_work_seconds{name="shopservice"} 20.0',
    }


@pytest.mark.parametrize(("took", "left"), [(15.0, 5.0), (5.0, 15.0), (5.001, 15.0)])
def test_given_two_passes_when_one_ends_then_the_age_of_the_other_stays(
    metrics: Metrics, clock: Clock, took: float, left: float
) -> None:
    metrics.started(0, 0)
    clock.now += 10
    metrics.started(0, 0)
    clock.now += 5

    metrics.finished(took)

    assert f'workqueue_longest_running_processor_seconds{{name="shopservice"}} {left}' in lines(metrics)


def test_given_failures_when_a_pass_succeeds_then_the_retries_are_reset(
    leader: Metrics, clock: Clock
) -> None:
    leader.failed("shop", "web")
    leader.failed("shop", "web")
    assert of(leader, "web") == {'shop_operator_reconcile_retries{name="web",namespace="shop"} 2.0'}

    clock.now = 1700000000.0
    leader.succeeded("shop", "web")

    assert of(leader, "web") == {
        'shop_operator_reconcile_last_success_timestamp_seconds{name="web",namespace="shop"} 1.7e+09'
    }


def test_given_a_status_then_its_series_show_ready_and_the_reason_of_stalled(leader: Metrics) -> None:
    leader.status("shop", "web", ready=False, stalled="Conflict")
    assert of(leader, "web") == {
        'shop_operator_shopservice_ready{name="web",namespace="shop"} 0.0',
        'shop_operator_shopservice_stalled{name="web",namespace="shop",reason="Conflict"} 1.0',
    }

    leader.status("shop", "web", ready=True, stalled=None)
    assert of(leader, "web") == {'shop_operator_shopservice_ready{name="web",namespace="shop"} 1.0'}

    leader.status("shop", "web", ready=None, stalled=None)
    assert of(leader, "web") == set(), "a suspended ShopService must not fire an alert"


def test_given_a_deleted_shopservice_then_it_has_no_series_and_the_others_keep_theirs(
    leader: Metrics,
) -> None:
    for name in ("web", "other"):
        leader.succeeded("shop", name)
        leader.status("shop", name, ready=False, stalled="Conflict")
        leader.failed("shop", name)

    leader.gone("shop", "web")
    leader.gone("shop", "never-seen")

    assert of(leader, "web") == set()
    assert len(of(leader, "other")) == 4


def test_given_a_lost_lease_then_no_shopservice_has_series(leader: Metrics) -> None:
    leader.status("shop", "web", ready=False, stalled=None)

    leader.leading(leads=False)
    leader.status("shop", "web", ready=False, stalled=None)

    assert of(leader, "web") == set()


def test_given_two_registries_in_one_process_then_they_share_no_series(metrics: Metrics) -> None:
    metrics.request("GET", 200)

    assert not any(line.startswith("rest_client_requests_total{") for line in lines(Metrics(lease="x")))
