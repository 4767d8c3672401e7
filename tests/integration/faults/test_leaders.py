"""Two operators, of which only one writes at any time, according to the API server's audit log."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from shopdev.cluster.controlplane import ControlPlane
from tests.integration.cluster import Cluster
from tests.integration.faults.proxy import Fault, Proxy, Refuse
from tests.integration.faults.traffic import Traffic
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator, running
from tests.waiting import wait_for

LEASE: Final = "shop-operator"
# What client-go's defaults give: 15 s of an unchanged lease, and up to 2.4 s between two looks.
TAKEN_OVER_SECONDS: Final = 30


@dataclass(frozen=True)
class Write:
    """One write that the API server has carried out.

    Attributes:
        who: the User-Agent.
        began: when the API server began with it.
        done: when it was done.
    """

    who: str
    began: datetime
    done: datetime


@dataclass(frozen=True)
class Hold:
    """Period in which one holder had the lease.

    Attributes:
        who: the User-Agent.
        since: when the API server received the first write with this holder.
        until: when the holder changed, the lease was released, or it expired.
    """

    who: str
    since: datetime
    until: datetime

    def covers(self, write: Write) -> bool:
        """Whether that was written by its holder, all of it in that time."""
        return self.who == write.who and self.since <= write.began and write.done <= self.until


@dataclass(frozen=True)
class Audit:
    """The API server's audit log of writes."""

    log: Path

    def written(self, namespace: str) -> list[Write]:
        """By operators to a namespace, in the order in which the API server was done."""
        return [
            write
            for what, write, _ in self._events()
            if write.who.startswith("shop-operator/") and what.get("namespace") == namespace
        ]

    def holds(self) -> list[Hold]:
        """Holders of the lease, in order."""
        found: list[Hold] = []
        for what, write, body in self._events():
            if (what.get("resource"), what.get("name")) != ("leases", LEASE):
                continue
            spec = body.get("spec", {})
            until = write.began + timedelta(seconds=spec.get("leaseDurationSeconds", 0))
            if found and found[-1].who == write.who and write.began <= found[-1].until:
                found[-1] = replace(found[-1], until=until if spec.get("holderIdentity") else write.done)
                continue
            if found:
                found[-1] = replace(found[-1], until=min(found[-1].until, write.began))
            found.append(Hold(write.who, write.began, until))
        return found

    def _events(self) -> Iterator[tuple[dict[str, Any], Write, dict[str, Any]]]:
        """Audited writes: the event, its author and time, and the new content if recorded."""
        events: list[dict[str, Any]] = [json.loads(line) for line in self.log.read_text().splitlines()]
        for event in sorted(events, key=lambda each: str(each["stageTimestamp"])):
            if event["responseStatus"]["code"] < HTTPStatus.MULTIPLE_CHOICES:
                began, done = (
                    datetime.fromisoformat(event[each])
                    for each in ("requestReceivedTimestamp", "stageTimestamp")
                )
                write = Write(event.get("userAgent", ""), began, done)
                yield event.get("objectRef", {}), write, event.get("requestObject") or {}


@dataclass(frozen=True)
class Candidate:
    """An operator, and its way to the API server."""

    operator: Operator
    way: Proxy


@pytest.fixture
def two(
    own_plane: ControlPlane, own_kubeconfig: Path, tmp_path: Path, seed: int
) -> Iterator[tuple[Candidate, Candidate]]:
    """The leader and the other one."""
    with (
        Proxy(own_plane, own_kubeconfig, tmp_path, name="one", seed=seed) as to_one,
        Proxy(own_plane, own_kubeconfig, tmp_path, name="two", seed=seed) as to_two,
        running(to_one.kubeconfig, tmp_path / "one.log", "--leader-elect") as one,
        running(to_two.kubeconfig, tmp_path / "two.log", "--leader-elect") as two,
    ):
        both = Candidate(one, to_one), Candidate(two, to_two)
        wait_for(lambda: one.leading() or two.leading(), deadline=TAKEN_OVER_SECONDS)
        yield both if one.leading() else (both[1], both[0])


