"""The search: its matches, their order, and the age of the index."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from services.product.ports import Search
from services.product.search import FRESH, IDLE, LONGEST, SETTLING, Entry, Index, Searchable
from tests.waiting import wait_for

CUP = Entry("CUP-1", "Espresso Cup", "cups")
CAFE = Entry("CAF-1", "Café Crème", "coffee")


class Shelf:
    """A catalog that counts reads, and an adjustable clock."""

    def __init__(self) -> None:
        self.products = [CUP]
        self.version = 1
        self.reads = 0
        self.time = 1000.0
        self.searchable = Searchable(lambda: self.version, self.read, lambda: self.time, lambda work: work())

    def read(self) -> list[Entry]:
        self.reads += 1
        return list(self.products)

    def skus(self) -> tuple[str, ...]:
        return self.searchable.index().find(Search(), None, 100).skus


def test_given_accents_and_mixed_case_when_products_are_searched_then_they_are_ignored() -> None:
    index = Index([CUP, CAFE])

    for words in (("cafe",), ("CRÈME", "café"), ("caf-1",)):
        assert index.find(Search(words), None, 10).skus == ("CAF-1",)
    assert index.find(Search(category="COFFEE"), None, 10).skus == ("CAF-1",)


def test_given_a_cursor_at_a_deleted_product_when_the_next_page_is_read_then_the_list_continues_behind_it() -> (
    None
):
    assert Index([CUP, CAFE]).find(Search(), "CAF-9", 10).skus == ("CUP-1",)


@given(
    numbers=st.sets(st.integers(0, 99), max_size=40),
    limit=st.integers(1, 12),
    word=st.sampled_from(["", "1", "odd", "even"]),
)
def test_given_any_catalog_when_all_pages_are_read_then_they_contain_the_whole_list_in_order(
    numbers: set[int], limit: int, word: str
) -> None:
    kinds = {number: "odd" if number % 2 else "even" for number in numbers}
    index = Index(Entry(f"SKU-{number:02d}", kinds[number], "any") for number in numbers)
    search = Search(tuple(word.split()))

    listed: list[str] = []
    after: str | None = None
    while True:
        page = index.find(search, after, limit)
        listed += page.skus
        after = page.next_after
        if after is None:
            break

    assert listed == [
        f"SKU-{number:02d}" for number in sorted(numbers) if word in f"{kinds[number]} SKU-{number:02d}"
    ]


def test_given_an_unchanged_catalog_when_it_is_searched_repeatedly_then_it_is_not_read_again() -> None:
    shelf = Shelf()
    shelf.skus()
    shelf.time += SETTLING
    shelf.skus()
    reads = shelf.reads

    for _ in range(20):
        shelf.time += FRESH
        shelf.skus()

    assert shelf.reads == reads


def test_given_a_new_product_when_the_index_is_refreshed_then_the_product_is_found() -> None:
    shelf = Shelf()
    shelf.skus()
    shelf.time += 2 * SETTLING
    shelf.products.append(CAFE)
    shelf.version += 1

    shelf.time += FRESH

    assert shelf.skus() == ("CAF-1", "CUP-1")


def test_given_a_product_that_reaches_the_index_after_its_version_when_it_is_searched_then_it_is_found() -> (
    None
):
    shelf = Shelf()
    shelf.version += 1
    shelf.skus()

    shelf.products.append(CAFE)
    shelf.time += FRESH

    assert shelf.skus() == ("CAF-1", "CUP-1")


def test_given_a_change_without_a_new_version_when_the_longest_interval_has_passed_then_the_change_is_found() -> (
    None
):
    shelf = Shelf()
    shelf.skus()
    shelf.products.append(CAFE)

    shelf.time += LONGEST + FRESH

    assert shelf.skus() == ("CAF-1", "CUP-1")


def test_given_a_slow_update_when_products_are_searched_then_no_search_waits_for_it() -> None:
    shelf = Shelf()
    searchable = Searchable(lambda: shelf.version, shelf.read, lambda: shelf.time)
    searchable.index()
    shelf.time += FRESH
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> list[Entry]:
        begun.set()
        assert go_on.wait(10)
        return [CAFE]

    searchable._entries = slow
    for _ in range(3):
        assert searchable.index().find(Search(), None, 10).skus == ("CUP-1",)
    assert begun.wait(10)
    go_on.set()

    wait_for(lambda: searchable.index().find(Search(), None, 10).skus == ("CAF-1",))


def test_given_an_index_that_was_not_checked_for_seconds_when_products_are_searched_then_the_search_waits() -> (
    None
):
    shelf, threads = Shelf(), list[object]()
    searchable = Searchable(lambda: shelf.version, shelf.read, lambda: shelf.time, threads.append)
    searchable.index()
    shelf.products.append(CAFE)
    shelf.version += 1
    shelf.time += IDLE

    assert searchable.index().find(Search(), None, 10).skus == ("CAF-1", "CUP-1")
    assert threads == []


def test_given_a_table_that_cannot_be_read_when_products_are_searched_then_the_previous_index_is_used() -> (
    None
):
    shelf = Shelf()
    shelf.skus()
    shelf.time += FRESH
    read = shelf.searchable._entries

    def away() -> list[Entry]:
        raise ConnectionError

    shelf.searchable._entries = away
    assert shelf.skus() == ("CUP-1",)

    shelf.searchable._entries = read
    shelf.products.append(CAFE)
    assert shelf.skus() == ("CAF-1", "CUP-1")


def test_given_words_at_the_borders_of_texts_when_they_are_searched_then_no_match_spans_two_products() -> (
    None
):
    index = Index([Entry("A-1", "Cup", "x"), Entry("B-1", "Tea", "x")])

    assert index.find(Search(("1tea",)), None, 10).skus == ()
    assert index.find(Search(("tea", "1")), None, 10).skus == ("B-1",)
    assert index.find(Search(("cup", "b-1")), None, 10).skus == ()
