"""The program that builds and pushes images: docker or podman if one is running, otherwise buildah, which needs no daemon."""

import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from shopdev.checkout import ROOT
from shopdev.console import CommandError, run
from shopdev.demo import images

LOOPBACK = "127.0.0.1", "localhost"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Engine(Protocol):
    """The container engine operations that a delivery requires."""

    def base(self, named: str | None) -> str:
        """The name of the base image, which changes with its content.

        Args:
            named: name from the caller; None for the default of the engine.
        """

    def build(self, target: str, reference: str, base: str) -> None:
        """Build one target of the Dockerfile."""

    def login(self, registry: str, user: str, password: str) -> None:
        """Log in to the registry, for `push`."""

    def push(self, reference: str) -> str:
        """Push an image and return its digest in the registry."""

    def read(self, reference: str, path: str) -> str | None:
        """The text of a file in an image; None if it does not exist."""

    def platforms(self) -> frozenset[str]:
        """The platforms for which this engine can build on this machine, such as linux/arm64."""


def native_platform() -> str:
    """The platform of this machine's containers."""
    machine = platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


class Docker:
    """docker or podman.

    Args:
        program: name of the program.
    """

    def __init__(self, program: str, env: Mapping[str, str]) -> None:
        self._program = program
        self._env = env

    def base(self, named: str | None) -> str:
        """The digest that the tag has now, by default the tag of the official Python image.

        Thus a patched base changes the tags of images with unchanged sources, and is delivered.

        Raises:
            CommandError: when the base image cannot be pulled.
        """
        reference = named or images.OFFICIAL_BASE
        if "@sha256:" in reference:
            return reference
        run([self._program, "pull", reference], env=self._env, show=True)
        return self._by_digest(reference)

    def build(self, target: str, reference: str, base: str) -> None:
        """Build with the cache of the engine."""
        arguments = ("build", "--target", target, "--build-arg", f"BASE={base}", "--tag", reference)
        run([self._program, *arguments, str(ROOT)], env=self._env, show=True)

    def login(self, registry: str, user: str, password: str) -> None:
        """Pass the password on standard input, so that no list of processes shows it."""
        command = [self._program, "login", "--username", user, "--password-stdin", registry]
        run(command, env=self._env, stdin=password)

    def push(self, reference: str) -> str:
        """Push, then get the digest from the engine."""
        run([self._program, "push", reference], env=self._env, show=True)
        return self._by_digest(reference).partition("@")[2]

    def read(self, reference: str, path: str) -> str | None:
        """Run `cat` of the image."""
        command = [self._program, "run", "--rm", "--network=none", "--entrypoint", "cat", reference, path]
        try:
            return run(command, env=self._env)
        except CommandError:
            return None

    def platforms(self) -> frozenset[str]:
        """Those of the builder that buildx uses: its own, and the ones that QEMU emulates."""
        try:
            said = run([self._program, "buildx", "inspect", "--bootstrap"], env=self._env)
        except CommandError:
            return frozenset({native_platform()})
        listed = [line.partition(":")[2] for line in said.splitlines() if line.startswith("Platforms:")]
        # The builder of the engine itself cannot push an index.
        if not listed or re.search(r"^Driver:\s+docker$", said, re.MULTILINE):
            return frozenset({native_platform()})
        return frozenset(each.strip().rstrip("*") for each in listed[0].split(","))

    def cross_build(self, target: str, reference: str, base: str, platforms: Sequence[str]) -> str:
        """Build one target for several platforms, push them as one index, and return the digest of the index.

        buildx pushes, because the store of the engine cannot contain an index.
        """
        with tempfile.TemporaryDirectory() as folder:
            metadata = Path(folder) / "metadata.json"
            arguments = ("--target", target, "--build-arg", f"BASE={base}", "--tag", reference)
            where = ("--platform", ",".join(platforms), "--push", "--metadata-file", str(metadata))
            run([self._program, "buildx", "build", *arguments, *where, str(ROOT)], env=self._env, show=True)
            return str(json.loads(metadata.read_text(encoding="utf-8"))["containerimage.digest"])

    def _by_digest(self, reference: str) -> str:
        """A pulled or pushed image: its repository, and its digest in the registry."""
        command = [self._program, "image", "inspect", "--format", "{{json .RepoDigests}}", reference]
        repository = _repository(reference)
        for each in json.loads(run(command, env=self._env)):
            # podman expands a short name.
            if each.partition("@")[0] in {repository, f"docker.io/library/{repository}"}:
                return str(each)
        raise CommandError(
            f"{self._program} has no digest of {reference}; check that its registry is reachable"
        )


class Buildah:
    """buildah, with a base image of debootstrap, for machines without access to a registry of official images."""

    def __init__(self, env: Mapping[str, str]) -> None:
        # The image store of the local cluster.
        self._env = {**env, "STORAGE_DRIVER": "overlay"}

    def base(self, named: str | None) -> str:
        """The named image, or that of debootstrap, which is tagged with the hash of its recipe."""
        if named:
            return named
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        return store.ensure_base()[0]

    def build(self, target: str, reference: str, base: str) -> None:
        """Build in a chroot, unless the store has the image."""
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        run_base, build_base = store.ensure_base()
        arguments = {"BASE": base, "BUILD_BASE": build_base if base == run_base else base}
        store.build(target, reference, ROOT, arguments)

    def login(self, registry: str, user: str, password: str) -> None:
        """Pass the password on standard input, so that no list of processes shows it."""
        command = ["buildah", "login", *_tls(registry), "--username", user, "--password-stdin", registry]
        run(command, env=self._env, stdin=password)

    def push(self, reference: str) -> str:
        """Push; buildah writes the digest into a file."""
        with tempfile.TemporaryDirectory() as folder:
            digest = Path(folder) / "digest"
            command = ["buildah", "push", "--quiet", *_tls(reference), "--digestfile", str(digest), reference]
            run(command, env=self._env)
            return digest.read_text(encoding="utf-8").strip()

    def read(self, reference: str, path: str) -> str | None:
        """Read the file from the root of the image."""
        container = run(["buildah", "from", "--pull=false", reference], env=self._env).strip()
        try:
            root = Path(run(["buildah", "mount", container], env=self._env).strip())
            try:
                return (root / path.lstrip("/")).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        finally:
            run(["buildah", "rm", container], env=self._env)

    def platforms(self) -> frozenset[str]:
        """That of this machine: debootstrap and the steps of the Dockerfile run programs of the image."""
        return frozenset({native_platform()})


def find(env: Mapping[str, str] = os.environ) -> Engine:
    """The engine of this machine.

    Raises:
        CommandError: when no engine is available.
    """
    try:
        return Docker(images.container_engine(env), env)
    except CommandError:
        if shutil.which("buildah", path=env.get("PATH")):
            return Buildah(env)
        raise


def _tls(reference: str) -> list[str]:
    """The flag for a registry on loopback, which uses plain HTTP; docker and podman detect that themselves."""
    host = reference.partition("/")[0].partition(":")[0]
    return ["--tls-verify=false"] if host in LOOPBACK else []


def _repository(reference: str) -> str:
    """A reference without its tag. A colon before a port belongs to the registry."""
    folder, slash, name = reference.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"
