"""Characters that a terminal acts on are shown as escapes by every command."""

import json
from typing import Any

import pytest
import yaml

from shop_operator.cli.machine import as_json, as_yaml
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server

HOSTILE = "\x1b[2J\x1b]0;PWNED\x07\x9b1m\x7f\r\u202egnp\u2066"


@pytest.mark.parametrize("arguments", [("explain", "web"), ("tree", "web"), ("status",)])
def test_given_control_characters_in_a_status_when_a_command_prints_text_then_they_are_escaped(
    server: Server, program: Program, arguments: tuple[str, ...]
) -> None:
    # Given a ShopService whose status has them, as an older operator has written it.
    hostile = shopservice()
    hostile.setdefault("status", {})["conditions"] = [
        {
            "type": "Ready",
            "status": "False",
            "reason": f"R{HOSTILE}",
            "message": HOSTILE,
            "observedGeneration": 1,
        }
    ]
    server.objects.append(hostile)
    # When it is shown as text, then they are shown as escapes.
    printed = program(*arguments).output
    assert not any(each in printed for each in "\x1b\x07\x9b\x7f\r\u202e\u2066"), repr(printed)
    assert r"\x1b[2J" in printed


ACTING = (
    [chr(code) for code in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))]
    + [chr(code) for code in (0xAD, 0x61C, 0x200B, 0x200F, 0x2028, 0x202E, 0x2066, 0xFEFF)]
    + [chr(code) for code in (0xE0001, 0xE007F)]
)


@pytest.mark.parametrize("character", ACTING, ids=lambda each: f"U+{ord(each):04X}")
def test_given_a_control_character_when_json_or_yaml_is_written_then_parsers_read_it_back_from_its_escape(
    character: str,
) -> None:
    document: dict[str, Any] = {
        f"key{character}": [character, f"{character}: a", f"two\nlines{character}", {"plain": "Prüfung 🙂"}]
    }

    for text in (as_json(document), as_json(document, indent=None), as_yaml(document)):
        assert character not in text
        assert "Prüfung" in text
    assert json.loads(as_json(document)) == document
    assert yaml.safe_load(as_yaml(document)) == document


def test_given_several_documents_when_yaml_is_written_then_it_is_a_stream() -> None:
    assert list(yaml.safe_load_all(as_yaml({"a": "\u202e"}, {"b": 1}))) == [{"a": "\u202e"}, {"b": 1}]
    assert as_yaml({"a": "two\nlines", "b": "plain"}) == yaml.safe_dump({"a": "two\nlines", "b": "plain"})


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    "arguments", [("explain", "web"), ("tree", "web"), ("status",), ("status", "-w")], ids=" ".join
)
def test_given_control_characters_in_a_status_when_a_command_prints_a_document_then_they_are_escaped(
    server: Server, program: Program, arguments: tuple[str, ...], form: str
) -> None:
    hostile = shopservice()
    hostile["status"]["image"] = HOSTILE
    for each in hostile["status"]["conditions"]:
        each.update(status="False", reason=f"R{HOSTILE}", message=HOSTILE)
    server.objects.append(hostile)

    printed = program(*arguments, "-o", form).stdout

    assert not any(each in printed for each in "\x1b\x07\x9b\x7f\r\u202e\u2066"), repr(printed)
    assert "PWNED" in printed


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_given_control_characters_in_a_spec_when_render_prints_it_then_they_are_escaped(
    program: Program, form: str
) -> None:
    given = {**shopservice(), "status": None}
    given["spec"] = {"image": "a:1", "env": [{"name": "A", "value": HOSTILE}]}

    printed = program("render", "-o", form, "-f", "-", given=json.dumps(given)).stdout

    assert not any(each in printed for each in "\x1b\x07\x9b\x7f\r\u202e\u2066"), repr(printed)
    assert "PWNED" in printed
