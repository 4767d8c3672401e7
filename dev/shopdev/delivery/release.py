"""A service on the cluster: a separate Helm release, so that the deliveries of other services do not change it.

The deployed chart contains its values. Therefore CodePipeline's EKS action, Jenkins and GitHub Actions deploy the same folder, and
a rollback deploys an older one.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from shopdev.checkout import ROOT
from shopdev.console import run, say
from shopdev.delivery.delivery import Delivery, DeliveryError

CHARTS = ROOT / "charts"
NAMESPACE = "shop"

Values = dict[str, Any]


def write_chart(delivery: Delivery, *, prefix: str, place: str) -> None:
    """Write the chart to deploy: shop-service with the values of charts/shop for this service and place.

    Args:
        delivery: the service and its image.
        prefix: prefix of the stacks whose outputs become environment variables.
        place: selects a values file of charts/shop, e.g. `eks` for values-eks.yaml.
    """
    stacks = run([sys.executable, str(ROOT / "dev" / "aws"), "values", "--prefix", prefix], env=os.environ)
    image = {
        "repository": delivery.fact("repository"),
        "tag": delivery.fact("tag"),
        "digest": delivery.fact("digest"),
    }
    values = values_of(delivery.service, place, yaml.safe_load(stacks), image)
    shutil.rmtree(delivery.chart, ignore_errors=True)
    shutil.copytree(CHARTS / "shop-service", delivery.chart)
    own = delivery.chart / "values.yaml"
    merged = merge(yaml.safe_load(own.read_text(encoding="utf-8")), values)
    own.write_text(yaml.safe_dump(merged, sort_keys=False, allow_unicode=True), encoding="utf-8")
    say(f"{delivery.chart}: {image['repository']}@{image['digest']}")


def values_of(service: str, place: str, stacks: Values, image: Mapping[str, str]) -> Values:
    """The values of charts/shop for one of its services, with the image of this delivery."""
    shop: Values = {}
    for name in ("values.yaml", f"values-{place}.yaml"):
        shop = merge(shop, yaml.safe_load((CHARTS / "shop" / name).read_text(encoding="utf-8")))
    shop = merge(shop, stacks)
    own = merge(shop[service], {"name": service, "image": dict(image), "global": shop["global"]})
    return merge(own, {"labels": {"app.kubernetes.io/part-of": NAMESPACE}})


def merge(under: Values, over: Values) -> Values:
    """Merge two values files as Helm does."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def deploy(delivery: Delivery, namespace: str) -> None:
    """Install or upgrade the service's release."""
    command = [
        "helm",
        "upgrade",
        "--install",
        delivery.service,
        str(delivery.chart),
        "--namespace",
        namespace,
        # The chart contains all values. Without this flag, Helm would override them with those of an earlier `--set`.
        "--reset-values",
    ]
    run(command, env=os.environ)
    say(f"release {delivery.service} in {namespace} has {delivery.fact('digest')}")


def roll_back(delivery: Delivery, namespace: str) -> None:
    """Restore the release from before this delivery, if this delivery has changed it.

    Raises:
        DeliveryError: when there is no earlier revision.
    """
    where = ["--namespace", namespace, "--output", "json"]
    history = json.loads(run(["helm", "history", delivery.service, *where], env=os.environ))
    live = json.loads(run(["helm", "get", "values", delivery.service, "--all", *where], env=os.environ))
    if live["image"]["digest"] != delivery.fact("digest"):
        say(f"release {delivery.service} does not have the image of this delivery: nothing to roll back")
        return
    before = [each["revision"] for each in history if each["status"] == "superseded"]
    if not before:
        raise DeliveryError(
            f"{delivery.service} has no earlier revision to roll back to and is not changed; "
            f"`helm uninstall {delivery.service} --namespace {namespace}` removes it"
        )
    run(["helm", "rollback", delivery.service, str(before[-1]), "--namespace", namespace], env=os.environ)
    say(f"release {delivery.service} rolled back to revision {before[-1]}")
