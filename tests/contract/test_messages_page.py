"""docs/reference/messages.md describes every member of every event, task and result."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shopdev.checkout import ROOT, SERVICES
from shopdev.codegen import messages

PAGE = messages.generated()
CONTRACTS = [
    path for service in SERVICES for path in sorted((ROOT / f"services/{service}/contracts").glob("*.json"))
]


def members(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, each in schema.get("properties", {}).items():
        yield name
        yield from members(each.get("items", each) if each.get("type") == "array" else each)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda path: path.stem)
def test_given_a_contract_then_the_page_has_a_section_with_each_of_its_members(contract: Path) -> None:
    name = contract.name.removesuffix(".json").removesuffix(".result")
    schema = json.loads(contract.read_text(encoding="utf-8"))

    section = PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0]

    common = PAGE.split("\n### ")[0] + PAGE.split("\n## Tasks\n")[1].split("\n### ")[0]
    found = f"{common}{section}"
    assert [each for each in members(schema) if f"`{each}`" not in found and f".{each}`" not in found] == []
