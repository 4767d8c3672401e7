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
def test_given_a_text_with_any_ending_when_it_becomes_a_sentence_then_it_ends_with_one_mark(
    text: str, whole: str
) -> None:
    assert sentence(text) == whole
    assert sentence(clause(text)) == whole


def test_given_a_count_of_one_then_its_noun_is_singular() -> None:
    assert (number(1, "old pod"), number(2, "old pod")) == ("1 old pod", "2 old pods")
