"""Which name is suggested for one that is missing."""

import pytest

from shop_operator.suggestions import MOST_NAMES, resembling, suggestions


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["database", "order"], {"databse": "database"}),
        (["order"], {}),
        ([], {}),
        ([*(f"n-{number}" for number in range(MOST_NAMES - 1)), "database"], {"databse": "database"}),
        (["database", *(f"n-{number}" for number in range(MOST_NAMES))], {}),
    ],
    ids=[
        "one is alike",
        "none is alike",
        "no names",
        "as many as are compared",
        "too many, whatever their order",
    ],
)
def test_given_a_misspelled_name_then_the_most_similar_name_is_suggested(
    names: list[str], found: dict[str, str]
) -> None:
    assert suggestions(["databse", "payment"], names) == found


def test_given_a_new_name_then_the_missing_names_that_it_resembles_are_found() -> None:
    assert resembling("database", ["databse", "payment", "databases"]) == ["databse", "databases"]
