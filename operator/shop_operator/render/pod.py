"""The pod of one workload: within the `restricted` Pod Security Standard, with probes, spread over nodes, and with graceful termination."""

from typing import Any, Final

from shop_operator.api.v1alpha1.environment import EnvVar
from shop_operator.api.v1alpha1.probes import Probe
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import CHECKSUM_ANNOTATION, PART_OF_LABEL, PORT_NAME
from shop_operator.render.labels import labels, selector
from shop_operator.render.surroundings import Surroundings
from shop_operator.render.workloads import Workload

PRE_STOP_SECONDS: Final = 5
"""Seconds for which a pod continues to serve after its deletion, until all proxies have removed it."""
SPREAD: Final = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")

# The startup probe runs every second, so that a started pod is ready at once. The other probes run only after it has succeeded.
_STARTUP: Final = {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 60}
_READINESS: Final = {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3}
_LIVENESS: Final = {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}


def template(shop: ShopService, workload: Workload, account: str, around: Surroundings) -> dict[str, Any]:
    """The pod template of a Deployment."""
    # A changed label of the ShopService must not replace pods: they keep their label until their image changes.
    kept = {PART_OF_LABEL: around.part_of[workload.name]} if workload.name in around.part_of else {}
    metadata: dict[str, Any] = {"labels": {**labels(shop, workload.component), **kept}}
    recorded = around.record(workload.name).pods
    if recorded is not None:
        metadata["annotations"] = {CHECKSUM_ANNOTATION: recorded}
    return {"metadata": metadata, "spec": _spec(shop, workload, account)}


def _spec(shop: ShopService, workload: Workload, account: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": workload.grace,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(shop, workload.component)},
                # Count the pods of one version only. Otherwise, a rollout would place new pods around the old ones.
                "matchLabelKeys": ["pod-template-hash"],
            }
            for key in SPREAD
        ],
        "containers": [_container(shop, workload)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    if shop.spec.image_pull_secrets:
        spec["imagePullSecrets"] = [each.to_dict() for each in shop.spec.image_pull_secrets]
    return spec


def _container(shop: ShopService, workload: Workload) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": workload.container,
        "image": shop.spec.image,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  private to the pod, and its only writable path
        **_probes(workload),
    }
    optional = {
        "imagePullPolicy": shop.spec.image_pull_policy,
        "command": workload.command,
        "args": workload.args,
        "env": [_variable(each) for each in workload.env],
        "envFrom": [each.to_dict() for each in shop.spec.env_from or ()],
        "resources": _resources(workload),
    }
    container |= {key: value for key, value in optional.items() if value}
    if workload.port is not None:
        container["ports"] = [{"name": PORT_NAME, "containerPort": workload.port, "protocol": "TCP"}]
    hooks = _hooks(workload)
    if hooks:
        container["lifecycle"] = hooks
    return container


def _hooks(workload: Workload) -> dict[str, Any]:
    """The hooks of the spec. A web workload without a preStop hook gets a pause."""
    # At least half of the grace period is left for the process to end. Sleeping for 0 s is an error in older clusters.
    pause = min(PRE_STOP_SECONDS, workload.grace // 2)
    hooks: dict[str, Any] = {"preStop": {"sleep": {"seconds": pause}}} if workload.serves and pause else {}
    own = {"postStart": workload.lifecycle.post_start, "preStop": workload.lifecycle.pre_stop}
    hooks |= {
        name: hook.rendered(PORT_NAME) for name, hook in own.items() if hook is not None and hook.is_set
    }
    return {name: hook for name, hook in hooks.items() if hook is not None}


def _variable(variable: EnvVar) -> dict[str, Any]:
    """A variable without an empty value, which is the default and not stored."""
    return {key: value for key, value in variable.to_dict().items() if value}


def _resources(workload: Workload) -> dict[str, Any]:
    resources = workload.resources.to_dict() if workload.resources else {}
    return {key: value for key, value in resources.items() if value}


def _probes(workload: Workload) -> dict[str, Any]:
    """The three probes: those of the spec, merged over the defaults if the workload has a port."""
    asked = {
        "startupProbe": (workload.probes.startup, "/healthz", _STARTUP),
        "readinessProbe": (workload.probes.readiness, "/readyz", _READINESS),
        "livenessProbe": (workload.probes.liveness, "/healthz", _LIVENESS),
    }
    found = {name: _probe(workload, *each) for name, each in asked.items()}
    return {name: probe for name, probe in found.items() if probe is not None}


def _probe(
    workload: Workload, probe: Probe | None, path: str, timing: dict[str, int]
) -> dict[str, Any] | None:
    handler = probe.handler if probe else {}
    if not handler:
        if workload.port is None:
            return None
        handler = {"httpGet": {}}
    if "httpGet" in handler:
        handler = {"httpGet": {"path": path, "port": PORT_NAME, "scheme": "HTTP", **handler["httpGet"]}}
    own = probe.to_dict() if probe else {}
    # A zero is not stored, and would look like drift.
    seconds = {key: value for key, value in own.items() if key not in handler and value}
    return {**timing, **seconds, **handler}
