"""The documents, charts, templates and Python sources use the plain English of the Kubernetes documentation."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "services/**/*.md",
        "services/*/contracts/*.json",
        "requirements/*.in",
        "pyproject.toml",
        "operator/pyproject.toml",
        "Dockerfile",
        "Jenkinsfile",
        "Makefile",
        "charts/*/*.md",
        "charts/*/*.yaml",
        "charts/*/templates/*",
        "manifests/**/*.yaml",
        "manifests/**/*.json",
        ".github/**/*.yaml",
        "operator/**/*.py",
        "services/**/*.py",
        "dev/**/*.py",
        "tests/**/*.py",
    )
    for path in ROOT.glob(pattern)
    if path.name != "test_english.py"
)
"""Every text of the project except this module, which lists the phrases."""
HARD: Final = re.compile(
    r"\b(anybody|everybody|nobody|somebody|someone|whoever|whomever|a person|shall|that which"
    r"|(is|are|was|were|be) told|(put|puts|taken|takes) back|look(s|ed)? (after|at)|by itself"
    r"|behaviour|colour|favour|licence|(organ|initial|normal|serial|author)is(e|ed|ation))\b"
    r"|\"\"\"(what|who|whose|each)\b",
    re.IGNORECASE,
)
"""Phrases to rewrite with the thing as the subject, in American spelling."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_given_a_text_of_the_project_then_it_contains_no_phrase_to_avoid(source: Path) -> None:
    lines = enumerate(source.read_text(encoding="utf-8").splitlines(), start=1)

    assert [f"{number}: {line.strip()}" for number, line in lines if HARD.search(line)] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda page: page.stem)
def test_given_a_decision_record_then_it_has_the_sections_of_the_template(page: Path) -> None:
    sections = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert sections == ["Status", "Context", "Decision", "Consequences"]


def test_given_a_test_when_it_is_named_then_it_states_a_condition_and_a_result() -> None:
    named = re.compile(r"def (test_(?!(?:given|when)_\w+_then_)\w+)\(")
    files = ROOT.glob("tests/**/test_*.py")

    assert [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(files)
        for name in named.findall(path.read_text(encoding="utf-8"))
    ] == []
