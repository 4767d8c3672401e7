"""The final state is the same with an API server that is down, forgets, drops, refuses, is slow or is silent."""

from collections import Counter
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.faults.controllers import collect_garbage, serve_again
from tests.integration.faults.proxy import (
    READS,
    WRITES,
    Delay,
    DelayAnswer,
    Fault,
    Late,
    LoseAnswer,
    Proxy,
    Refuse,
    Reset,
)
from tests.integration.faults.traffic import NAMES, Traffic
from tests.integration.faults.truth import (
    LONG_QUIET_SECONDS,
    has_nothing_to_do,
    rendered,
    settled,
    settled_for_good,
)
from tests.integration.operators import Operator, running
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

OUTAGE_SECONDS = 30
CHANGES = 60
ROUNDS = 3
# Longer than the operator waits for an answer.
TOO_LATE_SECONDS = 12
# Which every cluster has, and which change all the time here.
WATCHED = frozenset({"shopservices", "deployments", "services", "serviceaccounts"})


@pytest.fixture
def traffic(own_cluster: Cluster, here: str, operator: Operator, seed: int) -> Traffic:
    """A namespace with some ShopServices in it, as rendered."""
    made = Traffic(own_cluster, here, seed)
    made.populate()
    rendered(own_cluster, here)
    return made


def test_given_an_api_server_outage_when_the_api_server_returns_then_the_operator_catches_up(
    own_plane: ControlPlane, own_cluster: Cluster, here: str, operator: Operator, traffic: Traffic
) -> None:
    for name in NAMES[:2]:
        own_cluster.patch("ShopService", here, name, {"spec": {"image": "registry.test/shop:before"}})
    own_plane.stop_apiserver()
    failed = operator.metric("rest_client_requests_total", code="<error>")
    wait_for(
        lambda: operator.metric("rest_client_requests_total", code="<error>") > failed,
        deadline=OUTAGE_SECONDS,
    )
    assert operator.ask("/healthz").status_code == HTTPStatus.OK
    # Another half a minute without an API server, in which the operator must not exit.
    with pytest.raises(AssertionError):
        wait_for(operator.ended, deadline=OUTAGE_SECONDS)
    serve_again(own_plane, own_cluster)
    collect_garbage(own_plane, own_cluster)
    for _ in range(CHANGES // 3):
        traffic.step()

    settled(own_cluster, here, operator)


def test_given_a_compacted_history_then_the_watches_restart_and_no_change_is_missed(
    own_plane: ControlPlane,
    own_cluster: Cluster,
    here: str,
    proxy: Proxy,
    operator: Operator,
    traffic: Traffic,
) -> None:
    proxy.cut()
    for _ in range(CHANGES):
        traffic.step()
    own_plane.stop_apiserver()
    serve_again(own_plane, own_cluster)
    newest = own_cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "newest", "namespace": here}}
    )["metadata"]["resourceVersion"]
    own_plane.compact(int(newest))
    # The API server's own cache of what happened since it started must not reach further back either.
    own_plane.stop_apiserver()
    serve_again(own_plane, own_cluster)
    collect_garbage(own_plane, own_cluster)
    proxy.drop_watches()
    proxy.heal()

    settled(own_cluster, here, operator)
    assert proxy.gone.keys() >= WATCHED


def _all_cut_short(proxy: Proxy, before: Counter[str]) -> bool:
    """Whether every watch has ended in the middle of an event since."""
    missing = WATCHED - (proxy.cut_short - before).keys()
    assert not missing, missing
    return True


