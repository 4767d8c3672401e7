"""The images of a release, their bills of materials, and their digests in the registry."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shopdev.checkout import ROOT, STOREFRONT
from shopdev.console import CommandError
from shopdev.delivery import bill
from shopdev.delivery.engine import Docker, Engine, native_platform
from shopdev.demo.images import SOURCES, Image, image_name
from shopdev.release import plugin
from shopdev.release.version import Version

PLATFORMS = ("linux/amd64", "linux/arm64")
# Target of the Dockerfile -> its lock in requirements. The sample needs only the standard library.
_LOCKS: Mapping[str, str | None] = {
    **dict.fromkeys(SOURCES, "services"),
    "operator": "operator",
    "local-aws": "local-aws",
    STOREFRONT: STOREFRONT,
    "sample": None,
}


def plan(version: Version, registry: str, targets: Iterable[str]) -> dict[str, Image]:
    """Target -> image, tagged with the version of the release."""
    return {each: Image(each, f"{registry}/{image_name(each)}", version.text) for each in targets}


def lock(target: str) -> Path | None:
    """The lock file of the Python packages in an image."""
    name = _LOCKS[target]
    return ROOT / "requirements" / f"{name}.txt" if name else None


def missing_platforms(engine: Engine, wanted: Sequence[str]) -> list[str]:
    """The wanted platforms for which the engine cannot build here."""
    able = engine.platforms()
    return [each for each in wanted if each not in able]


def build(images: Mapping[str, Image], engine: Engine, base: str) -> None:
    """Build the images for this machine's platform, so that they can be read and tried."""
    for image in images.values():
        engine.build(image.target, image.reference, base)


def write_bills(images: Mapping[str, Image], engine: Engine, target: Path) -> str:
    """Write a bill of materials for each image, and return a summary."""
    total = 0
    for image in images.values():
        made = bill.of_image(image.repository, image.tag, lock(image.target), engine)
        (target / f"{image_name(image.target)}.cdx.json").write_text(made.text, encoding="utf-8")
        total += made.python + made.distribution
    return f"{len(images)} bills of materials (CycloneDX 1.6) with {total} packages"


def check_wheels(images: Mapping[str, Image], platforms: Iterable[str]) -> str:
    """Check that every locked package has a wheel for platforms that cannot be built here.

    Raises:
        CommandError: names a package without one.
    """
    locks = sorted({found for each in images if (found := lock(each))})
    packages = sum(plugin.must_have_wheels(found, platform) for platform in platforms for found in locks)
    return f"{packages} packages in {len(locks)} lock files have wheels"


def push(images: Mapping[str, Image], engine: Engine, base: str, platforms: Sequence[str]) -> dict[str, str]:
    """Push the images, and return target -> digest.

    Raises:
        CommandError: when the engine cannot build for a platform.
    """
    if list(platforms) == [native_platform()]:
        return {target: engine.push(image.reference) for target, image in images.items()}
    missing = missing_platforms(engine, platforms)
    if missing or not isinstance(engine, Docker):
        raise CommandError(
            f"this machine cannot build for {', '.join(missing)}: use docker with a buildx builder and QEMU, "
            f"as .github/workflows/release.yaml does, or publish for `--platforms {native_platform()}` only"
        )
    return {
        target: engine.cross_build(image.target, image.reference, base, platforms)
        for target, image in images.items()
    }
