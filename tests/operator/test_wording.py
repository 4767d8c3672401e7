"""Formatting of messages."""

import pytest

from shop_operator.wording import clause, number, sentence


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a", "a."),
        ("a.", "a."),
        ("a..", "a."),
        ("a….", "a."),
        ("a:", "a."),
        ("class?", "class?"),
        ("class?.", "class?"),
        ("a!", "a!"),
        ("", ""),
        (" a. ", "a."),
    ],
)
def test_a_sentence_ends_with_one_punctuation_mark(text: str, whole: str) -> None:
    assert sentence(text) == whole
    assert sentence(clause(text)) == whole


def test_one_object_is_singular() -> None:
    assert (number(1, "old pod"), number(2, "old pod")) == ("1 old pod", "2 old pods")