def test_given_watches_that_end_in_the_middle_of_an_event_then_no_change_is_missed(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic, tmp_path: Path
) -> None:
    with traffic.flowing():
        for _ in range(ROUNDS):
            before = proxy.cut_short.copy()
            proxy.drop_watches()
            wait_for(partial(_all_cut_short, proxy, before), deadline=30)
            wait_for(lambda: proxy.watched() >= WATCHED, deadline=30)

    settled(own_cluster, here, operator, quiet=LONG_QUIET_SECONDS)
    settled_for_good(own_cluster, here, operator)
    operator.stop()
    with running(proxy.kubeconfig, tmp_path / "once-more.log", "--no-leader-elect") as fresh:
        has_nothing_to_do(own_cluster, fresh)


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GONE], ids=["500", "410"])
def test_given_watches_that_end_with_an_error_then_no_change_is_missed(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic, status: HTTPStatus
) -> None:
    with traffic.flowing():
        for _ in range(ROUNDS):
            assert proxy.fail_watches(status) >= WATCHED
            wait_for(lambda: proxy.watched() >= WATCHED, deadline=30)

    settled(own_cluster, here, operator)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Refuse(HTTPStatus.TOO_MANY_REQUESTS, retry_after=1), watches=True),
        Fault(Refuse(HTTPStatus.INTERNAL_SERVER_ERROR), watches=True),
        Fault(Delay(3), watches=True),
    ],
    ids=["429-and-when", "500", "slow"],
)
def test_given_watches_that_cannot_be_started_then_no_change_is_missed(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic, fault: Fault
) -> None:
    with traffic.flowing():
        with proxy.failing(fault):
            proxy.drop_watches()
            wait_for(lambda: all(proxy.injected["GET", each] for each in WATCHED), deadline=30)
            before = traffic.changes
            wait_for(lambda: traffic.changes > before + CHANGES // 3)
        wait_for(lambda: proxy.watched() >= WATCHED, deadline=60)

    settled(own_cluster, here, operator)


def test_given_failing_reads_when_all_kinds_must_be_listed_then_the_operator_lists_them_after_recovery(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic
) -> None:
    with proxy.failing(Fault(Refuse(HTTPStatus.SERVICE_UNAVAILABLE), methods=READS)), traffic.flowing():
        # A client must relist after the answer that its resourceVersion is gone.
        assert proxy.fail_watches(HTTPStatus.GONE) >= WATCHED
        wait_for(lambda: all(proxy.injected["GET", each] >= 2 for each in WATCHED), deadline=30)
        wait_for(lambda: traffic.changes >= CHANGES, deadline=60)
        assert not proxy.watched() & WATCHED

    settled(own_cluster, here, operator)


def test_given_writes_that_complete_after_the_operators_timeout_then_the_children_converge(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic
) -> None:
    late = Late(TOO_LATE_SECONDS)
    with traffic.flowing():
        with proxy.failing(Fault(late, methods=WRITES, probability=0.3)):
            # Some are refused by then, since what they were about has changed.
            wait_for(lambda: late.unheard >= 3, deadline=90)
        wait_for(lambda: late.pending() == 0, deadline=2 * TOO_LATE_SECONDS)

    settled(own_cluster, here, operator)


@pytest.mark.parametrize(
    ("kind", "path", "part", "field"),
    [
        ("Deployment", "/deployments/web", "metadata", "generation"),
        ("ShopService", "/shopservices/web/status", "status", "observedGeneration"),
    ],
    ids=["child", "shopservice"],
)
def test_given_a_deletion_event_that_precedes_the_response_to_a_write_then_the_object_counts_as_deleted(
    own_cluster: Cluster,
    here: str,
    proxy: Proxy,
    operator: Operator,
    kind: str,
    path: str,
    part: str,
    field: str,
) -> None:
    own_cluster.create(shopservice(here))
    settled(own_cluster, here, operator)
    before = own_cluster.get(kind, here, "web")[part][field]
    with proxy.failing(Fault(DelayAnswer(2), methods=WRITES, path=path)):
        own_cluster.patch("ShopService", here, "web", {"spec": {"image": "registry.test/shop:next"}})
        wait_for(lambda: own_cluster.get(kind, here, "web")[part][field] > before)
        own_cluster.delete(kind, here, "web")

    left = int(kind != "ShopService")
    wait_for(lambda: operator.metric("shop_operator_shopservices") == left)
    settled(own_cluster, here, operator)
    assert operator.metric("shop_operator_shopservices") == left


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Refuse(HTTPStatus.TOO_MANY_REQUESTS, retry_after=1), probability=0.3),
        Fault(Refuse(HTTPStatus.TOO_MANY_REQUESTS), probability=0.3),
        Fault(Refuse(HTTPStatus.INTERNAL_SERVER_ERROR), probability=0.3),
        Fault(Delay(3), probability=0.3),
        Fault(Delay(15), methods=WRITES, probability=0.1),
        Fault(DelayAnswer(1), methods=WRITES, probability=0.5),
        Fault(Reset(), probability=0.3),
        Fault(LoseAnswer(), methods=WRITES, probability=0.3),
        Fault(Refuse(HTTPStatus.INTERNAL_SERVER_ERROR), methods=WRITES, path="/status"),
    ],
    ids=[
        "429-and-when",
        "429",
        "500",
        "slow",
        "too-slow",
        "slow-answer",
        "reset",
        "lost-answer",
        "no-status",
    ],
)
def test_given_failing_requests_then_the_children_converge(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic, fault: Fault
) -> None:
    with proxy.failing(fault):
        with traffic.flowing():
            wait_for(lambda: traffic.changes >= CHANGES, deadline=60)
        wait_for(lambda: sum(proxy.injected.values()) >= 3, deadline=30)

    settled(own_cluster, here, operator)
    assert not operator.ended()
