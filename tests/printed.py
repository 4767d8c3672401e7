"""Every command that a page, a chart's notes or `explain` suggests, as it is printed."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shop_operator.api.v1alpha1.reasons import REASONS

ROOT: Final = Path(__file__).resolve().parents[1]
OF_THE_SHOP: Final = frozenset(
    {
        "deliver-continuously.md",
        "find-services-from-outside.md",
        "give-partners-keys.md",
        "order-by-curl.md",
        "run-on-ecs.md",
        "run-on-eks.md",
        "swap-the-payment-provider.md",
        "upload-a-catalogue.md",
    }
)
"""Pages about the shop, AWS and the pipelines; tests/delivery runs what the pipelines run, tests/services the rest."""
_PROGRAMS: Final = (
    "kubectl",
    "helm",
    "make ",
    "dev/",
    "aws ",
    "kind ",
    "curl ",
    "pip ",
    "pipx ",
    "tar ",
    "install ",
    "ln ",
    "sed ",
)
_FENCE: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_VARIABLE: Final = re.compile(r"^(export )?[A-Z_]+=")


@dataclass(frozen=True)
class Suggestion:
    """One command.

    Attributes:
        where: the page, relative to the repository; or what prints it.
        command: what is typed, several lines of it joined.
    """

    where: str
    command: str

    def __str__(self) -> str:
        return f"{self.where}: {self.command}"


def typed(command: str, environment: Mapping[str, str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Result of a command in a shell in the repository's folder, without a terminal."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )


def of_pages() -> list[Suggestion]:
    """Of the README, the tutorial and the how-to pages of the operator, in their order."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs/tutorial").glob("*.md"))]
    pages += sorted(each for each in (ROOT / "docs/how-to").glob("*.md") if each.name not in OF_THE_SHOP)
    return [
        Suggestion(str(each.relative_to(ROOT)), command)
        for each in pages
        for command in of_page(each.read_text())
    ]


def of_page(text: str) -> Iterator[str]:
    """The commands of a page: those of shell blocks, and those that stand indented, which begin with a program."""
    for block in _FENCE.findall(text):
        yield from _commands(block)
    for paragraph in _FENCED.sub("", text).split("\n\n"):
        lines = paragraph.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            block = "\n".join(line.strip() for line in lines)
            yield from (each for each in _commands(block) if each.startswith(_PROGRAMS))


def _commands(block: str) -> Iterator[str]:
    """One for each line that is not continued; a document that is given by `<<EOF` belongs to its command."""
    lines = iter(block.splitlines())
    held = ""
    for line in lines:
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1].strip() + " "
            continue
        command, held = held + re.sub(r"\s+#.*$", "", line).strip(), ""
        if command.endswith("<<EOF"):
            document = []
            for each in lines:
                document.append(each)
                if each.strip() == "EOF":
                    break
            command = "\n".join([command, *document])
        if command and not command.startswith("#"):
            yield command


def of_explain() -> list[Suggestion]:
    """The next command of every reason, for the ShopService shop/order."""
    found = {
        "name": "order",
        "namespace": "shop",
        "child": "order",
        "pod": "order-1",
        "container": "app",
        "previous": "",
    }
    return [
        Suggestion(f"explain, {reason}", row.next.format(**found))
        for reason, row in REASONS.items()
        if row.next
    ]


def of_notes(text: str) -> Iterator[str]:
    """The commands of a chart's notes: the indented lines."""
    yield from (line.strip() for line in text.splitlines() if line.startswith("  ") and line.strip())
