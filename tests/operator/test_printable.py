"""Characters that a terminal acts on reach neither a terminal nor a status, an Event or the log."""

import io
import json
import logging

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.observability.logs import JsonLines
from shop_operator.wording import printable
from tests.operator.world import World

HOSTILE = "\x1b[2J\x1b]0;PWNED\x07\x9b1m\x7f\r\u202egnp\u2066"
SHOWN = r"\x1b[2J\x1b]0;PWNED\x07\x9b1m\x7f\r\u202egnp\u2066"


@pytest.mark.parametrize(
    "code", [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xE0041]
)
def test_given_a_control_character_then_it_is_printed_as_an_escape(code: int) -> None:
    assert printable(f"a{chr(code)}b").isascii()
    assert chr(code) not in printable(chr(code))


def test_given_plain_text_then_it_is_printed_unchanged() -> None:
    text = "Prüfung: 2 of 3 pods…\n\t日本語 🙂"

    assert printable(text) == text


async def test_given_control_characters_in_a_spec_when_it_is_refused_then_the_status_and_the_event_escape_them() -> (
    None
):
    # Given a podTemplate with a key that clears the screen.
    world = World()
    world.shop(podTemplate={"spec": {f"${HOSTILE}": 1}})
    # When a pass refuses it.
    await world.pass_()
    # Then the status and the Event show the characters as escapes.
    told = json.dumps([world.condition("Ready"), world.told], ensure_ascii=False)
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 or each in "\u202e\u2066" for each in told)
    assert "PWNED" in told


def test_given_control_characters_in_log_fields_then_the_log_line_escapes_them() -> None:
    # Given a logger that writes as the operator does.
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("test-printable")
    log.addHandler(handler)
    # When it is given hostile facts.
    log.warning("found %s", HOSTILE, extra={"fields": [HOSTILE], "key": ShopService})
    # Then the line is JSON, and has them as text.
    assert json.loads(stream.getvalue())["fields"] == [SHOWN]
    assert not any(each in stream.getvalue() for each in "\x1b\x9b\x7f\u202e")
