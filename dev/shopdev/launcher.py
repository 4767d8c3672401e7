"""How a command in dev/ finds its interpreter and its packages.

The commands need the packages of .venv, except for a few that clean up or run before .venv exists. Therefore each command
runs on the interpreter of .venv if that exists, and otherwise on the interpreter that started it.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from shopdev.checkout import ROOT

ENVIRONMENT = ROOT / ".venv"


def launch(module: str) -> NoReturn:
    """Run the function `main` of a module as this program, and exit with the code that it returns.

    Args:
        module: its full name, such as "shopdev.cluster.cli".
    """
    python = ENVIRONMENT / "bin" / "python"
    if Path(sys.prefix) != ENVIRONMENT and python.exists():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606  the same program, with its packages
    # The first entry is dev/, which the launcher added. The services and the operator are not installed.
    sys.path[1:1] = [str(ROOT), str(ROOT / "operator")]
    try:
        code: int = importlib.import_module(module).main()
    except ModuleNotFoundError as missing:
        if str(missing.name).startswith("shopdev"):
            raise
        sys.exit(
            f"dev/{Path(sys.argv[0]).name}: the Python package {missing.name} is not installed in {sys.prefix}; "
            "run `dev/bootstrap`, which creates .venv"
        )
    sys.exit(code)
