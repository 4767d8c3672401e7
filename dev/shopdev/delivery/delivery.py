"""The folder in which one delivery of one service keeps what a later step, or a later machine, needs to know."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.console import CommandError


class DeliveryError(CommandError):
    """A step failed; the message says what to do next."""


@dataclass(frozen=True)
class Delivery:
    """One service on its way to the cluster.

    Args:
        service: its name, which is also that of its ShopService and of its Helm release.
        folder: where the steps leave what they made. The DELIVERY variable names it when it came from another machine.
    """

    service: str
    folder: Path

    @classmethod
    def of(cls, service: str, env: Mapping[str, str] = os.environ) -> "Delivery":
        """The delivery of a service in this checkout."""
        return cls(service, Path(env.get("DELIVERY") or ROOT / ".dev" / "delivery" / service))

    @property
    def bill(self) -> Path:
        """What the image consists of: CycloneDX as JSON."""
        return self.folder / "sbom.cdx.json"

    @property
    def chart(self) -> Path:
        """The chart with this delivery's values as its own."""
        return self.folder / "chart"

    def note(self, **facts: str) -> None:
        """Keep facts about the image for the steps that follow."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._facts() | facts
        self._notes.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")

    def fact(self, name: str) -> str:
        """What an earlier step noted.

        Raises:
            DeliveryError: names the step that has not been run.
        """
        facts = self._facts()
        if name not in facts:
            step = "push" if name == "digest" else "image"
            raise DeliveryError(
                f"{self._notes} does not contain the {name}: run `make {step} SERVICE={self.service}` first"
            )
        return facts[name]

    @property
    def reference(self) -> str:
        """The image by its tag, as an engine builds and pushes it."""
        return f"{self.fact('repository')}:{self.fact('tag')}"

    @property
    def _notes(self) -> Path:
        return self.folder / "image.json"

    def _facts(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._notes.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found
