"""The Events of a ShopService: their reason, type and meaning.

Besides the Events in this table, the operator emits a Warning with the reason of each condition that requires attention.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Event:
    """A row of the table.

    Args:
        reason: the reason of the Event, in CamelCase.
        type: Normal or Warning.
        meaning: when the operator emits it, in sentences.
        cure: the action to take, in sentences; empty if none is required.
    """

    reason: str
    type: str
    meaning: str
    cure: str = ""


EVENTS: Final = (
    Event(
        "Ready",
        "Normal",
        "The ShopService has become ready. The note states the number of pods and the image.",
    ),
    Event(
        "WaitingForDependencies",
        "Normal",
        "The first pods are created once the dependencies are available, or after 120 seconds.",
    ),
    Event(
        "DriftRepaired",
        "Warning",
        "Another client changed fields that the operator owns, and the operator reverted them. The note names the object, the fields"
        " and the client.",
        "Change the ShopService instead. If the client is a controller, configure it to ignore these fields.",
    ),
    Event(
        "Recreated",
        "Warning",
        "Another client deleted a child object, and the operator recreated it. The note states the number of pods of a Deployment.",
        "To remove the object, change the ShopService. To stop the pods, scale the ShopService to zero.",
    ),
    Event(
        "RollingBack",
        "Warning",
        "The rollout of a release failed, and the ShopService is rolled back to the last available release"
        " (spec.rollout.autoRollback). The note names both images and the cause.",
        "Correct the cause, then set a new image, or retry the same release with `kubectl shop retry`.",
    ),
)
