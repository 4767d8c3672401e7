"""The images of the demo, tagged with the hash of their sources, so that unchanged ones are not built again.

They reach a cluster in one of three ways: the local node loads them from the store of buildah, kind with `kind load` from docker
or podman, and any other cluster from a registry.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT, SERVICES, STOREFRONT
from shopdev.console import CommandError, run, say

OFFICIAL_BASE = "python:3.11-slim"
"""A tag, because a digest in the source would miss the patches of Debian and Python until it is changed. Deliveries
(`shopdev.delivery`, `shopdev.eks`) are built on the digest that the tag has at that time; a demo uses the engine's local copy."""
SAMPLE = "shop-sample:0.1.0"
"""The name of the image of the target `sample` in manifests/examples and in the tutorial, without a registry."""

# Target of the Dockerfile -> the files and folders that its build reads.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "operator": (
        "requirements/build.txt",
        "requirements/operator.txt",
        "operator/pyproject.toml",
        "operator/shop_operator",
    ),
    "local-aws": ("requirements/local-aws.txt",),
    "sample": ("dev/shopdev/sample.py",),
    **{
        name: ("requirements/services.txt", "services/__init__.py", "services/common", f"services/{name}")
        for name in SERVICES
    },
    STOREFRONT: (
        "requirements/storefront.txt",
        "services/__init__.py",
        "services/common",
        "services/storefront",
    ),
}


@dataclass(frozen=True)
class Image:
    """One image: its target in the Dockerfile, and its reference `registry/name:tag`."""

    target: str
    repository: str
    tag: str

    @property
    def reference(self) -> str:
        """The full reference, as in a pod."""
        return f"{self.repository}:{self.tag}"


def plan(registry: str, base: str, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
    """Return the image of each target, tagged by the content of its sources in a tree and by its base."""
    return {
        target: Image(target, f"{registry}/{image_name(target)}", content_tag(target, base, tree))
        for target in targets
    }


def image_name(target: str) -> str:
    """The last segment of the repository. The emulator is not part of the shop and has no prefix."""
    return target if target == "local-aws" else f"shop-{target}"


def content_tag(target: str, base: str, tree: Path = ROOT) -> str:
    """Twelve hexadecimal digits that change with any byte that goes into the image."""
    digest = hashlib.sha256(base.encode())
    for path in files(tree, "Dockerfile", ".dockerignore", *SOURCES[target]):
        digest.update(str(path.relative_to(tree)).encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def files(tree: Path, *sources: str) -> Iterator[Path]:
    """The files in some files and folders of a tree that images contain, in a stable order; see .dockerignore."""
    for source in sources:
        path = tree / source
        if path.is_file():
            yield path
        else:
            yield from sorted(
                each
                for each in path.rglob("*")
                if each.is_file() and "__pycache__" not in each.parts and each.name != "README.md"
            )


def build_with_engine(images: Mapping[str, Image], base: str, env: Mapping[str, str], tree: Path) -> str:
    """Build with docker or podman, and return the one that was used.

    Raises:
        CommandError: when neither engine is reachable or a build fails.
    """
    engine = container_engine(env)
    for number, image in enumerate(images.values(), 1):
        say(f"      building {image.reference} ({number} of {len(images)})…")
        build = ("build", "--quiet", "--target", image.target)
        run(
            [engine, *build, "--build-arg", f"BASE={base}", "--tag", image.reference, str(tree)],
            env=env,
        )
    return engine


def container_engine(env: Mapping[str, str]) -> str:
    """The first of docker and podman whose engine is running.

    Raises:
        CommandError: when neither is.
    """
    for engine in ("docker", "podman"):
        if shutil.which(engine, path=env.get("PATH")) is None:
            continue
        if subprocess.run([engine, "info"], env=dict(env), capture_output=True, check=False).returncode == 0:
            return engine
    raise CommandError(
        "no container engine is running: start docker or podman, or use CLUSTER=local on Linux"
    )


def push(images: Mapping[str, Image], engine: str, env: Mapping[str, str]) -> None:
    """Push every image to its registry."""
    for number, image in enumerate(images.values(), 1):
        say(f"      pushing {image.reference} ({number} of {len(images)})…")
        run([engine, "push", "--quiet", image.reference], env=env)


def load_into_kind(images: Mapping[str, Image], cluster: str, engine: str, env: Mapping[str, str]) -> None:
    """Copy every image to the nodes of a kind cluster; the sample image also under its name in the examples."""
    references = [image.reference for image in images.values()]
    if "sample" in images:
        # The full name: podman would prefix a short one with localhost, and no pod would find it.
        whole = f"docker.io/library/{SAMPLE}"
        run([engine, "tag", images["sample"].reference, whole], env=env)
        references.append(whole)
    run(["kind", "load", "docker-image", "--name", cluster, *references], env=env)


def write_references(images: Mapping[str, Image], path: Path) -> None:
    """Store the references for later commands and tests: JSON, target -> reference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({target: image.reference for target, image in images.items()}, indent=2) + os.linesep
    )
