"""Canary releases of the web workload: a Rollout of Argo Rollouts, the Services of the two versions, and the limits for the new one.

The Deployment stays, as the place of the pod template, and the Rollout refers to it. It has no pods of its own once the Rollout has as many
available pods, and gets them back before the Rollout is deleted. The operator sets both counts: Argo Rollouts only scales down the
Deployment of a first release, and only once.

Three fields belong to Argo Rollouts once it has set them: the weights of the HTTPRoutes, and the selectors of the two Services.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.api.v1alpha1.canary import Canary
from shop_operator.api.v1alpha1.rollout import DEADLINE_SECONDS, Rollout
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import CANARY_SUFFIX, KEPT_COUNT_ANNOTATION, STABLE_SUFFIX
from shop_operator.render.canary_analysis import analysis_templates
from shop_operator.render.labels import CANARY, STABLE, WEB, metadata, selector
from shop_operator.render.replicas import LiveScale, wanted_replicas
from shop_operator.render.service import service_ports
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import Workload

PLUGIN: Final = "argoproj-labs/gatewayAPI"
"""The name under which the plugin for the Gateway API is configured in Argo Rollouts."""
REVISIONS: Final = 5
SURGE: Final = "25%"
_API: Final = "argoproj.io/v1alpha1"
WHOLE: Final = 100


@dataclass(frozen=True)
class Pods:
    """The controller of the pods of the web workload.

    Attributes:
        canary: the canary releases; None if pods are replaced without them, or Argo Rollouts is not installed.
        returning: the Rollout hands its pods back to the Deployment.
    """

    canary: Canary | None
    returning: bool = False

    @property
    def by_rollout(self) -> bool:
        """Whether a Rollout exists, and the autoscaler scales it."""
        return self.canary is not None or self.returning


def pods(shop: ShopService, around: Surroundings) -> Pods:
    """The controller of the pods of the web workload."""
    wanted = shop.spec.rollout.canary if shop.spec.rollout else None
    if wanted is not None and around.serves("Rollout"):
        return Pods(wanted)
    rollout = around.rollouts.get(shop.name)
    if rollout is None:
        return Pods(None)
    taken_over = shop.name in around.rolled_out and around.counts.get(shop.name, 0) >= rollout.replicas
    return Pods(None, returning=not taken_over)


def scale_target(shop: ShopService, workload: Workload, around: Surroundings) -> dict[str, str]:
    """The reference of an autoscaler to what it scales."""
    if workload.serves and pods(shop, around).by_rollout:
        return {"apiVersion": _API, "kind": "Rollout", "name": workload.name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name}


def deployment_replicas(
    shop: ShopService, workload: Workload, live: LiveScale | None, around: Surroundings
) -> int | None:
    """The replica count of a Deployment that the operator applies; None to leave it to its owner."""
    wanted = wanted_replicas(workload, live)
    run = pods(shop, around)
    if not workload.serves or not run.by_rollout:
        return wanted
    rollout = around.rollouts.get(workload.name)
    if run.returning and rollout is not None:
        return rollout.replicas if wanted is None else wanted
    # The count stays until the pods of the Rollout are available.
    return 0 if rollout is not None and rollout.available else around.counts.get(workload.name, 0)


def kept_count(
    shop: ShopService, workload: Workload, live: LiveScale | None, around: Surroundings
) -> dict[str, str]:
    """The annotation of a Deployment that takes over the count of its Rollout, if a removed autoscaler has set that count."""
    rollout = around.rollouts.get(workload.name)
    if not workload.serves or rollout is None or not pods(shop, around).returning:
        return {}
    return _kept(workload, rollout.replicas) if wanted_replicas(workload, live) is None else {}


def _kept(workload: Workload, replicas: int | None) -> dict[str, str]:
    """The annotation that keeps a count of which the spec says nothing; see replicas.keeps_count."""
    if replicas is None or workload.autoscaling is not None or workload.replicas is not None:
        return {}
    return {KEPT_COUNT_ANNOTATION: str(replicas)}


def splits(shop: ShopService, around: Surroundings) -> bool:
    """Whether HTTPRoutes split the requests between the two versions: both Services select pods, so that none is empty."""
    rollout = around.rollouts.get(shop.name)
    names = (shop.name + STABLE_SUFFIX, shop.name + CANARY_SUFFIX)
    return (
        pods(shop, around).canary is not None
        and rollout is not None
        and rollout.stable
        and all(each in around.picking for each in names)
    )


def services(shop: ShopService, around: Surroundings) -> list[dict[str, Any]]:
    """The Services of the two versions; none without routes, since only HTTPRoutes refer to them."""
    run = pods(shop, around)
    if not (run.canary is not None and shop.spec.routes) and not run.returning:
        return []
    found = []
    for suffix, component in ((STABLE_SUFFIX, STABLE), (CANARY_SUFFIX, CANARY)):
        name = shop.name + suffix
        if run.returning and name not in around.picking:
            continue
        spec: dict[str, Any] = {"type": "ClusterIP", "ports": service_ports(shop, around.old_ports)}
        if name not in around.picking:
            spec["selector"] = selector(shop, WEB)
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata(shop, name, component),
                "spec": spec,
            }
        )
    return found


def split(rules: Iterable[dict[str, Any]], shop: ShopService, weight: int) -> list[dict[str, Any]]:
    """The rules of an HTTPRoute with the two versions in place of the Service, where it is the only backend."""
    return [_split(rule, shop, weight) for rule in rules]


def _split(rule: dict[str, Any], shop: ShopService, weight: int) -> dict[str, Any]:
    backends = rule.get("backendRefs", ())
    if [each["name"] for each in backends] != [shop.name]:
        return rule
    (backend,) = backends
    shares = ((STABLE_SUFFIX, WHOLE - weight), (CANARY_SUFFIX, weight))
    return {
        **rule,
        "backendRefs": [{**backend, "name": shop.name + suffix, "weight": share} for suffix, share in shares],
    }


def has_weights(configuration: Mapping[str, Any], shop: str) -> bool:
    """Whether a child is an HTTPRoute with weights of Argo Rollouts.

    Args:
        configuration: the child.
        shop: the name of its ShopService.
    """
    return configuration["kind"] == "HTTPRoute" and any(
        each["name"] == shop + CANARY_SUFFIX
        for rule in configuration["spec"]["rules"]
        for each in rule.get("backendRefs", ())
    )


def shared(configuration: Mapping[str, Any], shop: str) -> bool:
    """Whether a child has fields that Argo Rollouts sets: weights of an HTTPRoute, or the selector of the Service of a version.

    It is rendered from their live values, so it must be applied to no other state of the object.

    Args:
        configuration: the child.
        shop: the name of its ShopService.
    """
    versions = (shop + STABLE_SUFFIX, shop + CANARY_SUFFIX)
    of_version = configuration["kind"] == "Service" and configuration["metadata"]["name"] in versions
    return of_version or has_weights(configuration, shop)


def rollout(
    shop: ShopService,
    workload: Workload,
    live: LiveScale | None,
    around: Surroundings,
    routes: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The Rollout and the AnalysisTemplate of the web workload; none without canary releases.

    Args:
        shop: the ShopService.
        workload: the web workload.
        live: the live replica counts.
        around: the rest of the cluster.
        routes: the rendered HTTPRoutes.
    """
    run = pods(shop, around)
    if not run.by_rollout:
        return []
    asked = shop.spec.rollout or Rollout()
    spec: dict[str, Any] = {
        "revisionHistoryLimit": REVISIONS,
        "progressDeadlineSeconds": asked.progress_deadline_seconds or DEADLINE_SECONDS,
        "progressDeadlineAbort": True,
        "workloadRef": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": workload.name,
            "scaleDown": "never",
        },
        "strategy": {"canary": _bounds(asked)},
    }
    if asked.min_ready_seconds:
        spec["minReadySeconds"] = asked.min_ready_seconds
    replicas = wanted_replicas(workload, live)
    own: dict[str, str] = {}
    if replicas is None and workload.name not in around.rollouts and live is not None:
        replicas = live.replicas.get(workload.name)
        own = _kept(workload, replicas)
    if replicas is not None:
        spec["replicas"] = replicas
    templates = []
    if run.canary is None:
        # The Deployment takes over; a new pod template must not become a canary as well.
        spec["paused"] = True
    else:
        templates = analysis_templates(shop, run.canary.analysis, around)
        names = [each["metadata"]["name"] for each in routes if has_weights(each, shop.name)]
        spec["strategy"]["canary"] |= _strategy(shop, run.canary, names, analyzed=bool(templates))
    made = {
        "apiVersion": _API,
        "kind": "Rollout",
        "metadata": metadata(shop, workload.name, workload.component, own),
        "spec": spec,
    }
    return [*templates, made]


def _bounds(asked: Rollout) -> dict[str, Any]:
    surge, missing = asked.max_surge, asked.max_unavailable
    return {
        "maxSurge": SURGE if surge is None else surge,
        "maxUnavailable": 0 if missing is None else missing,
    }


def _strategy(shop: ShopService, canary: Canary, routes: list[str], *, analyzed: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "steps": [
            part
            for step in canary.steps
            for part in (
                {"setWeight": step.weight},
                *([{"pause": {"duration": step.pause}}] if step.pause else []),
            )
        ],
    }
    if shop.spec.routes:
        made |= {"stableService": shop.name + STABLE_SUFFIX, "canaryService": shop.name + CANARY_SUFFIX}
    if routes:
        found = {"namespace": shop.namespace, "httpRoutes": [{"name": each} for each in routes]}
        made["trafficRouting"] = {"plugins": {PLUGIN: found}}
    if analyzed:
        made["analysis"] = {
            "templates": [{"templateName": shop.name}],
            "args": [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}],
        }
    return made
