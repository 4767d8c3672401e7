"""The start of `kubectl-shop.pyz`, which unpacks itself once per build, because compiled modules cannot be loaded from an archive.

It is the __main__.py of the archive. The folder `lib` beside it contains everything else.
"""

import os
import platform
import shutil
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path


def unpacked(archive: Path) -> Path:
    """The folder of this build, below XDG_CACHE_HOME or ~/.cache. No other user may write there."""
    with zipfile.ZipFile(archive) as content:
        build = content.read("build").decode().strip()
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubectl-shop"
        target = home / build
        if target.is_dir():
            return target
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=home))
        content.extractall(scratch, [each for each in content.namelist() if each.startswith("lib/")])
        try:
            (scratch / "lib").rename(target)
        except OSError:
            # A concurrent start was faster.
            if not target.is_dir():
                raise
        shutil.rmtree(scratch)
    return target


def main() -> None:
    """Run the plugin."""
    archive = Path(sys.argv[0]).resolve()
    try:
        sys.path.insert(0, str(unpacked(archive)))
        commands = import_module("shop_operator.cli.commands")
    except (ImportError, OSError, SyntaxError) as error:
        sys.stderr.write(
            f"kubectl shop: {archive} does not start with Python {platform.python_version()} on {sys.platform}"
            f" ({platform.machine()}): {error}; build one for it with `make plugin`.\n"
        )
        # The exit code of a shell for a program that it cannot run. 1 would mean a difference in `diff`.
        sys.exit(126)
    is_completion = Path(sys.argv[0]).name == "kubectl_complete-shop"
    if not is_completion:
        # Use the name of the plugin, whatever the name of the file.
        sys.argv[0] = "kubectl-shop"
    getattr(commands, "complete" if is_completion else "main")()


if __name__ == "__main__":
    main()