def test_given_a_leader_without_network_then_two_operators_never_write_at_the_same_time(
    own_cluster: Cluster, audit_log: Path, here: str, two: tuple[Candidate, Candidate], seed: int
) -> None:
    leader, other = two
    traffic = Traffic(own_cluster, here, seed)
    traffic.populate()
    with traffic.flowing():
        has_written(leader.operator)
        # First the leader falls silent and the other takes over; then that one does, and the first is back.
        leader.way.cut()
        wait_for(other.operator.leading, deadline=TAKEN_OVER_SECONDS)
        assert not leader.operator.leading()
        has_written(other.operator)
        leader.way.heal()
        other.way.cut()
        wait_for(leader.operator.leading, deadline=TAKEN_OVER_SECONDS)
        assert not other.operator.leading()
        has_written(leader.operator)
    other.way.heal()
    settled(own_cluster, here, leader.operator)

    never_two(Audit(audit_log), here, terms=3)


def test_given_a_leader_that_cannot_renew_its_lease_but_can_write_then_it_stops_writing(
    own_cluster: Cluster, audit_log: Path, here: str, two: tuple[Candidate, Candidate], seed: int
) -> None:
    leader, other = two
    traffic = Traffic(own_cluster, here, seed)
    traffic.populate()
    refused = Fault(Refuse(HTTPStatus.SERVICE_UNAVAILABLE), path=f"/leases/{LEASE}")
    with traffic.flowing():
        has_written(leader.operator)
        with leader.way.failing(refused):
            # Nothing else is refused, so that it is up to the leader to stop.
            has_written(leader.operator)
            wait_for(other.operator.leading, deadline=TAKEN_OVER_SECONDS)
            assert not leader.operator.leading()
            has_written(other.operator)
        has_written(other.operator)
    assert {about for _, about in leader.way.injected} == {f"leases/{LEASE}"}
    settled(own_cluster, here, other.operator)

    never_two(Audit(audit_log), here, terms=2)


def never_two(audit: Audit, namespace: str, *, terms: int) -> None:
    """One has written after the other, so many terms in all, and each only while the lease was its own."""
    written, holds = audit.written(namespace), audit.holds()
    found = [list(term) for _, term in groupby(written, key=lambda each: each.who)]
    assert len(found) == terms, [(term[0].who, len(term)) for term in found]
    for before, after in pairwise(found):
        assert max(each.done for each in before) < min(each.began for each in after)
    assert [each for each in written if not any(hold.covers(each) for hold in holds)] == []


def test_given_a_dead_holder_whose_lease_is_dated_in_the_future_then_the_lease_is_acquired_after_its_duration(
    own_cluster: Cluster, own_kubeconfig: Path, tmp_path: Path
) -> None:
    put_lease(own_cluster, timedelta(days=1), seconds=6)
    with running(own_kubeconfig, tmp_path / "operator.log", "--leader-elect") as operator:
        wait_for(operator.leading, deadline=TAKEN_OVER_SECONDS)

        (started,), (led,) = operator.said("started"), operator.said("leading")
        # The first read of the lease is shortly before the "started" log line.
        waited = datetime.fromisoformat(led["ts"]) - datetime.fromisoformat(started["ts"])
        assert waited > timedelta(seconds=5)
        spec = own_cluster.get("Lease", "shop-operator", LEASE)["spec"]
        assert spec["holderIdentity"] == led["identity"]
        # It is renewed by the operator's own clock.
        assert datetime.fromisoformat(spec["renewTime"]) < datetime.now(UTC) + timedelta(minutes=1)


def test_given_a_live_holder_whose_lease_is_dated_in_the_past_then_the_lease_is_not_acquired(
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
    """Hold the lease and renew it every half second, with a clock that is off by the given skew.

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


def has_written(operator: Operator) -> None:
    """Wait until it has written something from now on."""
    before = operator.metric("shop_operator_child_writes_total")
    wait_for(lambda: operator.metric("shop_operator_child_writes_total") > before)
