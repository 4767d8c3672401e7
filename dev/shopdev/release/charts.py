"""The charts as packages, with the images of the release as defaults and the annotations that Artifact Hub reads."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shopdev.cluster import tools
from shopdev.codegen.chartdocs import outputs
from shopdev.console import CommandError, run
from shopdev.delivery.engine import LOOPBACK
from shopdev.demo.images import Image
from shopdev.release import changelog
from shopdev.release.tree import CHARTS
from shopdev.release.version import Version

# Chart -> the targets of the Dockerfile that it runs.
IMAGES: Mapping[str, tuple[str, ...]] = {
    "shop-operator": ("operator",),
    "shop-service": (),
    "shop": ("product", "order", "payment", "shipping", "storefront"),
    "local-aws": ("local-aws",),
}
# Chart -> the parts of the changelog that concern it. Entries without a part concern the operator and the shop.
PARTS: Mapping[str, tuple[str, ...]] = {
    "shop-operator": ("The ShopService API", "The operator", ""),
    "shop-service": ("The ShopService API",),
    "shop": ("The shop", ""),
    "local-aws": (),
}
_EXAMPLE = "manifests/examples/web.yaml"
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class PgpKey:
    """The key that signs the provenance of charts.

    Args:
        name: part of its user ID.
        keyring: file of secret keys, as `gpg --export-secret-keys` writes it.
        passphrase: file with the passphrase; None for a key without one.
    """

    name: str
    keyring: Path
    passphrase: Path | None


def set_images(tree: Path, images: Mapping[str, Image], digests: Mapping[str, str]) -> None:
    """Make the images of the release the defaults of the charts, so that they need no registry in their values.

    Args:
        tree: the copy of the checkout.
        images: target -> image.
        digests: target -> digest, of the images that a registry has.
    """
    for name, targets in IMAGES.items():
        values = tree / "charts" / name / "values.yaml"
        text = values.read_text(encoding="utf-8")
        for target in targets:
            if image := images.get(target):
                registry = image.repository.rpartition("/")[0]
                text = re.sub(
                    r'^( +)registry: ".*"$', rf'\1registry: "{registry}"', text, count=1, flags=re.MULTILINE
                )
            if (digest := digests.get(target)) and len(targets) == 1:
                text = re.sub(
                    r'^( +)digest: "".*$', rf'\1digest: "{digest}"', text, count=1, flags=re.MULTILINE
                )
        values.write_text(text, encoding="utf-8")
    for name in CHARTS:
        chart = tree / "charts" / name
        (chart / "README.md").write_text(outputs.chart_readme(chart), encoding="utf-8")


def annotate(tree: Path, version: Version, images: Mapping[str, Image]) -> None:
    """Add the annotations of Artifact Hub to every Chart.yaml."""
    text = changelog.section((tree / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    for name in CHARTS:
        file = tree / "charts" / name / "Chart.yaml"
        chart = yaml.safe_load(file.read_text(encoding="utf-8"))
        if name == "shop-operator":
            example = yaml.safe_load((tree / _EXAMPLE).read_text(encoding="utf-8"))
            chart["annotations"]["artifacthub.io/crdsExamples"] = _yaml([example])
        chart["annotations"] = {**chart.get("annotations", {}), **_of_release(name, text, version, images)}
        file.write_text(yaml.safe_dump(chart, sort_keys=False, allow_unicode=True), encoding="utf-8")


def package(tree: Path, target: Path, key: PgpKey | None) -> list[Path]:
    """Package every chart, with a provenance file if there is a key, and return the packages.

    Raises:
        CommandError: when helm refuses a chart.
    """
    signed = _signing(key) if key else []
    _helm("dependency", "update", "--skip-refresh", str(tree / "charts/shop"))
    for name in CHARTS:
        _helm("package", str(tree / "charts" / name), "--destination", str(target), *signed)
    return sorted(target.glob("*.tgz"))


def push(package: Path, registry: str) -> str:
    """Push a package and its provenance as an OCI artifact, and return its reference with the digest.

    Raises:
        CommandError: when the registry refuses the chart.
    """
    plain = ["--plain-http"] if registry.partition("/")[0].partition(":")[0] in LOOPBACK else []
    said = _helm("push", str(package), f"oci://{registry}/charts", *plain)
    digest = _DIGEST.search(said)
    if not digest:
        raise CommandError(f"helm pushed {package.name}, but did not print its digest:\n{said}")
    name = max((each for each in CHARTS if package.name.startswith(f"{each}-")), key=len)
    return f"{registry}/charts/{name}@{digest[1]}"


def _of_release(name: str, text: str, version: Version, images: Mapping[str, Image]) -> dict[str, str]:
    concerning = [each for each in changelog.changes(text) if each.part in PARTS[name]]
    found = {"artifacthub.io/prerelease": str(version.is_prerelease).lower()}
    if concerning:
        entries = [{"kind": each.kind, "description": each.description} for each in concerning]
        found["artifacthub.io/changes"] = _yaml(entries)
    if listed := [
        {"name": images[each].target, "image": images[each].reference}
        for each in IMAGES[name]
        if each in images
    ]:
        found["artifacthub.io/images"] = _yaml(listed)
    return found


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)


def _signing(key: PgpKey) -> list[str]:
    passphrase = ["--passphrase-file", str(key.passphrase)] if key.passphrase else []
    return ["--sign", "--key", key.name, "--keyring", str(key.keyring), *passphrase]


def _helm(*arguments: str) -> str:
    return run([str(tools.ensure("helm3") / "helm"), *arguments], env=os.environ)
