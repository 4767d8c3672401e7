"""The fields of a status beside its conditions: counts of pods, image, URL, children."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import url
from shop_operator.render.labels import WEB, selector
from shop_operator.render.workloads import workloads
from shop_operator.status.observed import Observed
from shop_operator.status.verdicts.verdict import READY_VERDICT, Verdict
from shop_operator.wording import printable

LONGEST_MESSAGE: Final = 1024
"""Characters of a message in a status."""


def fields(
    shop: ShopService,
    made: ShopService,
    observed: Observed,
    judged: Mapping[tuple[str, str], Verdict],
    previous: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields that describe what runs.

    Args:
        shop: the ShopService.
        made: the ShopService whose pods run: the same, or the one with the last good release.
        observed: its children.
        judged: their verdicts.
        previous: the status so far.
    """
    found = _counts(shop, observed) | {
        "selector": ",".join(f"{key}={value}" for key, value in selector(shop, WEB).items()),
        "url": url(shop),
        "children": _children(judged),
    }
    image = rolled_out_image(made, observed, judged) or previous.get("image")
    if image:
        found["image"] = image
    range_ = _autoscaling(shop)
    if range_:
        found["autoscaling"] = range_
    return found


def rolled_out_image(
    shop: ShopService, observed: Observed, judged: Mapping[tuple[str, str], Verdict]
) -> str | None:
    """The image that every workload has rolled out; None if one has not, or if they differ.

    It is read from the Deployments, because the spec may not have been applied.
    """
    images: set[str | None] = set()
    for workload in workloads(shop):
        key = ("Deployment", workload.name)
        pods = judged.get(("Rollout", workload.name), READY_VERDICT)
        there = key in observed.children and judged[key].ready and pods.ready
        images.add(observed.children[key]["images"].get(workload.container) if there else None)
    return images.pop() if len(images) == 1 else None


def _counts(shop: ShopService, observed: Observed) -> dict[str, Any]:
    web = observed.serving.get(("Deployment", shop.name), {})
    state = web.get("status", {})
    ready = state.get("readyReplicas", 0)
    return {
        "replicas": state.get("replicas", 0),
        "readyReplicas": ready,
        "ready": f"{ready}/{web.get('spec', {}).get('replicas', 0)}",
    }


def _children(judged: Mapping[tuple[str, str], Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "name": name,
            "ready": verdict.ready,
            "message": printable(verdict.message)[:LONGEST_MESSAGE],
        }
        for (kind, name), verdict in sorted(judged.items())
    ]


def _autoscaling(shop: ShopService) -> str:
    """The column HPA; empty without autoscaling."""
    autoscaling = shop.spec.autoscaling
    if not autoscaling:
        return ""
    return "off" if shop.spec.replicas == 0 else f"{autoscaling.min_replicas}-{autoscaling.max_replicas}"
