"""The summary of a Rollout of Argo Rollouts, which runs the pods of a Deployment during and after canary releases."""

from collections.abc import Mapping
from typing import Any, Final

from shop_operator.names import KEPT_COUNT_ANNOTATION
from shop_operator.objects.lenient import digits, mapping, mappings, number, text
from shop_operator.objects.summary.conditions import Summary

_COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
# Argo Rollouts stores generations as strings.
_GENERATIONS: Final = ("observedGeneration", "workloadObservedGeneration")
_WHOLE: Final = 100


def fields(obj: Mapping[str, Any]) -> Summary:
    """The counts of pods, the phase and its message, and the step of a canary release: its number, the weight, and the pause."""
    spec, state = mapping(obj.get("spec")), mapping(obj.get("status"))
    replicas = spec.get("replicas")
    return {
        "spec": {"replicas": replicas if isinstance(replicas, int) else 1},
        "status": {
            **{key: number(state[key]) for key in _COUNTS if key in state},
            **{key: digits(state[key]) for key in _GENERATIONS if key in state},
            **{key: text(state[key]) for key in ("phase", "message", "stableRS") if key in state},
            **({"abort": True} if state.get("abort") is True else {}),
        },
        **({"paused": True} if spec.get("paused") is True else {}),
        **({"kept": True} if KEPT_COUNT_ANNOTATION in mapping(obj["metadata"].get("annotations")) else {}),
        "canary": _canary(mapping(mapping(spec.get("strategy")).get("canary")), state),
    }


def _canary(canary: Mapping[str, Any], state: Mapping[str, Any]) -> Summary:
    """The step of the release: `step` of `steps`, the weight, and the duration of its pause."""
    steps = mappings(canary.get("steps"))
    at = max(number(state.get("currentStepIndex")), 0)
    weights = [each.get("setWeight") for each in steps[: at + 1] if "setWeight" in each]
    said = mapping(mapping(mapping(state.get("canary")).get("weights")).get("canary")).get("weight")
    weight = said if said is not None else (weights[-1] if weights else 0) if at < len(steps) else _WHOLE
    pause = text(mapping(steps[at].get("pause")).get("duration")) if at < len(steps) else ""
    return {
        "step": len(weights),
        "steps": sum("setWeight" in each for each in steps),
        "weight": number(weight),
        **({"pause": pause} if pause else {}),
    }
