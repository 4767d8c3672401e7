"""The changes of `kubectl shop rollback`: the previous release, as far as it is known. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cli.errors import NotThere
from shop_operator.names import REVISION_ANNOTATION
from shop_operator.objects.lenient import digits, mapping, text
from shop_operator.objects.merge_patch import merge_patch
from shop_operator.status.rollback import last_good, mergeable, same_pods

Object = Mapping[str, Any]


def way_back(shop: Object, replicasets: Callable[[], Iterable[Object]]) -> dict[str, Any]:
    """The merge patch of the spec that rolls back.

    Args:
        shop: the ShopService.
        replicasets: requests its ReplicaSets; called if its status does not contain a previous release.

    Raises:
        NotThere: no previous release is known.
    """
    last = last_available(shop)
    if last:
        return last
    name, image = shop["metadata"]["name"], shop["spec"]["image"]
    rollout = _rollout(shop)
    if "rejectedImage" in rollout:
        why = (
            f"the last available release of {name} has the same spec; correct the ConfigMap or Secret that its pods use"
            if rollout.get("lastAvailable")
            else f"only the image of the last available release of {name} is known, and the spec already has it;"
            " correct the fields that have changed since"
        )
        raise NotThere(why)
    # If only the image of the last available release is known, the other images are older than that release.
    unsure = rollout.get("lastAvailableImage") == image and not rollout.get("lastAvailable")
    before = _previous_image(shop, (lambda: ()) if unsure else replicasets)
    if before is None:
        raise NotThere(f"no image before {image} is known for {name}; set spec.image instead")
    return {"image": before}


def last_available(shop: Object) -> dict[str, Any]:
    """The merge patch of the spec to the last available release; empty without such a release, or if the spec has the same pods."""
    here = ShopService.from_object(shop)
    good = last_good(here, _rollout(shop))
    if good is None or same_pods(good.document, here.document):
        return {}
    return merge_patch(mergeable(here.document), mergeable(good.document))


def _rollout(shop: Object) -> Object:
    return mapping(mapping(shop.get("status")).get("rollout"))


def _previous_image(shop: Object, replicasets: Callable[[], Iterable[Object]]) -> str | None:
    """The running image, or that of the newest ReplicaSet, if it differs from the image in the spec."""
    current = shop["spec"]["image"]
    running = text(mapping(shop.get("status")).get("image"))
    if running and running != current:
        return running

    def revision(obj: Object) -> int:
        return digits((obj["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION))

    for each in sorted(replicasets(), key=revision, reverse=True):
        for container in each["spec"]["template"]["spec"]["containers"]:
            if container["name"] == "app" and container["image"] != current:
                image: str = container["image"]
                return image
    return None
