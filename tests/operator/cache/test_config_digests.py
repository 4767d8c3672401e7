"""Digests of ConfigMaps and Secrets: read once, again when they change, and never without a user."""

import asyncio
import base64
from collections.abc import Iterable
from typing import Any

import pytest

from shop_operator.cache.config_digests import KEY_SECRET, ConfigDigests, DigestKey
from shop_operator.errors import ApiUnavailable, Forbidden, Stale
from shop_operator.names import Key
from shop_operator.render.configuration import Use
from tests.operator.fake_api import FixedKey

WEB, ORDER = Key("ns", "web"), Key("ns", "order")
SETTINGS = Use("ConfigMap", "settings")
ALL = frozenset({SETTINGS})


def config(version: int, name: str = "settings", **data: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "data": data,
    }


class Cluster:
    def __init__(self, key: bytes = b"a key") -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.reads = 0
        self.asked = asyncio.Event()
        self.fails = False
        self.woken: list[Key] = []
        self.meanwhile: list[dict[str, Any]] = []
        self.config_digests = ConfigDigests(self, FixedKey(key), self.wake)

    def wake(self, keys: Iterable[Key]) -> None:
        self.woken += sorted(keys)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace) in {("ConfigMap", "ns"), ("Secret", "ns")}
        self.reads += 1
        self.asked.set()
        found = self.objects.get(name)
        if self.meanwhile:
            self.change(self.meanwhile.pop())
        await asyncio.sleep(0)
        if self.fails:
            raise ApiUnavailable("busy")
        return found

    def change(self, obj: dict[str, Any]) -> None:
        self.objects[obj["metadata"]["name"]] = obj
        self.config_digests.seen("MODIFIED", obj)

    def remove(self, name: str, version: int) -> None:
        gone = self.objects.pop(name)
        self.config_digests.seen(
            "DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(version)}}
        )

    async def digest(self, use: Use = SETTINGS, key: Key = WEB) -> str | None:
        found = await self.config_digests.digests(key, frozenset({use}))
        assert found is not None
        return found.values[use]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_given_a_configmap_used_twice_then_it_is_read_once_and_again_only_when_it_changes(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1"))

    first, second = await asyncio.gather(cluster.digest(), cluster.digest(key=ORDER))
    assert first == second
    assert cluster.reads == 1
    cluster.config_digests.seen("MODIFIED", config(5, A="1"))
    assert cluster.woken == []

    cluster.change(config(6, A="2"))
    assert cluster.woken == [ORDER, WEB]
    assert await cluster.digest() != first
    assert cluster.reads == 2


async def test_given_a_configmap_that_changes_while_it_is_read_then_it_is_read_again(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1"))
    cluster.meanwhile = [config(6, A="2")]

    found = await cluster.digest()

    assert cluster.reads == 2
    fresh = Cluster()
    fresh.change(config(9, A="2"))
    assert found == await fresh.digest()


async def test_given_a_configmap_being_read_when_all_uses_are_forgotten_then_it_is_read_once_and_not_kept(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1"))
    reading = asyncio.create_task(cluster.digest())
    await cluster.asked.wait()

    cluster.config_digests.clear()

    async with asyncio.timeout(5):
        assert await reading is not None
    assert cluster.reads == 1
    assert cluster.config_digests._known == {}


async def test_given_a_configmap_that_cannot_be_read_then_every_pass_that_waits_for_it_gets_that_error(
    cluster: Cluster,
) -> None:
    cluster.fails = True
    passes = [asyncio.create_task(cluster.digest(key=Key("ns", str(number)))) for number in range(3)]
    await asyncio.wait(passes, return_when=asyncio.FIRST_COMPLETED)
    passes += [asyncio.create_task(cluster.digest(key=Key("ns", str(number)))) for number in range(3, 6)]

    results = await asyncio.gather(*passes, return_exceptions=True)

    assert [type(each) for each in results] == [ApiUnavailable] * 6


async def test_given_a_use_of_one_key_when_another_key_changes_then_the_digest_stays(
    cluster: Cluster,
) -> None:
    use = Use("ConfigMap", "settings", ("A",), ("A",))
    cluster.change(config(5, A="1", B="1"))
    first = await cluster.digest(use)

    cluster.change(config(6, A="1", B="2"))
    assert await cluster.digest(use) == first

    cluster.change(config(7, A="2", B="2"))
    assert await cluster.digest(use) != first


async def test_given_a_configmap_already_read_when_another_use_begins_then_its_digest_is_computed(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1", B="2"))
    whole = await cluster.digest()
    a, b = (Use("ConfigMap", "settings", ("A",), ("A",)), Use("ConfigMap", "settings", ("B",), ()))

    found = await asyncio.gather(cluster.digest(a, ORDER), cluster.digest(b))

    assert None not in found
    assert len({whole, *found}) == 3


async def test_given_an_absent_configmap_then_it_has_no_digest_until_it_returns_with_the_former_one(
    cluster: Cluster,
) -> None:
    assert await cluster.digest() is None
    cluster.change(config(5, A="1"))
    assert cluster.woken == [WEB]
    there = await cluster.digest()
    assert there is not None

    cluster.remove("settings", 7)
    assert cluster.woken == [WEB, WEB]
    assert await cluster.digest() is None

    again = config(9, A="1")
    again["metadata"]["uid"] = "another"
    cluster.change(again)
    assert await cluster.digest() == there


async def test_given_a_configmap_without_a_required_key_then_it_counts_as_absent(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1"))

    assert await cluster.digest(Use("ConfigMap", "settings", ("A", "B"), ("B",))) is None
    assert await cluster.digest(Use("ConfigMap", "settings", ("A", "B"), ("A",))) is not None


async def test_given_two_digest_keys_then_the_same_short_value_has_different_digests(
    cluster: Cluster,
) -> None:
    other = Cluster(b"another key")
    for each in (cluster, other):
        each.change(config(5, PIN="7319"))

    mine, theirs = (
        await cluster.config_digests.digests(WEB, ALL),
        await other.config_digests.digests(WEB, ALL),
    )

    assert mine is not None
    assert theirs is not None
    assert mine.values != theirs.values
    assert mine.key_id != theirs.key_id


async def test_given_changes_that_a_watch_has_missed_when_the_kind_is_listed_then_the_users_are_queued(
    cluster: Cluster,
) -> None:
    cluster.change(config(5, A="1"))
    await cluster.digest()

    cluster.config_digests.begin_list()
    cluster.config_digests.merge([config(5, A="1"), config(5, "others")])
    cluster.config_digests.end_list("ConfigMap", None, {"uid-settings", "uid-others"}, 6)
    assert cluster.woken == []
    cluster.config_digests.merge([config(8, A="2")])
    assert cluster.woken == [WEB]

    await cluster.digest()
    cluster.config_digests.end_list("Secret", None, set(), 20)
    cluster.config_digests.end_list("ConfigMap", "elsewhere", set(), 20)
    assert cluster.woken == [WEB]
    cluster.config_digests.end_list("ConfigMap", "ns", set(), 20)
    assert cluster.woken == [WEB, WEB]


async def test_given_a_configmap_that_is_no_longer_used_then_no_state_of_it_is_kept(cluster: Cluster) -> None:
    cluster.change(config(5, A="1"))
    await cluster.digest()
    none = await cluster.config_digests.digests(WEB, frozenset())
    assert none is not None
    assert none.values == {}
    cluster.change(config(6, A="2"))
    await cluster.digest(key=ORDER)
    cluster.config_digests.forget(ORDER)
    cluster.change(config(7, A="3"))

    assert cluster.woken == []
    kept = cluster.config_digests._known, cluster.config_digests._users, cluster.config_digests._used
    assert kept == ({}, {}, {})


async def test_given_disabled_tracking_then_nothing_is_read() -> None:
    cluster = Cluster()
    off = ConfigDigests(cluster, FixedKey(), cluster.wake, enabled=False)

    assert await off.digests(WEB, ALL) is None
    assert cluster.reads == 0


class Secrets:
    """One Secret, as several processes of the operator find it."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.forbidden = False
        self.hidden = 0

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == ("Secret", "shop-operator", KEY_SECRET)
        if self.forbidden:
            raise Forbidden("not allowed")
        if self.hidden:
            self.hidden -= 1
            return None
        return self.stored

    async def create_secret(self, secret: Any) -> dict[str, Any]:
        if self.stored is not None:
            raise Stale("exists")
        self.stored = dict(secret)
        return self.stored


async def test_given_no_key_then_one_is_created_and_used_by_the_next_process() -> None:
    secrets = Secrets()

    first = await DigestKey(secrets, "shop-operator").get()

    assert secrets.stored is not None
    assert base64.b64decode(secrets.stored["data"]["key"]) == first
    assert len(first) == 32
    assert await DigestKey(secrets, "shop-operator").get() == first


async def test_given_a_faster_process_then_its_key_is_used() -> None:
    secrets = Secrets()
    first = await DigestKey(secrets, "shop-operator").get()
    secrets.hidden = 1

    assert await DigestKey(secrets, "shop-operator").get() == first


async def test_given_no_access_to_the_key_then_the_process_uses_a_temporary_one() -> None:
    secrets = Secrets()
    secrets.forbidden = True
    key = DigestKey(secrets, "shop-operator")

    assert await key.get() == await key.get() != await DigestKey(secrets, "shop-operator").get()
