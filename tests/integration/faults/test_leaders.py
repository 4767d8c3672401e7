"""Two operators, of which only one may ever write: judged by the API server's own audit log."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

from localcluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.faults.proxy import Proxy
from tests.integration.faults.traffic import Traffic
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator, running
from tests.waiting import wait_for

LEASE: Final = "shop-operator"
# What client-go's defaults give: 15 s of an unchanged lease, and up to 2.4 s between two looks.
TAKEN_OVER_SECONDS: Final = 30


def written(audit_log: Path, namespace: str) -> list[tuple[str, datetime, datetime]]:
    """Who wrote to a namespace, from when to when, in the order in which the API server was done."""
    found = []
    for line in audit_log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        who, what = event.get("userAgent", ""), event.get("objectRef", {})
        if who.startswith("shop-operator/") and what.get("namespace") == namespace:
            began, done = (
                datetime.fromisoformat(event[each]) for each in ("requestReceivedTimestamp", "stageTimestamp")
            )
            if event["responseStatus"]["code"] < 300:
                found.append((who, began, done))
    return sorted(found, key=lambda each: each[2])


def test_given_a_leader_whose_network_is_cut_then_there_are_never_two_that_write(
    own_plane: ControlPlane,
    own_cluster: Cluster,
    own_kubeconfig: Path,
    audit_log: Path,
    here: str,
    seed: int,
    tmp_path: Path,
) -> None:
    traffic = Traffic(own_cluster, here, seed)
    traffic.populate()
    with (
        Proxy(own_plane, own_kubeconfig, tmp_path, name="one") as to_one,
        Proxy(own_plane, own_kubeconfig, tmp_path, name="two") as to_two,
        running(to_one.kubeconfig, tmp_path / "one.log", "--leader-elect") as one,
        running(to_two.kubeconfig, tmp_path / "two.log", "--leader-elect") as two,
    ):
        wait_for(lambda: one.leading() or two.leading(), deadline=TAKEN_OVER_SECONDS)
        leader, other, way = (one, two, to_one) if one.leading() else (two, one, to_two)
        with traffic.flowing():
            _has_written(leader)
            # First the leader falls silent and the other takes over; then that one does, and the first is back.
            way.cut()
            wait_for(other.leading, deadline=TAKEN_OVER_SECONDS)
            assert not leader.leading()
            _has_written(other)
            way.heal()
            way = to_two if way is to_one else to_one
            way.cut()
            wait_for(leader.leading, deadline=TAKEN_OVER_SECONDS)
            assert not other.leading()
            _has_written(leader)
        way.heal()
        settled(own_cluster, here, leader)

    terms = [list(term) for _, term in groupby(written(audit_log, here), key=lambda each: each[0])]
    assert len(terms) == 3, [(term[0][0], len(term)) for term in terms]
    for before, after in pairwise(terms):
        assert max(done for _, _, done in before) < min(began for _, began, _ in after)


def test_given_a_lease_from_the_future_whose_holder_is_dead_then_it_is_taken_after_its_duration(
    own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    put_lease(own_cluster, timedelta(days=1), seconds=4)
    began = time.monotonic()
    with running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator:
        wait_for(operator.leading, deadline=TAKEN_OVER_SECONDS)

        assert time.monotonic() - began >= 4
        (led,) = operator.said("leading")
        spec = own_cluster.get("Lease", "shop-operator", LEASE)["spec"]
        assert spec["holderIdentity"] == led["identity"]
        # It is renewed by the operator's own clock.
        assert datetime.fromisoformat(spec["renewTime"]) < datetime.now(UTC) + timedelta(minutes=1)


def test_given_a_lease_from_the_past_whose_holder_lives_then_it_is_left_to_it(
    own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    with (
        renewing(own_cluster, timedelta(days=-1), seconds=4) as renewals,
        running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator,
    ):
        # Three times as long as what a dead one would be given.
        wait_for(lambda: len(renewals) >= 24, deadline=TAKEN_OVER_SECONDS)

        assert operator.said("leading") == []
        assert not operator.leading()
        assert operator.writes() == 0


@contextmanager
def renewing(cluster: Cluster, skew: timedelta, *, seconds: int) -> Iterator[list[float]]:
    """Somebody holds the lease and renews it every half second, with a clock that is wrong by that much.

    Yields:
        when that was done so far, by the right clock.
    """
    ended = threading.Event()
    renewed: list[float] = []
    put_lease(cluster, skew, seconds=seconds)

    def renew() -> None:
        while not ended.wait(0.5):
            put_lease(cluster, skew, seconds=seconds)
            renewed.append(time.monotonic())

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield renewed
    finally:
        ended.set()
        thread.join()
        cluster.delete("Lease", "shop-operator", LEASE)


def put_lease(cluster: Cluster, skew: timedelta, *, seconds: int) -> None:
    """The lease as another process writes it."""
    now = (datetime.now(UTC) + skew).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    held = {"holderIdentity": "another", "leaseDurationSeconds": seconds, "renewTime": now}
    cluster.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": "shop-operator"},
            "spec": held,
        }
    )


def _has_written(operator: Operator) -> None:
    """Wait until it has written something from now on."""
    before = operator.metric("shop_operator_child_writes_total")
    wait_for(lambda: operator.metric("shop_operator_child_writes_total") > before)
