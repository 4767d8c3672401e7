"""What is delivered on its own, and which files concern it: the one source of every pipeline's path filters.

`*` stands for any characters but a slash, `**` for any characters, as in CodePipeline's triggers, which take at most
eight patterns each.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from shopdev.checkout import ROOT, SERVICES

FUNCTIONS = "functions"
PARTS = (*SERVICES, FUNCTIONS)

# Each service's image, and the chart and values that it is deployed with.
_OF_EVERY_SERVICE = (
    "services/common/**",
    "services/__init__.py",
    "requirements/services.txt",
    "Dockerfile",
    ".dockerignore",
    "charts/shop-service/**",
    "charts/shop/values*.yaml",
)

PATTERNS: Mapping[str, tuple[str, ...]] = {
    **{name: (f"services/{name}/**", *_OF_EVERY_SERVICE) for name in SERVICES},
    FUNCTIONS: (
        "services/common/**",
        "services/order/**",
        "services/product/**",
        "services/sales/**",
        "services/partners/**",
        "requirements/services.txt",
        "dev/shopdev/lambdas/**",
        "manifests/aws/functions*.yaml",
    ),
}


def concerned(files: Iterable[str]) -> tuple[str, ...]:
    """The parts that any of these files concerns, in the order of PARTS."""
    changed = list(files)
    return tuple(part for part in PARTS if any(concerns(part, file) for file in changed))


def concerns(part: str, file: str) -> bool:
    """Whether a file, by its path in the repository, concerns a part."""
    return any(_expression(pattern).fullmatch(file) for pattern in PATTERNS[part])


def changed_since(revision: str, folder: Path = ROOT) -> tuple[str, ...]:
    """The parts that the commits after `revision` concern.

    A pipeline cannot always name a revision: nothing was delivered yet, the branch is new (GitHub says forty zeros), its
    history was rewritten. Then all are concerned, because a service left out would stay old unnoticed.
    """
    if not re.search("[1-9a-z]", revision):
        return PARTS
    done = subprocess.run(
        ["git", "-C", str(folder), "diff", "--name-only", "-z", "--no-renames", f"{revision}...HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return concerned(filter(None, done.stdout.split("\0"))) if done.returncode == 0 else PARTS


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
