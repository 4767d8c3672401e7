"""What builds and pushes images: docker or podman where an engine answers, else buildah, which needs none."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shopdev.checkout import ROOT
from shopdev.console import CommandError, run
from shopdev.demo import images

LOOPBACK = "127.0.0.1", "localhost"


class Engine(Protocol):
    """A container engine, as far as a delivery needs one."""

    def base(self, named: str | None) -> str:
        """The base image, such that a change of its content changes the name.

        Args:
            named: by the caller; None for the engine's own.
        """

    def build(self, target: str, reference: str, base: str) -> None:
        """Build one target of the Dockerfile."""

    def login(self, registry: str, user: str, password: str) -> None:
        """Have the registry's credentials at hand for `push`."""

    def push(self, reference: str) -> str:
        """Push, and answer the digest under which the registry has it."""

    def read(self, reference: str, path: str) -> str | None:
        """The text of a file in an image; None when there is none."""


class Docker:
    """docker or podman.

    Args:
        program: which one.
    """

    def __init__(self, program: str, env: Mapping[str, str]) -> None:
        self._program = program
        self._env = env

    def base(self, named: str | None) -> str:
        """The newest content of the tag, by default of the official Python image, named by its digest.

        So a patched base gives the images of unchanged sources another tag, and is delivered.

        Raises:
            CommandError: when it cannot be pulled.
        """
        reference = named or images.OFFICIAL_BASE
        if "@sha256:" in reference:
            return reference
        run([self._program, "pull", reference], env=self._env, show=True)
        return self._by_digest(reference)

    def build(self, target: str, reference: str, base: str) -> None:
        """Build with the engine's own cache."""
        arguments = ("build", "--target", target, "--build-arg", f"BASE={base}", "--tag", reference)
        run([self._program, *arguments, str(ROOT)], env=self._env, show=True)

    def login(self, registry: str, user: str, password: str) -> None:
        """Give the password on standard input, where no process list shows it."""
        command = [self._program, "login", "--username", user, "--password-stdin", registry]
        run(command, env=self._env, stdin=password)

    def push(self, reference: str) -> str:
        """Push, then ask the engine what the registry called it."""
        run([self._program, "push", reference], env=self._env, show=True)
        return self._by_digest(reference).partition("@")[2]

    def read(self, reference: str, path: str) -> str | None:
        """Have the image's own `cat` print it."""
        command = [self._program, "run", "--rm", "--network=none", "--entrypoint", "cat", reference, path]
        try:
            return run(command, env=self._env)
        except CommandError:
            return None

    def _by_digest(self, reference: str) -> str:
        """An image that was pulled or pushed: its repository and the digest that the registry has for it."""
        command = [self._program, "image", "inspect", "--format", "{{json .RepoDigests}}", reference]
        repository = _repository(reference)
        for each in json.loads(run(command, env=self._env)):
            # podman writes a short name out.
            if each.partition("@")[0] in {repository, f"docker.io/library/{repository}"}:
                return str(each)
        raise CommandError(
            f"{self._program} has no digest of {reference}; check that its registry is reachable"
        )


class Buildah:
    """buildah, on the base image that debootstrap makes when no registry with an official one is reached."""

    def __init__(self, env: Mapping[str, str]) -> None:
        # The store in which the local cluster keeps its images.
        self._env = {**env, "STORAGE_DRIVER": "overlay"}

    def base(self, named: str | None) -> str:
        """The named image, or the one that debootstrap makes, which is named by its recipe."""
        if named:
            return named
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        return store.ensure_base()[0]

    def build(self, target: str, reference: str, base: str) -> None:
        """Build in a chroot; what is in the store already is not built again."""
        from shopdev.cluster import images as store  # noqa: PLC0415  Linux only, and only here

        run_base, build_base = store.ensure_base()
        arguments = {"BASE": base, "BUILD_BASE": build_base if base == run_base else base}
        store.build(target, reference, ROOT, arguments)

    def login(self, registry: str, user: str, password: str) -> None:
        """Give the password on standard input, where no process list shows it."""
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
        """Look into the image's root."""
        container = run(["buildah", "from", "--pull=false", reference], env=self._env).strip()
        try:
            root = Path(run(["buildah", "mount", container], env=self._env).strip())
            try:
                return (root / path.lstrip("/")).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        finally:
            run(["buildah", "rm", container], env=self._env)


def find(env: Mapping[str, str] = os.environ) -> Engine:
    """Whatever builds images here.

    Raises:
        CommandError: when nothing does.
    """
    try:
        return Docker(images.container_engine(env), env)
    except CommandError:
        if shutil.which("buildah", path=env.get("PATH")):
            return Buildah(env)
        raise


def _tls(reference: str) -> list[str]:
    """A registry on loopback speaks plain HTTP; docker and podman know that by themselves."""
    host = reference.partition("/")[0].partition(":")[0]
    return ["--tls-verify=false"] if host in LOOPBACK else []


def _repository(reference: str) -> str:
    """A reference without its tag; the colon of a registry's port is none."""
    folder, slash, name = reference.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"
