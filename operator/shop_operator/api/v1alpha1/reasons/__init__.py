"""The reasons of all conditions of a ShopService: their meaning, the cure, and a command.

The reference page and `kubectl shop explain` are generated from this table. A test fails if a reason is not in the table: add the
row in the change that adds the reason.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from shop_operator.api.v1alpha1.reasons import errors, objects, pods, rollouts, settled
from shop_operator.api.v1alpha1.reasons.reason import Reason

CONDITIONS: Final[Mapping[str, str]] = {
    "Ready": (
        "All resources match the spec and are ready. Wait for this condition. Its message contains the whole cause; the"
        " other conditions refer to it."
    ),
    "Available": (
        "The web Deployment has minimum availability, and at least one available pod unless it is scaled to zero. True"
        " during a rolling update."
    ),
    "Progressing": "A Deployment is rolling out a new template or scaling.",
    "Reconciling": "Work is in progress that needs no intervention yet. kstatus reports InProgress.",
    "Stalled": "Manual intervention is required. kstatus reports Failed.",
    "DependenciesReady": (
        "Every ShopService of spec.dependsOn exists and is available. Present only with spec.dependsOn."
    ),
}
"""The types of conditions, with their meaning when True."""

ROWS: Final = (*rollouts.ROWS, *pods.ROWS, *objects.ROWS, *errors.ROWS, *settled.ROWS)
REASONS: Final[Mapping[str, Reason]] = {each.word: each for each in ROWS}
"""By word."""
IMMUTABLE: Final = "field is immutable"
"""Part of the API server's message for a change of an immutable field."""
_AGAIN: Final = "so that the operator can create it again"
_DELETE: Final = re.compile(
    rf"{IMMUTABLE}\b.*\. (?P<cure>Delete the (?P<kind>[A-Za-z]+) (?P<name>[a-z0-9][a-z0-9.-]*) {_AGAIN})"
)


def recreation(child: str) -> str:
    """The clause of a message that asks for the deletion of a child, so that the operator can create it again.

    Args:
        child: kind and name of the child.
    """
    return f"Delete the {child} {_AGAIN}"


def row(word: str, message: str) -> Reason | None:
    """The row of a reason, with the cure and the command for its message; None for an unknown reason.

    Args:
        word: the reason.
        message: message of the condition with that reason.
    """
    found = _DELETE.search(message) if word == "Refused" else None
    if found is None:
        return REASONS.get(word)
    command = f"kubectl delete {found['kind'].lower()} {found['name']} -n {{namespace}}"
    return replace(REASONS[word], cure=f"{found['cure']}.", next=command)
