"""The observations of an earlier process, as far as the status shows them. A restart of the operator does not restart a wait. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shop_operator.status.cause import CYCLE, MISSING
from shop_operator.status.verdicts.autoscaler import AUTOSCALERS, CANNOT_SCALE
from shop_operator.status.verdicts.deployment import SCALING
from shop_operator.wording import printable, steady


def messages(status: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The message about each child of a kind that is not ready, by its name."""
    return {
        each["name"]: each["message"]
        for each in status.get("children", ())
        if each["kind"] == kind and not each["ready"]
    }


def is_one_of(message: str, candidates: Iterable[str]) -> bool:
    """Whether a message of a status says the same as one of the candidates."""
    return any(steady(message, printable(each)) == message for each in candidates)


def overdue(status: Mapping[str, Any], generation: int) -> str:
    """The Deployment whose rollout of this generation has failed beyond doubt; empty for none."""
    if status.get("observedGeneration") != generation:
        return ""
    message: str = (status.get("rollout") or {}).get("message", "")
    return message.removeprefix("Deployment ").partition(":")[0]


def scaling(status: Mapping[str, Any], name: str) -> bool:
    """Whether a Deployment was being scaled."""
    return any(
        each["kind"] == "Deployment" and each["name"] == name and each["message"].startswith(SCALING)
        for each in status.get("children", ())
    )


def failed_autoscalers(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The autoscalers that had failed for three minutes."""
    for each in status.get("children", ()):
        if each["kind"] in AUTOSCALERS and not each["ready"] and each["message"].startswith(CANNOT_SCALE):
            yield each["kind"], each["name"]


def unmet(status: Mapping[str, Any]) -> bool:
    """Whether pods had waited long enough for dependencies that cannot be met."""
    return any(
        each["type"] == "Stalled" and each["status"] == "True" and each["reason"] in {MISSING, CYCLE}
        for each in status.get("conditions", ())
    )
