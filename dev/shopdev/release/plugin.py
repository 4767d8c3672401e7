"""`kubectl shop` as a wheel, and as one krew archive for each platform with a manifest of their checksums.

The archives contain the packages of requirements/plugin.txt, verified by their hashes. Compiled packages make an archive specific to a
platform and to one version of Python; uv selects the wheels of a platform without running anything on it.
"""

import hashlib
import os
import shutil
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from shopdev.checkout import ROOT
from shopdev.console import CommandError, run
from shopdev.plugin import NEVER_READ
from shopdev.release.version import Version

PYTHON = "3.11"
# Platform of krew -> its name for uv.
PLATFORMS: Mapping[str, str] = {
    "linux/amd64": "x86_64-manylinux_2_28",
    "linux/arm64": "aarch64-manylinux_2_28",
    "darwin/arm64": "aarch64-apple-darwin",
}


@dataclass(frozen=True)
class Archive:
    """A krew archive of one platform, such as linux/arm64."""

    platform: str
    file: Path


def wheel(tree: Path, target: Path) -> Path:
    """Build the wheel with the setuptools of .venv, which is pinned, and return it.

    Raises:
        CommandError: when it does not build.
    """
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    run(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(tree / "operator")],
        env=os.environ,
    )
    (made,) = target.glob("shop_operator-*.whl")
    return made


def archives(wheel: Path, target: Path, scratch: Path, platforms: Iterable[str] = PLATFORMS) -> list[Archive]:
    """Build a krew archive for each platform.

    Raises:
        CommandError: when a package of the lock has no wheel for a platform.
    """
    return [_archive(each, wheel, target, scratch / each.replace("/", "-")) for each in platforms]


def manifest(version: Version, found: Iterable[Archive], downloads: str) -> str:
    """The manifest for a krew index.

    Args:
        version: version of the plugin.
        found: its archives.
        downloads: URL of the folder from which krew downloads them.
    """
    platforms = [
        {
            "selector": {"matchLabels": dict(zip(("os", "arch"), each.platform.split("/"), strict=True))},
            "uri": f"{downloads.rstrip('/')}/{each.file.name}",
            "sha256": hashlib.sha256(each.file.read_bytes()).hexdigest(),
            "bin": "kubectl-shop",
        }
        for each in found
    ]
    return yaml.safe_dump(
        {
            "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
            "kind": "Plugin",
            "metadata": {"name": "shop"},
            "spec": {
                "version": version.tag,
                "shortDescription": "Inspect, explain and control ShopServices",
                "caveats": f"Requires Python {PYTHON} as python3 on the PATH.\n",
                "platforms": platforms,
            },
        },
        sort_keys=False,
    )


def must_have_wheels(lock: Path, platform: str, python: str = PYTHON) -> int:
    """Check that every package of a lock has a wheel for a platform, without downloading it, and return their number.

    Raises:
        CommandError: names a package without one.
    """
    said = _uv(
        "--dry-run", "--target", str(lock.parent / "nowhere"), platform=platform, lock=lock, python=python
    )
    return sum(line.lstrip().startswith("+ ") for line in said.splitlines())


def _archive(platform: str, wheel: Path, target: Path, root: Path) -> Archive:
    lib = root / "lib"
    _uv("--target", str(lib), platform=platform, lock=ROOT / "requirements" / "plugin.txt", python=PYTHON)
    shutil.unpack_archive(wheel, lib, format="zip")
    for each in NEVER_READ:
        shutil.rmtree(lib / each, ignore_errors=True)
    program = root / "kubectl-shop"
    shutil.copyfile(lib / "shop_operator" / "cli" / "krew.py", program)
    program.chmod(0o755)
    file = target / f"kubectl-shop-{platform.replace('/', '-')}.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=6) as archive:
        archive.add(program, arcname=program.name, filter=_without_owner)
        archive.add(lib, arcname=lib.name, filter=_without_owner)
    return Archive(platform, file)


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The entry without the user who built it and the time; bytecode is left out, because it is of this platform."""
    if "__pycache__" in member.name:
        return None
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _uv(*arguments: str, platform: str, lock: Path, python: str) -> str:
    program = Path(sys.executable).with_name("uv")
    if not program.exists():
        raise CommandError("uv is not installed: run `dev/bootstrap`, which creates .venv")
    where = ["--python-platform", PLATFORMS[platform], "--python-version", python]
    only = ["--only-binary", ":all:", "--require-hashes", "--requirements", str(lock)]
    return run([str(program), "pip", "install", *where, *only, *arguments], env=os.environ)
