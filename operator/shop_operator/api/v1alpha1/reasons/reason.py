"""A row of the table of reasons, and the conditions and commands that several rows share."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Reason:
    """A row of the table.

    Args:
        word: the reason, in CamelCase.
        conditions: types of the conditions that may have the reason.
        meaning: the cause, in one or more sentences.
        cure: the action to take, in sentences; empty if none is required.
        next: a command that shows details or applies the cure, with the placeholders {name}, {namespace}, {child}, {pod},
            {container} and {previous}; empty for none.
        warns: whether the operator reports the reason in a Warning Event.
    """

    word: str
    conditions: tuple[str, ...]
    meaning: str
    cure: str = ""
    next: str = ""
    warns: bool = False


WAITING: Final = ("Ready", "Reconciling")
ROLLING: Final = ("Ready", "Progressing", "Reconciling")
PODS: Final = ("Ready", "Progressing", "Reconciling", "Stalled")
STUCK: Final = ("Ready", "Stalled")
EITHER: Final = ("Ready", "Reconciling", "Stalled")

EDIT: Final = "kubectl edit shopservice {name} -n {namespace}"
TREE: Final = "kubectl shop tree {name} -n {namespace}"
DEPLOYMENTS: Final = "kubectl describe deployments -n {namespace} -l shopservice.dev/name={name}"
POD: Final = "kubectl describe pod {pod} -n {namespace}"
LOGS: Final = "kubectl logs {pod} -c {container}{previous} -n {namespace}"
OPERATOR: Final = "kubectl get pods -A -l app.kubernetes.io/name=shop-operator"
KEDA: Final = "helm upgrade --install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace"
