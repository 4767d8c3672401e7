"""The matches of a search, and their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.product.fulltext import WALKED, FullText, folded
from services.product.ports import Search
from services.product.search import Entry

CUP = Entry("CUP-1", "Espresso Cup", "cups")
CAFE = Entry("CAF-1", "Café Crème", "coffee")


def index(*entries: Entry) -> FullText:
    made = FullText()
    made.put(entries)
    return made


def skus(found: FullText, *words: str, category: str | None = None) -> tuple[str, ...]:
    return found.find(Search(words, category), None, 10).skus


def test_given_accents_and_mixed_case_when_products_are_searched_then_they_are_ignored() -> None:
    both = index(CUP, CAFE)

    for words in (("cafe",), ("CRÈME", "café"), ("caf-1",)):
        assert skus(both, *words) == ("CAF-1",)
    assert skus(both, category="COFFEE") == ("CAF-1",)


def test_given_a_cursor_at_a_deleted_product_when_the_next_page_is_read_then_the_list_continues_behind_it() -> (
    None
):
    assert index(CUP, CAFE).find(Search(), "CAF-9", 10).skus == ("CUP-1",)


@given(
    numbers=st.sets(st.integers(0, 99), max_size=40),
    limit=st.integers(1, 12),
    word=st.sampled_from(["", "1", "odd", "even"]),
)
def test_given_any_catalog_when_all_pages_are_read_then_they_contain_the_whole_list_in_order(
    numbers: set[int], limit: int, word: str
) -> None:
    kinds = {number: "odd" if number % 2 else "even" for number in numbers}
    found = index(*(Entry(f"SKU-{number:02d}", kinds[number], "any") for number in numbers))
    search = Search(tuple(word.split()))

    listed: list[str] = []
    after: str | None = None
    while True:
        page = found.find(search, after, limit)
        listed += page.skus
        after = page.next_after
        if after is None:
            break

    assert listed == [
        f"SKU-{number:02d}" for number in sorted(numbers) if word in f"{kinds[number]} SKU-{number:02d}"
    ]


TEXT = st.text(st.sampled_from("aAbéß\"'*-0 \0\ud800\n"), max_size=8)


@given(
    names=st.lists(TEXT, max_size=8),
    words=st.lists(st.text(st.sampled_from("aAbéß\"'*-0"), min_size=1, max_size=5), max_size=3),
)
def test_given_any_texts_when_they_are_searched_then_those_that_contain_all_words_are_found(
    names: list[str], words: list[str]
) -> None:
    found = index(*(Entry(str(number), name, "any", number) for number, name in enumerate(names)))

    assert skus(found, *words) == tuple(
        str(number)
        for number, name in enumerate(names)
        if all(folded(word) in f"{folded(name)}\n{number}" for word in words)
    )


@pytest.mark.parametrize("word", ["rare", "xy", "no-1"])
def test_given_matches_behind_many_other_products_when_they_are_searched_then_they_are_found_in_order(
    word: str,
) -> None:
    others = [Entry(f"A-{number:05}", "Tea", "tea") for number in range(12 * WALKED)]
    last = [Entry(f"Z-{number}", "Rare Xylophone no-1", "music") for number in (2, 1, 3)]
    found = index(*others, *last)

    assert skus(found, word) == ("Z-1", "Z-2", "Z-3")
    assert found.find(Search((word,)), "Z-1", 1).skus == ("Z-2",)
    assert found.find(Search((word,)), "Z-1", 1).next_after == "Z-2"
    assert skus(found, word, category="music") == ("Z-1", "Z-2", "Z-3")
    assert skus(found, word, category="tea") == ()
    assert skus(found, word, "tea") == ()


def test_given_a_product_when_a_later_version_is_put_then_it_is_found_by_its_new_texts_only() -> None:
    found = index(Entry("CUP-1", "Espresso Cup", "cups", 1))

    found.put([Entry("CUP-1", "Mug", "mugs", 3), Entry("CUP-1", "Beaker", "cups", 2)])

    assert skus(found, "mug", category="mugs") == ("CUP-1",)
    assert skus(found, "espresso") == skus(found, "beaker") == skus(found, category="cups") == ()


@given(
    before=st.dictionaries(st.integers(0, 399), st.sampled_from(["tea", "mug", "cup"]), max_size=300),
    after=st.dictionaries(st.integers(0, 399), st.sampled_from(["tea", "mug", "cup"]), max_size=300),
)
def test_given_any_two_catalogs_when_one_replaces_the_other_then_only_its_products_are_found(
    before: dict[int, str], after: dict[int, str]
) -> None:
    found = index(*(Entry(f"{number:03}", kind, kind) for number, kind in before.items()))

    found.replace(Entry(f"{number:03}", kind, kind) for number, kind in sorted(after.items()))

    for kind in ("tea", "mug", "cup"):
        expected = tuple(f"{number:03}" for number in sorted(after) if after[number] == kind)
        assert found.find(Search((kind,)), None, 400).skus == expected
        assert found.find(Search((), kind), None, 400).skus == expected


def test_given_a_later_version_when_the_catalog_is_replaced_then_it_stays_unless_its_product_is_gone() -> (
    None
):
    found = index(Entry("CUP-1", "Mug", "cups", 3), Entry("TEA-1", "Tea", "tea", 3))

    found.replace([Entry("CUP-1", "Beaker", "cups", 2)])

    assert (skus(found, "mug"), skus(found)) == (("CUP-1",), ("CUP-1",))


def test_given_a_removed_product_when_it_is_searched_then_it_is_not_found() -> None:
    found = index(CUP, CAFE)

    found.remove(["CUP-1", "none"])

    assert skus(found) == ("CAF-1",)
    assert skus(found, "espresso") == ()


def test_given_products_that_cannot_be_read_when_they_are_put_then_the_others_of_their_batch_are_not_added() -> (
    None
):
    found = index(CUP)
    broken = Entry("CAF-1", None, "coffee")  # type: ignore[arg-type]

    with pytest.raises(AttributeError):
        found.put([CAFE, broken])

    assert skus(found) == ("CUP-1",)


def test_given_words_at_the_borders_of_texts_when_they_are_searched_then_no_match_spans_name_and_sku() -> (
    None
):
    found = index(Entry("A-1", "Cup", "x"), Entry("B-1", "Tea", "x"))

    assert skus(found, "cupa") == skus(found, "1tea") == ()
    assert skus(found, "tea", "1") == ("B-1",)
    assert skus(found, "cup", "b-1") == ()
