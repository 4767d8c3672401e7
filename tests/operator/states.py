"""ShopServices in every state that a tool has to tell apart, as the operator writes their status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import ApiUnavailable, Conflict, InvalidSpec, OperatorError, RolledBack
from shop_operator.objects.summary import summary
from shop_operator.status.compute import status
from shop_operator.status.dependencies import Dependencies
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.observed import Observed

_NOW: Final = "2030-01-01T00:00:00Z"
_DONE: Final = [
    {"type": "Available", "status": "True"},
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
]
_LATE: Final = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
_CRASH: Final = Diagnosis(
    "CrashLoopBackOff", "container app exited with code 1 and was restarted", "web-1", "app"
)


@dataclass(frozen=True)
class State:
    """One ShopService.

    Args:
        name: of the state.
        object: as the API server shows it.
        kstatus: what kstatus and Flux take it for.
        argo: what Argo CD takes it for.
    """

    name: str
    object: Mapping[str, Any]
    kstatus: str
    argo: str


def _deployment(
    *, wanted: int = 1, updated: int = 1, available: int = 1, conditions: Any = None, paused: bool = False
) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {
            "replicas": wanted,
            "paused": paused,
            "template": {"spec": {"containers": [{"name": "app"}]}},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": wanted,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": _DONE if conditions is None else conditions,
        },
    }


def _shop(
    *children: dict[str, Any],
    spec: Mapping[str, Any] | None = None,
    error: OperatorError | None = None,
    **observed: Any,
) -> dict[str, Any]:
    document = {"image": "web:1", **(spec or {})}
    shop = ShopService(name="web", namespace="shop", uid="u", generation=2, document=document)
    live = {(each["kind"], each["metadata"]["name"]): summary(each) for each in children}
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 2},
        "spec": document,
        "status": status(shop, Observed(live, error, **observed), {}, now=lambda: _NOW),
    }


def _new() -> dict[str, Any]:
    """As the API server creates it, with the default of the CRD."""
    (version,) = crd()["spec"]["versions"]
    made = _shop()
    return {**made, "status": dict(version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"])}


def _older(state: dict[str, Any]) -> dict[str, Any]:
    """With a spec that the operator has not reconciled yet."""
    return {**state, "metadata": {**state["metadata"], "generation": 3}}


def _deleted(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "metadata": {**state["metadata"], "deletionTimestamp": _NOW}}


_TYPO: Final = Dependencies({}, missing=("databse",))
_NONE: Final = _deployment(wanted=0, updated=0, available=0)

STATES: Final = (
    State("just created", _new(), "InProgress", "Progressing"),
    State("changed and not reconciled", _older(_shop(_deployment())), "InProgress", "Progressing"),
    State("creating", _shop(), "InProgress", "Progressing"),
    State("rolling out", _shop(_deployment(updated=0, conditions=[])), "InProgress", "Progressing"),
    State("a pod is lost", _shop(_deployment(available=0)), "InProgress", "Progressing"),
    State("ready", _shop(_deployment()), "Current", "Healthy"),
    State(
        "crashing before its deadline",
        _shop(_deployment(available=0, conditions=[]), diagnoses={"web": _CRASH}),
        "InProgress",
        "Progressing",
    ),
    State(
        "failed",
        _shop(_deployment(available=0, conditions=_LATE), diagnoses={"web": _CRASH}),
        "Failed",
        "Degraded",
    ),
    State("stalled", _shop(_deployment(), error=Conflict("Service web exists.")), "Failed", "Degraded"),
    State("invalid", _shop(error=InvalidSpec("spec.port: no.")), "Failed", "Degraded"),
    State("rolled back", _shop(_deployment(), error=RolledBack("Rolled back.")), "Failed", "Degraded"),
    State(
        "suspended after a rollback",
        _shop(_deployment(), error=RolledBack("Rolled back."), spec={"suspend": True}),
        "Failed",
        "Degraded",
    ),
    State("the API is away", _shop(_deployment(), error=ApiUnavailable("503.")), "InProgress", "Progressing"),
    State("paused", _shop(_deployment(updated=0, paused=True)), "Failed", "Degraded"),
    State("suspended while ready", _shop(_deployment(), spec={"suspend": True}), "Current", "Suspended"),
    State("suspended from its beginning", _shop(spec={"suspend": True}), "Current", "Suspended"),
    State("scaled to zero", _shop(_NONE, spec={"replicas": 0}), "Current", "Healthy"),
    State(
        "waiting for dependencies",
        _shop(held=True, dependencies=Dependencies({"a": 1}, unavailable=("a",))),
        "InProgress",
        "Progressing",
    ),
    State(
        "a dependency is down",
        _shop(_deployment(), dependencies=Dependencies({"a": 1}, unavailable=("a",))),
        "Current",
        "Healthy",
    ),
    State("a dependency is missing", _shop(_deployment(), dependencies=_TYPO), "InProgress", "Progressing"),
    State(
        "a dependency is missing for long",
        _shop(_deployment(), dependencies=_TYPO, unmet=True),
        "Failed",
        "Degraded",
    ),
    State("deleting", _deleted(_shop(_deployment())), "Terminating", "Healthy"),
)
"""Argo CD judges what is being deleted before any script does."""
