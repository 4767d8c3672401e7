"""The objectives of the shop, from manifests/slo.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml

from shop_operator.api.v1alpha1.slos import Slo
from shopdev.checkout import ROOT

SOURCE: Final = ROOT / "manifests" / "slo.yaml"
RUNBOOK: Final = "docs/how-to/respond-to-an-alert.md"
"""The page that the alerts link to, with one heading for each objective."""


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        service: name of its service.
        queues: the queues of the service, such as tasks.
        description: completes the sentence "The objective is that".
        document: the objective as in monitoring.slos.
        slo: the same, as a model.
    """

    service: str
    queues: tuple[str, ...]
    description: str
    document: Mapping[str, Any]
    slo: Slo

    @property
    def name(self) -> str:
        """A name that is unique in the shop, and the anchor of its section in the runbook."""
        return f"{self.service}-{self.slo.name}"

    @property
    def title(self) -> str:
        """The name as the part of an identifier, such as OrderAvailability."""
        return "".join(word.capitalize() for word in self.name.split("-"))


@cache
def objectives() -> tuple[Objective, ...]:
    """All objectives, in the order of the file.

    Raises:
        pydantic.ValidationError: when an objective is invalid.
    """
    services = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["services"]
    return tuple(
        _objective(service, tuple(described["queues"]), dict(each))
        for service, described in services.items()
        for each in described["slos"]
    )


def _objective(service: str, queues: tuple[str, ...], document: dict[str, Any]) -> Objective:
    description = document.pop("description")
    return Objective(service, queues, description, document, Slo.model_validate(document))
