"""Images without a registry: a base image from debootstrap, builds with buildah, and the import into containerd on the node."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from shopdev.cluster.progress import ClusterError, say, timed

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
PAUSE = "localhost/pause:1"
PAUSE_SOURCE = """\
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }
static void end(int s) { _exit(0); }
int main(void) { signal(SIGCHLD, reap); signal(SIGTERM, end); signal(SIGINT, end); for (;;) pause(); }
"""
# Files that no container reads. The build base keeps the wheels of pip; the run base does not.
NEVER_READ = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "var/lib/apt/lists",
    "var/cache", "var/log", "usr/share/zoneinfo/right", "usr/share/zoneinfo/posix")  # fmt: skip
ONLY_TO_BUILD = ("usr/share/python-wheels", "usr/lib/python3.11/ensurepip", "usr/lib/python3.11/lib2to3",
    "usr/lib/python3.11/distutils/command", "usr/lib/python3.11/pydoc_data")  # fmt: skip
MOUNTED_TO_BUILD = ("/etc/ssl/certs", "/etc/pip.conf")
NAMESPACE = "k8s.io"


def ensure_base() -> tuple[str, str]:
    """Build the base images unless they exist, and return the names of the run base and of the build base.

    They replace the official Python image, which needs a registry, as `BASE` and `BUILD_BASE` of the Dockerfile.
    """
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, NEVER_READ, ONLY_TO_BUILD)).encode()).hexdigest()[:12]
    run, build = f"localhost/python-base:{recipe}", f"localhost/python-build:{recipe}"
    if not (_exists(run) and _exists(build)):
        with timed("building the base images with debootstrap", "25 s"):
            _bootstrap(run, build)
    return run, build


def build(target: str, reference: str, context: Path, arguments: Mapping[str, str]) -> str:
    """Build one target of the Dockerfile unless an image with that name exists; the name contains the hash of the content.

    Raises:
        ClusterError: when the build fails, with the end of its output.
    """
    if _exists(reference):
        return reference
    with timed(f"building {reference}", "20 s"):
        mounts = [f"--volume={each}:{each}:ro" for each in MOUNTED_TO_BUILD if Path(each).exists()]
        settings = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        _buildah(
            *("bud", "--quiet", "--isolation=chroot", "--network=host", "--layers", f"--target={target}"),
            *(*mounts, *settings, f"--tag={reference}", str(context)),
        )
    return reference


def build_program(folder: Path) -> str:
    """Build an image that contains only the programs of a tool, unless it exists, and return its name.

    The programs are in `/`. The image has no shell, because Go links them statically.

    Args:
        folder: folder of the tool in the cache, whose name contains the hash of its pins; see `tools.ensure`.
    """
    name, _, pins = folder.parent.name.rpartition("-")
    reference = f"localhost/{name}:{pins}"
    if not _exists(reference):
        with timed(f"building {reference}", "5 s"):
            _commit(folder, reference, "--user", "65532:65532")
    return reference


def name_again(reference: str, short: str) -> str:
    """Tag an image in the store with a second name without a registry, and return the full name that nodes use."""
    whole = f"docker.io/library/{short}"
    _buildah("tag", reference, whole)
    return whole


def load(state: Path, references: Sequence[str]) -> None:
    """Load images from the store of buildah, or from archives, into the node.

    Images that the node has are skipped; the others share one archive, which contains common layers once.

    Raises:
        ClusterError: when an image is not in the store.
    """
    files = [each for each in references if Path(each).is_file()]
    for file in files:
        _import(state, Path(file))
    have = _loaded(state)
    wanted = {each: _image_id(each) for each in map(_full_name, set(references) - set(files))}
    missing = sorted(each for each, image in wanted.items() if have.get(each) != image)
    if not missing:
        say(f"all {len(wanted)} images are already loaded")
        return
    with timed(f"loading {len(missing)} images into the node", "2 s each"), _scratch() as scratch:
        layout = scratch / "layout"
        for each in missing:
            _buildah("push", "--quiet", "--disable-compression", each, f"oci:{layout}:{each}")
        archive = scratch / "images.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, arcname=".")
        _import(state, archive)
    (state / "loaded.json").write_text(json.dumps(have | {each: wanted[each] for each in missing}))


def load_pause(state: Path) -> None:
    """Load the pause image, which holds the namespaces of a pod: a small static program."""
    if not _exists(PAUSE):
        with _scratch() as scratch:
            (scratch / "pause.c").write_text(PAUSE_SOURCE)
            root = scratch / "root"
            root.mkdir()
            subprocess.run(
                ["cc", "-Os", "-static", "-s", "-o", root / "pause", scratch / "pause.c"], check=True
            )
            _commit(root, PAUSE, "--entrypoint", '["/pause"]', "--user", "65535:65535")
    load(state, [PAUSE])


def ctr(state: Path, *arguments: str) -> str | None:
    """The output of the client of containerd; None if containerd does not respond or refuses."""
    command = ["ctr", "--address", str(state / "containerd.sock"), "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout


def _bootstrap(run: str, build: str) -> None:
    with _scratch() as scratch:
        root = scratch / "root"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
        _slim(root, NEVER_READ)
        _commit(root, build)
        _slim(root, ONLY_TO_BUILD)
        _commit(root, run)


def _slim(root: Path, folders: Sequence[str]) -> None:
    for folder in folders:
        shutil.rmtree(root / folder, ignore_errors=True)
    # apt, dpkg and logging require these two.
    for folder in ("var/cache/apt/archives/partial", "var/log", "var/lib/apt/lists/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)


def _commit(root: Path, reference: str, *config: str) -> None:
    container = _buildah("from", "scratch").strip()
    try:
        _buildah("add", "--quiet", container, str(root), "/")
        if config:
            _buildah("config", *config, container)
        _buildah("commit", "--quiet", container, reference)
    finally:
        _buildah("rm", container)


def _import(state: Path, archive: Path) -> None:
    if ctr(state, "images", "import", "--all-platforms", str(archive)) is None:
        raise ClusterError(f"containerd cannot import {archive}; check the node with `dev/cluster status`")


def _loaded(state: Path) -> dict[str, str]:
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads((state / "loaded.json").read_text()))
    return {}


def _image_id(reference: str) -> str:
    return _buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", reference).strip()


def _full_name(reference: str) -> str:
    """The name for Kubernetes, which prefixes names without a registry with docker.io; buildah prefixes them with localhost."""
    first = reference.split("/", 1)[0]
    return (
        reference
        if "/" in reference and ("." in first or ":" in first or first == "localhost")
        else f"localhost/{reference}"
    )


def _exists(reference: str) -> bool:
    done = subprocess.run(
        ["buildah", "inspect", "--type", "image", reference], env=_env(), capture_output=True, check=False
    )
    return done.returncode == 0


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *arguments], env=_env(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"buildah {arguments[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def _env() -> dict[str, str]:
    return {**os.environ, "STORAGE_DRIVER": "overlay"}


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shop-image-", dir="/var/tmp") as folder:
        yield Path(folder)
