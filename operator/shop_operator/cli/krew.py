#!/usr/bin/env python3
"""The program of a krew archive. The folder `lib` beside it contains everything else.

It is copied to the root of the archive, and krew links to it there. It does not set PYTHONPATH, because child processes such as
the `aws` of a kubeconfig's exec plugin would inherit it instead of finding their own packages.
"""

import platform
import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here / "lib"))
    try:
        commands = import_module("shop_operator.cli.commands")
    except (ImportError, SyntaxError) as error:
        sys.stderr.write(
            f"kubectl shop: {here} was not built for Python {platform.python_version()} on {sys.platform}"
            f" ({platform.machine()}): {error}; install the archive for this platform, or build it.\n"
        )
        # The exit code of a shell for a program that it cannot run. 1 would mean a difference in `diff`.
        sys.exit(126)
    entry = "complete" if Path(sys.argv[0]).name == "kubectl_complete-shop" else "main"
    getattr(commands, entry)()
