"""Hashes of ConfigMaps and Secrets: read once, again when they change, and never for nobody."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from shop_operator.configs import Configs
from shop_operator.store import Key

WEB, ORDER = Key("ns", "web"), Key("ns", "order")
SETTINGS = frozenset({("ConfigMap", "settings")})


def config(version: int, name: str = "settings", **data: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "data": data,
    }


class Cluster:
    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.reads = 0
        self.woken: list[Key] = []
        self.meanwhile: list[dict[str, Any]] = []
        self.configs = Configs(self, self.wake)

    def wake(self, keys: Iterable[Key]) -> None:
        self.woken += sorted(keys)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace) in {("ConfigMap", "ns"), ("Secret", "ns")}
        self.reads += 1
        found = self.objects.get(name)
        if self.meanwhile:
            self.change(self.meanwhile.pop())
        await asyncio.sleep(0)
        return found

    def change(self, obj: dict[str, Any]) -> None:
        self.objects[obj["metadata"]["name"]] = obj
        self.configs.seen("MODIFIED", obj)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_it_is_read_once_for_all_and_again_only_when_it_changes(cluster: Cluster) -> None:
    cluster.change(config(5, A="1"))

    first, second = await asyncio.gather(
        cluster.configs.checksum(WEB, SETTINGS), cluster.configs.checksum(ORDER, SETTINGS)
    )
    assert first == second
    assert cluster.reads == 1
    cluster.configs.seen("MODIFIED", config(5, A="1"))
    assert cluster.woken == []

    cluster.change(config(6, A="2"))
    assert cluster.woken == [ORDER, WEB]
    assert await cluster.configs.checksum(WEB, SETTINGS) != first
    assert cluster.reads == 2


async def test_what_changes_while_it_is_read_is_read_again(cluster: Cluster) -> None:
    cluster.change(config(5, A="1"))
    cluster.meanwhile = [config(6, A="2")]

    found = await cluster.configs.checksum(WEB, SETTINGS)

    assert cluster.reads == 2
    fresh = Cluster()
    fresh.change(config(9, A="2"))
    assert found == await fresh.configs.checksum(WEB, SETTINGS)


async def test_one_that_does_not_exist_counts_and_so_does_its_coming_and_going(cluster: Cluster) -> None:
    absent = await cluster.configs.checksum(WEB, SETTINGS)

    cluster.change(config(5, A="1"))
    assert cluster.woken == [WEB]
    there = await cluster.configs.checksum(WEB, SETTINGS)
    assert there != absent

    del cluster.objects["settings"]
    cluster.configs.seen("DELETED", config(7, A="1"))
    assert cluster.woken == [WEB, WEB]
    assert await cluster.configs.checksum(WEB, SETTINGS) == absent


async def test_a_list_tells_of_what_a_watch_has_missed(cluster: Cluster) -> None:
    cluster.change(config(5, A="1"))
    await cluster.configs.checksum(WEB, SETTINGS)

    cluster.configs.listing()
    cluster.configs.merge([config(5, A="1"), config(5, "others")])
    cluster.configs.listed("ConfigMap", None, {"uid-settings", "uid-others"}, 6)
    assert cluster.woken == []
    cluster.configs.merge([config(8, A="2")])
    assert cluster.woken == [WEB]

    await cluster.configs.checksum(WEB, SETTINGS)
    cluster.configs.listed("Secret", None, set(), 20)
    cluster.configs.listed("ConfigMap", "elsewhere", set(), 20)
    assert cluster.woken == [WEB]
    cluster.configs.listed("ConfigMap", "ns", set(), 20)
    assert cluster.woken == [WEB, WEB]


async def test_nothing_is_kept_of_what_nobody_refers_to(cluster: Cluster) -> None:
    cluster.change(config(5, A="1"))
    await cluster.configs.checksum(WEB, SETTINGS)
    assert await cluster.configs.checksum(WEB, frozenset()) is None
    cluster.change(config(6, A="2"))
    await cluster.configs.checksum(ORDER, SETTINGS)
    cluster.configs.forget(ORDER)
    cluster.change(config(7, A="3"))

    assert cluster.woken == []
    kept = cluster.configs._known, cluster.configs._referrers, cluster.configs._references
    assert kept == ({}, {}, {})


async def test_when_it_is_switched_off_nothing_is_read() -> None:
    cluster = Cluster()
    off = Configs(cluster, cluster.wake, enabled=False)

    assert await off.checksum(WEB, SETTINGS) is None
    assert cluster.reads == 0
