"""The languages: every text of the pages is translated, and keeps its values."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from services.storefront import language
from services.storefront.progress import UNUSUAL
from shopdev.checkout import ROOT
from tests.services.storefront.visitor import Visitor, World

FOLDER = ROOT / "services" / "storefront"
TRANSLATIONS = sorted(set(language.NAMES) - {language.DEFAULT})
_VALUE = re.compile(r"%\(\w+\)s")


def _forms(text: object) -> list[str]:
    """The singular, and the plural if a text has one."""
    return [str(each) for each in (text if isinstance(text, (list, tuple)) else (text,))]


def used() -> set[Any]:
    """The texts in the code and in the templates: a string, or a pair for a singular and its plural."""
    found = extract_from_dir(
        FOLDER,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        options_map={"templates/**.html": {"newstyle_gettext": "true", "silent": "false"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2)},
    )
    return {text for _file, _line, text, _comments, _context in found}


@pytest.mark.parametrize("code", TRANSLATIONS)
def test_given_a_language_then_it_has_exactly_the_texts_of_the_pages_with_the_same_values(code: str) -> None:
    with Path(language.FOLDER / f"{code}.po").open("rb") as file:
        catalog = read_po(file, locale=code, abort_invalid=True)
    known = {message.id: message for message in catalog if message.id}

    assert {text for text in used() if text not in known} == set()
    assert set(known) - used() == set()
    for text, message in known.items():
        texts = _forms(text)
        translated = _forms(message.string)
        assert all(translated), text
        assert not message.fuzzy, text
        for each in translated:
            assert set(_VALUE.findall(each)) == {value for one in texts for value in _VALUE.findall(one)}, (
                text
            )


def test_given_a_browser_in_german_then_texts_and_prices_are_german(world: World) -> None:
    page = world.visitor("de-AT,de;q=0.9,en;q=0.5").get("/").text

    assert '<html lang="de">' in page
    assert "Warenkorb" in page
    assert "14,90\xa0€" in page
    assert "Nur noch 3" in page


def test_given_a_language_that_a_link_selects_then_it_stays_selected(visitor: Visitor) -> None:
    page = visitor.get("/?q=tea").text
    assert 'href="/?q=tea&amp;language=de"' in page

    visitor.get("/?q=tea&language=de")

    assert "Warenkorb" in visitor.get("/").text


def test_given_an_unknown_language_then_the_page_is_english(world: World) -> None:
    assert '<html lang="en">' in world.visitor("fr").get("/?language=fr").text


def test_given_an_order_that_is_late_then_the_text_has_a_rounded_duration() -> None:
    assert language.duration(UNUSUAL.total_seconds()) == "30 seconds"
    assert language.duration(0) == "1 second"
