"""The last good release: the one that was available last, as status.rollout keeps it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.lenient import mapping, mappings, text
from shop_operator.render.configuration import Record
from shop_operator.status.rollback.pod_fields import NO_PODS, SCALE, pod_fields, without_scale

GOOD: Final = ("lastAvailableImage", "lastAvailable", "lastAvailableConfiguration", "lastAvailableRelease")
"""The fields of status.rollout about the last good release."""


def rolls_back(shop: ShopService) -> bool:
    """Whether automatic rollback is enabled."""
    return bool(shop.spec.rollout and shop.spec.rollout.auto_rollback)


def last_good(shop: ShopService, rollout: Mapping[str, Any]) -> ShopService | None:
    """The ShopService with the pods of the last good release; None without one."""
    image = text(rollout.get("lastAvailableImage"))
    if not image:
        return None
    fields = dict(mapping(rollout.get("lastAvailable"))) or {**pod_fields(shop.document), "image": image}
    scale = {
        each.get("name"): {key: each[key] for key in SCALE if key in each}
        for each in mappings(shop.document.get("workers"))
    }
    if "workers" in fields:
        fields["workers"] = [
            {**without_scale(each), **scale[each.get("name")]} if each.get("name") in scale else each
            for each in mappings(fields["workers"])
        ]
    beside = {key: shop.document[key] for key in NO_PODS if key in shop.document}
    return replace(shop, document={**fields, **beside})


def records(rollout: Mapping[str, Any], now: Mapping[str, Record]) -> dict[str, Record]:
    """The records of configuration with which the last good release is rendered, by Deployment."""
    known = mapping(rollout.get("lastAvailableConfiguration"))
    if not rollout.get("lastAvailableRelease"):
        return dict(now)
    return {name: Record(None, text(checksum)) for name, checksum in known.items()}
