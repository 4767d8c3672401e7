"""Memory use of the operator with large and unusual objects in the cluster."""

import json
import re
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.integration.cluster import Cluster
from tests.integration.memory_group import MemoryGroup, limited
from tests.integration.operators import Operator, running, started
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

MOST_MIB: Final = 150
"""Of resident memory, at any time; the container is killed at the chart's limit, 192 MiB."""

CONFIGMAPS, NOTES = 8, 100_000
FAT, ITEMS = 4, 400_000
ORDINARY = 30
SLOW = 60.0
"""Seconds. Each write of a large ShopService takes the API server several on a busy machine; there are four, one after the other."""
DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Teams:
    """Two namespaces: one with ordinary ShopServices, and one with what is meant to be too much."""

    cluster: Cluster
    good: str
    bad: str

    def post(self, kind: str, text: str) -> None:
        """Create an object in the second one; again when the API server ran out of time, as a busy one does with 1.2 MB."""
        path, headers = self.cluster.path(kind, self.bad), {"Content-Type": "application/json"}

        def answered() -> httpx.Response | None:
            answer = self.cluster.http.post(path, content=text, headers=headers, timeout=SLOW)
            return None if answer.status_code == httpx.codes.GATEWAY_TIMEOUT else answer

        answer = wait_for(answered, 3 * SLOW)
        assert answer is not None
        # A request that ran out of time may have been carried out all the same.
        assert answer.is_success or answer.status_code == httpx.codes.CONFLICT, answer.text[:500]

    def ordinary(self) -> None:
        """ShopServices that are to be reconciled whatever happens."""
        for n in range(ORDINARY):
            self.cluster.create(shopservice(self.good, f"web-{n}", replicas=1))

    def attack(self) -> None:
        """ConfigMaps whose metadata alone is large, a ShopService that uses them, and ShopServices that are large."""
        for n in range(CONFIGMAPS):
            self.post("ConfigMap", annotated(f"note-{n}"))
        used = [{"configMapRef": {"name": f"note-{n}"}} for n in range(CONFIGMAPS)]
        self.cluster.create(shopservice(self.bad, "user", replicas=1, envFrom=used))
        for n in range(FAT):
            text = json.dumps(
                shopservice(self.bad, f"fat-{n}", replicas=0, podTemplate={"spec": {"x": "HERE"}})
            )
            # 1.2 MB, which are some 30 MB as Python objects.
            self.post("ShopService", text.replace('"HERE"', f"[{','.join(['{}'] * ITEMS)}]"))

    def reconciled(self, wanted: int) -> bool:
        """Whether each ordinary ShopService has its Deployment, with so many replicas."""
        found = self.cluster.http.get(self.cluster.path("Deployment", self.good)).json()["items"]
        return [each["spec"]["replicas"] for each in found] == [wanted] * ORDINARY

    def obeyed(self, wanted: int) -> None:
        """Assert that every ordinary ShopService can be changed."""
        for n in range(ORDINARY):
            self.cluster.patch("ShopService", self.good, f"web-{n}", {"spec": {"replicas": wanted}})
        wait_for(lambda: self.reconciled(wanted), SLOW)

    def newcomer(self) -> None:
        """Another ordinary one is reconciled, too."""
        self.cluster.create(shopservice(self.good, "new", replicas=1))
        wait_for(lambda: "new" in self.cluster.names("Deployment", self.good), SLOW)

    def told(self) -> bool:
        """Whether each large ShopService says that it is too large, and the user of the ConfigMaps has its Deployment."""
        # As table columns, which avoids the transfer of the large objects.
        answer = self.cluster.http.get(
            self.cluster.path("ShopService", self.bad),
            params={"includeObject": "None"},
            headers={"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
            timeout=SLOW,
        )
        table = answer.raise_for_status().json()
        columns = [each["name"] for each in table["columnDefinitions"]]
        rows = [dict(zip(columns, each["cells"], strict=True)) for each in table["rows"]]
        reasons = {each["Name"]: each["Reason"] for each in rows}
        large = {reasons[f"fat-{n}"] for n in range(FAT)}
        return large == {"InvalidSpec"} and self.cluster.names("Deployment", self.bad) == {"user"}


def annotated(name: str) -> str:
    """A ConfigMap with as many annotations as fit into the 256 KiB that they may have, and managedFields to match."""
    notes = [_base36(n) for n in range(NOTES)]
    kept = islice(notes, bisect_left(list(accumulate(map(len, notes))), 256 * 1024))
    metadata = {"name": name, "annotations": dict.fromkeys(kept, "")}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def _base36(number: int) -> str:
    """The shortest names that there are."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if not number:
            return text


def peak_mib(operator: Operator) -> float:
    """The most resident memory that the process has had."""
    status = Path(f"/proc/{operator.pid}/status").read_text()
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(found) / 1024


@pytest.fixture
def memory() -> Iterator[MemoryGroup]:
    """As much memory as the operator's container has."""
    with limited() as group:
        yield group


@pytest.fixture
def teams(lone: Cluster) -> Iterator[Teams]:
    """Two new namespaces; their ShopServices and ConfigMaps go with the test."""
    mark = uuid.uuid4().hex[:6]
    found = Teams(lone, lone.namespace(f"good-{mark}"), lone.namespace(f"bad-{mark}"))
    yield found
    for namespace in (found.good, found.bad):
        for kind in ("ShopService", "ConfigMap"):
            lone.http.delete(lone.path(kind, namespace)).raise_for_status()


def test_given_a_running_operator_when_large_objects_are_created_then_it_stays_within_its_memory_limit(
    teams: Teams, lone_kubeconfig: Path, memory: MemoryGroup, tmp_path: Path
) -> None:
    teams.ordinary()
    with running(lone_kubeconfig, tmp_path / "operator.log", procs=memory.procs) as operator:
        wait_for(lambda: teams.reconciled(1), SLOW)

        teams.attack()
        wait_for(teams.told, 3 * SLOW)
        teams.obeyed(2)

        teams.newcomer()

        assert operator.ask("/healthz").status_code == 200
        assert memory.killed() == 0
        assert peak_mib(operator) <= MOST_MIB


def test_given_large_objects_when_the_operator_starts_then_it_stays_within_its_memory_limit(
    teams: Teams, lone_kubeconfig: Path, memory: MemoryGroup, tmp_path: Path
) -> None:
    teams.attack()
    teams.ordinary()
    with started(lone_kubeconfig, tmp_path / "operator.log", procs=memory.procs) as operator:
        wait_for(operator.ready, SLOW)
        wait_for(teams.told, 3 * SLOW)
        wait_for(lambda: teams.reconciled(1), SLOW)
        teams.obeyed(2)

        teams.newcomer()

        assert operator.ask("/healthz").status_code == 200
        assert memory.killed() == 0
        assert peak_mib(operator) <= MOST_MIB
