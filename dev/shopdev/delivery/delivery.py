"""The folder in which a delivery of a service stores data for later steps, which may run on another machine."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT, STOREFRONT
from shopdev.console import CommandError


class DeliveryError(CommandError):
    """A step failed; the message says what to do next."""


@dataclass(frozen=True)
class Delivery:
    """The delivery of one service.

    Args:
        service: name of the service, of its ShopService and of its Helm release.
        folder: folder of the files that the steps create. Set the variable DELIVERY if it came from another machine.
    """

    service: str
    folder: Path

    @classmethod
    def of(cls, service: str, env: Mapping[str, str] = os.environ) -> "Delivery":
        """The delivery of a service in this checkout."""
        return cls(service, Path(env.get("DELIVERY") or ROOT / ".dev" / "delivery" / service))

    @property
    def lock(self) -> Path:
        """The lock file of the Python packages in the image."""
        return ROOT / "requirements" / f"{STOREFRONT if self.service == STOREFRONT else 'services'}.txt"

    @property
    def bill(self) -> Path:
        """The bill of materials of the image: CycloneDX as JSON."""
        return self.folder / "sbom.cdx.json"

    @property
    def chart(self) -> Path:
        """The chart, with the values of this delivery as its defaults."""
        return self.folder / "chart"

    def note(self, **facts: str) -> None:
        """Store facts about the image for later steps."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._facts() | facts
        self._notes.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")

    def fact(self, name: str) -> str:
        """A fact that an earlier step stored.

        Raises:
            DeliveryError: names the step that must run first.
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
        """The image with its tag, as an engine builds and pushes it."""
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
