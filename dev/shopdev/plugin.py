"""`make plugin`: `kubectl shop` as one file, dist/kubectl-shop, for the Python of .venv and for this platform.

It contains the packages of requirements/plugin.txt, which are verified by their hashes. Building needs only pip.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipapp
from pathlib import Path

from shopdev.checkout import ROOT

MAIN = ROOT / "operator" / "shop_operator" / "cli" / "onefile.py"
# Packages that the program never imports: those of the asynchronous Kubernetes client, and the highlighting of code.
NEVER_READ = (
    *("bin", "pygments", "kubernetes/aio"),
    *("aiohttp", "aiohttp_retry", "aiosignal", "aiohappyeyeballs", "attr", "attrs", "frozenlist"),
    *("multidict", "propcache", "yarl"),
)


def main(argv: list[str] | None = None) -> int:
    """Build the file and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/plugin", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "kubectl-shop")
    output: Path = parser.parse_args(argv).output
    with tempfile.TemporaryDirectory(prefix="shop-plugin-") as folder:
        root = Path(folder) / "root"
        lib = root / "lib"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "install",
            "--no-compile",
        ]
        locked = ["--require-hashes", "-r", str(ROOT / "requirements" / "plugin.txt")]
        subprocess.run([*pip, "--target", str(lib), *locked], check=True)
        # Programs of packages, about which pip would warn in the next step.
        shutil.rmtree(lib / "bin", ignore_errors=True)
        # A copy, because setuptools writes into the folder of the source.
        source = Path(folder) / "operator"
        shutil.copytree(
            ROOT / "operator", source, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build")
        )
        own = ["--no-deps", "--no-build-isolation", "--target", str(lib), str(source)]
        subprocess.run([*pip, *own], check=True)
        for each in NEVER_READ:
            shutil.rmtree(lib / each, ignore_errors=True)
        for metadata in lib.glob("*.dist-info"):
            if not metadata.name.startswith("shop_operator"):
                shutil.rmtree(metadata)
        (root / "build").write_text(_digest(lib))
        shutil.copyfile(MAIN, root / "__main__.py")
        output.parent.mkdir(parents=True, exist_ok=True)
        zipapp.create_archive(root, output, "/usr/bin/env python3", compressed=True)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB; install it on PATH as kubectl-shop")
    return 0


def _digest(folder: Path) -> str:
    """A name that depends on the content, so that different builds never share an unpacked folder."""
    found = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]
