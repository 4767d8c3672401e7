"""The bill of materials of an image, in CycloneDX format.

The Python packages are those of the lock file, with the hashes that pip verified. The packages of the distribution are those of
its package database in the image.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from shopdev.delivery.delivery import Delivery, DeliveryError
from shopdev.delivery.engine import Engine


@dataclass(frozen=True)
class Bill:
    """A bill of materials.

    Args:
        text: CycloneDX as JSON.
        python: number of Python packages.
        distribution: number of packages of the distribution.
    """

    text: str
    python: int
    distribution: int


def write(delivery: Delivery, engine: Engine) -> str:
    """Write the bill of materials of a delivery and return a summary.

    Raises:
        DeliveryError: when it does not match the schema of CycloneDX.
    """
    made = of_image(delivery.fact("repository"), delivery.fact("tag"), delivery.lock, engine)
    delivery.bill.write_text(made.text, encoding="utf-8")
    return f"{made.python} Python and {made.distribution} distribution packages in {delivery.bill}"


def of_image(repository: str, tag: str, lock: Path | None, engine: Engine) -> Bill:
    """The bill of materials of an image.

    Args:
        repository: repository of the image.
        tag: its tag.
        lock: lock file of its Python packages; None for an image without any.
        engine: engine that has the image.

    Raises:
        DeliveryError: when it does not match the schema of CycloneDX.
    """
    reference = f"{repository}:{tag}"
    bom = _python_packages(lock) if lock else Bom()
    python = len(bom.components)
    bom.components.update(
        distribution(engine.read(reference, "/var/lib/dpkg/status"), _release(engine, reference))
    )
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=repository, version=tag, bom_ref=reference
    )
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise DeliveryError(f"the bill of materials of {reference} is not valid CycloneDX: {error}")
    return Bill(text + "\n", python, len(bom.components) - python)


def distribution(database: str | None, release: Mapping[str, str]) -> Iterator[Component]:
    """The packages that the status file of dpkg lists as installed; none for an image without this file."""
    for paragraph in (database or "").split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line[1:] and line[0] != " "
        )
        if not fields.get("Status", "").endswith(" installed"):
            continue
        url = PackageURL(
            "deb",
            release.get("ID", "debian"),
            fields["Package"],
            fields["Version"],
            {
                "arch": fields["Architecture"],
                "distro": "-".join(filter(None, map(release.get, ("ID", "VERSION_ID")))),
            },
        )
        yield Component(
            type=ComponentType.LIBRARY, name=url.name, version=url.version, purl=url, bom_ref=url.to_string()
        )


def _python_packages(lock: Path) -> Bom:
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--sv", "1.6", "--of", "JSON", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeliveryError(f"cyclonedx-py cannot read {lock}: {done.stderr.strip()}")
    document: dict[str, Any] = json.loads(done.stdout)
    made: Bom = Bom.from_json(document)  # type: ignore[attr-defined]  # added by a decorator
    return made


def _release(engine: Engine, reference: str) -> dict[str, str]:
    text = engine.read(reference, "/etc/os-release") or ""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: value.strip('"') for name, value in pairs}
