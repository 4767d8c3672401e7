"""The independently deliverable parts and the files that affect them: the source of the path filters of every pipeline.

`*` stands for any characters except a slash, `**` for any characters, as in CodePipeline's triggers, which take at most
eight patterns of each kind.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from shopdev.checkout import ROOT, SERVICES, SHOPSERVICES, STOREFRONT

FUNCTIONS = "functions"
DELIVERABLES = (*SHOPSERVICES, FUNCTIONS)

# The image of each service, and the chart and values that deploy it.
_OF_EVERY_SERVICE = (
    "services/common/**",
    "services/__init__.py",
    "Dockerfile",
    ".dockerignore",
    "charts/shop-service/**",
    "charts/shop/values*.yaml",
)

INCLUDED: Mapping[str, tuple[str, ...]] = {
    **{name: (f"services/{name}/**", "requirements/services.txt", *_OF_EVERY_SERVICE) for name in SERVICES},
    STOREFRONT: ("services/storefront/**", "requirements/storefront.txt", *_OF_EVERY_SERVICE),
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
# Documentation, which no image and no package contains.
EXCLUDED = ("**/README.md",)


def affected_by(files: Iterable[str]) -> tuple[str, ...]:
    """The deliverables that any of these files affects, in the order of DELIVERABLES."""
    changed = list(files)
    return tuple(each for each in DELIVERABLES if any(affects(file, each) for file in changed))


def affects(file: str, deliverable: str) -> bool:
    """Whether a change of a file, named by its path in the repository, affects a deliverable."""
    return _matches(file, INCLUDED[deliverable]) and not _matches(file, EXCLUDED)


def changed_since(revision: str, folder: Path = ROOT) -> tuple[str, ...]:
    """The deliverables that the commits after `revision` affect.

    Without a usable revision, these are all of them, because a service left out would stay old unnoticed. A revision is
    unusable before the first delivery, on a new branch (GitHub sends forty zeros) and after its history was rewritten.
    """
    if not re.search("[1-9a-z]", revision):
        return DELIVERABLES
    done = subprocess.run(
        ["git", "-C", str(folder), "diff", "--name-only", "-z", "--no-renames", f"{revision}...HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return affected_by(filter(None, done.stdout.split("\0"))) if done.returncode == 0 else DELIVERABLES


def _matches(file: str, patterns: Iterable[str]) -> bool:
    return any(_expression(pattern).fullmatch(file) for pattern in patterns)


def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces))
