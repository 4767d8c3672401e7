"""The images of the demo: named by the hash of what goes into them, so that nothing unchanged is built twice.

Three ways to a cluster: the local node (buildah, loaded from its store), kind (docker or podman, `kind load`), and any
other cluster through a registry.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shopdev.checkout import ROOT, SERVICES
from shopdev.console import CommandError, run, say

OFFICIAL_BASE = "python:3.11-slim"
"""By tag: a digest in the source would miss the patches of Debian and Python until someone changes it. Whatever is delivered
(`shopdev.delivery`, `shopdev.eks`) is built on the digest that the tag has at that time; a demo takes the engine's own copy."""
SAMPLE = "shop-sample:0.1.0"
"""What manifests/examples and the tutorial call the image of the target `sample`, where no registry has to be named."""

# Target of the Dockerfile -> everything that the build reads.
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
}


@dataclass(frozen=True)
class Image:
    """One image: the Dockerfile's target and where it is found, `registry/name:tag`."""

    target: str
    repository: str
    tag: str

    @property
    def reference(self) -> str:
        """The whole reference, as a pod names it."""
        return f"{self.repository}:{self.tag}"


def plan(registry: str, base: str, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
    """Answer the image of each target, tagged by the content of its sources in a tree and by its base."""
    return {
        target: Image(target, f"{registry}/{image_name(target)}", content_tag(target, base, tree))
        for target in targets
    }


def image_name(target: str) -> str:
    """The repository's last part: the emulator is not part of the shop, everything else is."""
    return target if target == "local-aws" else f"shop-{target}"


def content_tag(target: str, base: str, tree: Path = ROOT) -> str:
    """Twelve hexadecimal digits that change with any byte that goes into the image."""
    digest = hashlib.sha256(base.encode())
    for path in files(tree, "Dockerfile", ".dockerignore", *SOURCES[target]):
        digest.update(str(path.relative_to(tree)).encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def files(tree: Path, *sources: str) -> Iterator[Path]:
    """Every file of some files and folders of a tree that images contain, always in the same order; see .dockerignore."""
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
    """Build with docker or podman, whichever answers, and say which.

    Raises:
        CommandError: when neither engine is reachable or a build fails.
    """
    engine = container_engine(env)
    for image in images.values():
        say(f"      {image.reference}")
        build = ("build", "--quiet", "--target", image.target)
        run(
            [engine, *build, "--build-arg", f"BASE={base}", "--tag", image.reference, str(tree)],
            env=env,
        )
    return engine


def container_engine(env: Mapping[str, str]) -> str:
    """The first of docker and podman whose engine answers.

    Raises:
        CommandError: when there is none.
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
    for image in images.values():
        say(f"      push {image.reference}")
        run([engine, "push", "--quiet", image.reference], env=env)


def load_into_kind(images: Mapping[str, Image], cluster: str, engine: str, env: Mapping[str, str]) -> None:
    """Copy every image into a kind cluster's nodes, that of the examples under their name for it too."""
    references = [image.reference for image in images.values()]
    if "sample" in images:
        # The whole name: podman would put localhost before a short one, and no pod would find it.
        whole = f"docker.io/library/{SAMPLE}"
        run([engine, "tag", images["sample"].reference, whole], env=env)
        references.append(whole)
    run(["kind", "load", "docker-image", "--name", cluster, *references], env=env)


def write_references(images: Mapping[str, Image], path: Path) -> None:
    """Keep the references where later commands and tests find them: JSON, target -> reference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({target: image.reference for target, image in images.items()}, indent=2) + os.linesep
    )
