"""The age of the search index."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest

from services.product.fulltext import FullText
from services.product.ports import Search
from services.product.search import (
    CHANGES_KEPT,
    FRESH,
    IDLE,
    LATE,
    LONGEST,
    Change,
    Entry,
    Searchable,
    Unread,
)
from tests.waiting import wait_for

CUP = Entry("CUP-1", "Espresso Cup", "cups", 1)
CAFE = Entry("CAF-1", "Café Crème", "coffee", 1)
BOTH = ("CAF-1", "CUP-1")


class Shelf:
    """A catalog that counts reads, and an adjustable clock."""

    def __init__(self, run: Callable[[Callable[[], None]], object] = lambda work: work()) -> None:
        self.products = {CUP.sku: CUP}
        self.recorded: list[tuple[datetime, Change]] = []
        self.reads = 0
        self.checks: list[datetime] = []
        self.seconds = 1000.0
        self.searchable = Searchable(self, FullText, lambda: self.seconds, self.now, run)

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def entries(self) -> Iterable[Entry]:
        self.reads += 1
        return sorted(self.products.values(), key=lambda entry: entry.sku)

    def changes(self, since: datetime) -> Iterable[Change]:
        self.checks.append(since)
        return [change for at, change in self.recorded if at >= since]

    def write(self, entry: Entry, late: timedelta = timedelta()) -> None:
        self.products[entry.sku] = entry
        self.recorded.append((self.now() - late, Change(f"change {len(self.recorded)}", [entry])))

    def skus(self) -> tuple[str, ...]:
        return self.searchable.find(Search(), None, 100).skus


def test_given_an_unchanged_catalog_when_it_is_searched_repeatedly_then_it_is_read_once() -> None:
    shelf = Shelf()

    for _ in range(20):
        shelf.seconds += FRESH
        assert shelf.skus() == ("CUP-1",)

    assert shelf.reads == 1


def test_given_a_new_product_when_a_second_has_passed_then_it_is_found_without_another_read_of_the_catalog() -> (
    None
):
    shelf = Shelf()
    shelf.skus()
    shelf.write(CAFE)

    shelf.seconds += FRESH

    assert shelf.skus() == BOTH
    assert shelf.reads == 1


def test_given_a_new_product_when_less_than_a_second_has_passed_then_the_changes_are_not_read() -> None:
    shelf = Shelf()
    shelf.skus()
    checks = len(shelf.checks)

    shelf.seconds += FRESH / 2
    shelf.skus()

    assert len(shelf.checks) == checks


@pytest.mark.parametrize("seconds", [FRESH, IDLE])
def test_given_a_change_that_appears_after_its_time_when_it_is_searched_then_it_is_found(
    seconds: float,
) -> None:
    shelf = Shelf()
    shelf.skus()
    shelf.seconds += seconds
    shelf.skus()

    shelf.write(CAFE, late=LATE)
    shelf.seconds += FRESH

    assert shelf.skus() == BOTH


def test_given_changes_in_reverse_order_when_they_are_added_then_the_latest_version_is_found() -> None:
    shelf = Shelf()
    shelf.skus()
    shelf.write(Entry("CUP-1", "Mug", "cups", 3))
    shelf.write(Entry("CUP-1", "Beaker", "cups", 2))

    shelf.seconds += FRESH
    shelf.skus()

    assert shelf.searchable.find(Search(("mug",)), None, 10).skus == ("CUP-1",)
    assert shelf.searchable.find(Search(("beaker",)), None, 10).skus == ()


def test_given_a_change_that_was_not_recorded_when_the_longest_interval_has_passed_then_it_is_found() -> None:
    shelf = Shelf()
    shelf.skus()
    shelf.products = {CAFE.sku: CAFE}

    shelf.seconds += LONGEST
    shelf.skus()

    assert shelf.skus() == ("CAF-1",)
    assert shelf.reads == 2


def test_given_a_change_while_the_catalog_is_read_again_when_it_is_searched_then_it_is_found() -> None:
    shelf = Shelf()
    shelf.skus()
    entries = shelf.entries

    def stale() -> Iterable[Entry]:
        found = list(entries())
        shelf.write(CAFE)
        return found

    shelf.entries = stale  # type: ignore[method-assign]
    shelf.seconds += LONGEST
    shelf.skus()

    assert shelf.skus() == BOTH


def test_given_a_process_that_was_idle_for_longer_than_changes_are_kept_when_it_is_searched_then_it_reads_the_catalog() -> (
    None
):
    shelf = Shelf(lambda _: None)
    shelf.skus()
    shelf.products[CAFE.sku] = CAFE

    shelf.seconds += CHANGES_KEPT.total_seconds() + FRESH

    assert shelf.skus() == BOTH


def test_given_a_slow_update_when_products_are_searched_then_no_search_waits_for_it() -> None:
    shelf = Shelf(lambda work: threading.Thread(target=work, daemon=True).start())
    shelf.skus()
    shelf.seconds += FRESH
    begun, go_on = threading.Event(), threading.Event()

    def slow(since: datetime) -> Iterable[Change]:
        begun.set()
        assert go_on.wait(10)
        return [Change("1", [CAFE])]

    shelf.changes = slow  # type: ignore[method-assign]
    for _ in range(3):
        assert shelf.skus() == ("CUP-1",)
    assert begun.wait(10)
    go_on.set()

    wait_for(lambda: shelf.skus() == BOTH)


def test_given_an_index_that_was_not_checked_for_seconds_when_products_are_searched_then_the_search_waits() -> (
    None
):
    threads = list[object]()
    shelf = Shelf(threads.append)
    shelf.skus()
    shelf.write(CAFE)
    shelf.seconds += IDLE

    assert shelf.skus() == BOTH
    assert threads == []


def test_given_a_table_that_cannot_be_read_when_products_are_searched_then_the_previous_index_is_used() -> (
    None
):
    shelf = Shelf()
    shelf.skus()
    changes = shelf.changes
    shelf.seconds += FRESH

    def away(since: datetime) -> Iterable[Change]:
        raise ConnectionError

    shelf.changes = away  # type: ignore[method-assign]
    assert shelf.skus() == ("CUP-1",)

    shelf.changes = changes  # type: ignore[method-assign]
    shelf.write(CAFE)
    assert shelf.skus() == BOTH


def test_given_a_catalog_that_cannot_be_read_again_when_products_are_searched_then_the_next_interval_is_awaited() -> (
    None
):
    shelf = Shelf()
    shelf.skus()
    entries = shelf.entries

    def away() -> list[Entry]:
        shelf.reads += 1
        raise ConnectionError

    shelf.entries = away  # type: ignore[method-assign]
    shelf.seconds += LONGEST
    for _ in range(3):
        assert shelf.skus() == ("CUP-1",)
    assert shelf.reads == 2

    shelf.entries = entries  # type: ignore[method-assign]
    shelf.products[CAFE.sku] = CAFE
    shelf.seconds += LONGEST
    shelf.skus()
    assert shelf.skus() == BOTH


def test_given_a_product_that_no_longer_exists_when_it_is_forgotten_then_it_is_not_found() -> None:
    shelf = Shelf()
    shelf.searchable.forget(["CUP-1"])
    shelf.skus()

    shelf.searchable.forget(["CUP-1", "other"])

    assert shelf.skus() == ()


def test_given_a_server_that_starts_when_its_catalog_cannot_be_read_then_it_is_ready_once_it_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf, stop = Shelf(), threading.Event()
    monkeypatch.setattr("services.product.search.RETRIED_AFTER", 0.01)
    go_on = threading.Event()
    entries = shelf.entries

    def away() -> Iterable[Entry]:
        if not go_on.is_set():
            raise ConnectionError
        return entries()

    shelf.entries = away  # type: ignore[method-assign]
    shelf.searchable.ready()
    server = threading.Thread(target=shelf.searchable.run, args=(stop,))
    server.start()

    def is_unready() -> bool:
        with pytest.raises(Unread):
            shelf.searchable.ready()
        return True

    wait_for(is_unready)
    go_on.set()
    wait_for(lambda: shelf.reads == 1)
    stop.set()
    server.join(10)
    shelf.searchable.ready()
