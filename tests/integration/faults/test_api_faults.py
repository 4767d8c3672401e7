"""An API server that is away, forgets, drops, refuses, is slow or silent: what comes of it is the same."""

from http import HTTPStatus

import pytest

from localcluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.faults.controllers import collect_garbage, serve_again
from tests.integration.faults.proxy import READS, WRITES, Delay, Fault, LoseAnswer, Proxy, Refuse, Reset
from tests.integration.faults.traffic import NAMES, Traffic
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator
from tests.waiting import wait_for

OUTAGE_SECONDS = 30
CHANGES = 60


@pytest.fixture
def traffic(own_cluster: Cluster, here: str, operator: Operator, seed: int) -> Traffic:
    """A namespace with some ShopServices in it, as rendered."""
    made = Traffic(own_cluster, here, seed)
    made.populate()
    settled(own_cluster, here, operator)
    return made


def test_given_an_api_server_that_is_away_for_a_while_then_what_was_missed_is_made_up_for(
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
    # Another half a minute without anybody to ask, in which it must not give up.
    with pytest.raises(AssertionError):
        wait_for(operator.ended, deadline=OUTAGE_SECONDS)
    serve_again(own_plane, own_cluster)
    collect_garbage(own_plane, own_cluster)
    for _ in range(CHANGES // 3):
        traffic.step()

    settled(own_cluster, here, operator)


def test_given_a_compacted_history_then_the_watches_begin_anew_and_nothing_is_missed(
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
    assert proxy.gone > 0


def test_given_watches_that_end_in_the_middle_of_an_event_then_nothing_is_missed(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic
) -> None:
    dropped = 0
    with traffic.flowing():
        for _ in range(5):
            dropped += proxy.drop_watches()
            wait_for(lambda: proxy.watches() > 0)
            before = traffic.changes
            wait_for(lambda n=before: traffic.changes > n + 10)  # type: ignore[misc]  # bound per round

    assert dropped > 0
    settled(own_cluster, here, operator)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Refuse(HTTPStatus.TOO_MANY_REQUESTS, retry_after=1), probability=0.3),
        Fault(Refuse(HTTPStatus.TOO_MANY_REQUESTS), probability=0.3),
        Fault(Refuse(HTTPStatus.INTERNAL_SERVER_ERROR), probability=0.3),
        Fault(Refuse(HTTPStatus.SERVICE_UNAVAILABLE), methods=READS),
        Fault(Delay(3), probability=0.3),
        Fault(Delay(15), methods=WRITES, probability=0.1),
        Fault(Reset(), probability=0.3),
        Fault(LoseAnswer(), methods=WRITES, probability=0.3),
        Fault(Refuse(HTTPStatus.INTERNAL_SERVER_ERROR), methods=WRITES, path="/status"),
    ],
    ids=["429-and-when", "429", "500", "no-reads", "slow", "too-slow", "reset", "lost-answer", "no-status"],
)
def test_given_requests_that_fail_then_the_end_is_the_same(
    own_cluster: Cluster, here: str, proxy: Proxy, operator: Operator, traffic: Traffic, fault: Fault
) -> None:
    with proxy.failing(fault):
        if fault.methods == READS:
            # Reads are rare: they happen when a watch begins anew.
            proxy.drop_watches()
        with traffic.flowing():
            wait_for(lambda: traffic.changes >= CHANGES, deadline=60)
        wait_for(lambda: sum(proxy.injected.values()) >= 3, deadline=30)

    settled(own_cluster, here, operator)
    assert not operator.ended()
