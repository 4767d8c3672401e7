"""How many ConfigMaps and Secrets a ShopService may use, and how many are read at a time."""

import asyncio
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import READS_AT_ONCE, ConfigDigests
from shop_operator.errors import InvalidSpec
from shop_operator.names import Key
from shop_operator.render import configuration_uses
from shop_operator.render.configuration import MOST_OBJECTS, Use
from tests.operator.fake_api import FixedKey


def variables(count: int, *, of: str = "secretKeyRef", first: int = 0) -> list[dict[str, Any]]:
    """Variables that name an object each."""
    return [
        {"name": f"V{n}", "valueFrom": {of: {"name": f"object-{n}", "key": "k"}}}
        for n in range(first, first + count)
    ]


def shop(**spec: Any) -> ShopService:
    return ShopService("web", "shop", "u", 1, document={"image": "web:1", **spec})


def objects(made: ShopService) -> set[str]:
    return {use.object for used in configuration_uses(made).values() for use in used}


def test_given_as_many_configmaps_and_secrets_as_allowed_then_all_of_them_are_used() -> None:
    assert len(objects(shop(env=variables(MOST_OBJECTS)))) == MOST_OBJECTS


@pytest.mark.parametrize(
    "spec",
    [
        {"env": variables(257)},
        {
            "env": variables(200),
            "workers": [{"name": "w", "command": ["w"], "env": variables(57, first=200)}],
        },
        {"env": variables(129), "podTemplate": {"spec": {"volumes": []}}}
        | {"workers": [{"name": "w", "command": ["w"], "env": variables(128, of="configMapKeyRef")}]},
        {
            "podTemplate": {
                "spec": {
                    "volumes": [
                        {"name": f"v{n}", "configMap": {"name": f"object-{n}"}}
                        for n in range(MOST_OBJECTS + 1)
                    ],
                    "containers": [
                        {
                            "name": "app",
                            "volumeMounts": [
                                {"name": f"v{n}", "mountPath": f"/v{n}"} for n in range(MOST_OBJECTS + 1)
                            ],
                        }
                    ],
                }
            }
        },
    ],
    ids=["variables", "workers", "both kinds", "volumes"],
)
def test_given_more_configmaps_and_secrets_than_allowed_then_they_are_refused_with_both_numbers(
    spec: dict[str, Any],
) -> None:
    with pytest.raises(InvalidSpec, match=r"use 257 ConfigMaps and Secrets; .* 256 at most"):
        configuration_uses(shop(**spec))


def test_given_many_uses_of_one_secret_then_they_count_as_one_object() -> None:
    env = [
        {"name": f"V{n}", "valueFrom": {"secretKeyRef": {"name": "one", "key": f"k{n}"}}} for n in range(400)
    ]

    assert objects(shop(env=env)) == {"Secret/one"}


class Slow:
    """An API server that delays its responses."""

    def __init__(self) -> None:
        self.under_way = self.most = self.reads = 0
        self.answers = asyncio.Event()

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.answers.wait()
        self.under_way -= 1
        return {
            "kind": kind,
            "metadata": {"namespace": namespace, "name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
        }


async def test_given_many_digests_then_concurrent_reads_stay_within_the_limit_and_all_are_answered() -> None:
    api = Slow()
    config_digests = ConfigDigests(api, FixedKey(b"k"), lambda _: None)
    asked = [
        asyncio.create_task(
            config_digests.digests(Key(f"ns-{n % 5}", f"web-{n}"), frozenset({Use("ConfigMap", f"c-{n}")}))
        )
        for n in range(100)
    ]
    for _ in range(10):
        await asyncio.sleep(0)
    assert api.under_way == READS_AT_ONCE

    api.answers.set()
    found = await asyncio.gather(*asked)

    assert all(found)
    assert (api.most, api.reads) == (READS_AT_ONCE, 100)


async def test_given_canceled_reads_then_they_make_room_for_another() -> None:
    api = Slow()
    config_digests = ConfigDigests(api, FixedKey(b"k"), lambda _: None)
    for n in range(2 * READS_AT_ONCE):
        asked = asyncio.create_task(
            config_digests.digests(Key("ns", f"web-{n}"), frozenset({Use("Secret", f"s-{n}")}))
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    api.answers.set()
    found = await config_digests.digests(Key("ns", "last"), frozenset({Use("Secret", "last")}))

    assert found is not None
