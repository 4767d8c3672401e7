"""The open pages of orders, which show each change: one reader for all pages of the same sign-in and order.

Pages never share what was read with different access tokens. See docs/adr/0026.
"""

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Final, Protocol

import orjson

from services.common.telemetry import logs, tracing
from services.common.values.errors import NotFound, Unavailable
from services.storefront import progress
from services.storefront.domain import Order, OrderDetails
from services.storefront.events import event
from services.storefront.ports import Grant, NotPermitted, Orders, SignedOut

log = logs.logger(__name__)
# Browsers open at most six connections to a host with HTTP/1.1, and need some for other pages.
MOST_PER_CUSTOMER: Final = 4
# Concurrent requests to the API for all open pages.
THREADS: Final = 4
RETRY_SECONDS: Final = 5.0
STALE: Final = "stale"
CURRENT: Final = "current"


class Outlet(Protocol):
    """Where the events of a page go, as `streams.Stream`."""

    @property
    def is_open(self) -> bool:
        """Whether the page still receives them."""

    def write(self, data: bytes) -> None:
        """Sends bytes. Has no effect after the end."""

    def end(self) -> None:
        """Ends the events."""


@dataclass(eq=False, slots=True)
class Page:
    """An open page of an order.

    Args:
        outlet: where its events go.
        language: language of the visitor.
        version: version of the order that it shows.
        once: whether the events end after a change.
    """

    outlet: Outlet
    language: str
    version: str
    once: bool = False
    is_stale: bool = False

    def show(self, version: str, content: str) -> None:
        """Replaces the part of the page that moves."""
        self.outlet.write(event(orjson.dumps(content).decode(), version=version))
        self.version, self.is_stale = version, False
        if self.once:
            self.outlet.end()

    def confirm(self) -> None:
        """The page is current again."""
        if self.is_stale:
            self.outlet.write(event("", name=CURRENT))
            self.is_stale = False

    def age(self, read_at: datetime | None) -> None:
        """The shop does not respond: the page shows the state of an earlier time, or of the time at which it was loaded."""
        if not self.is_stale:
            self.outlet.write(event(read_at.isoformat() if read_at else "", name=STALE))
            self.is_stale = True


@dataclass(eq=False, slots=True)
class _Watch:
    """An order that is read with one access token."""

    token: str = field(repr=False)
    subject: str
    order_id: str
    pages: list[Page] = field(default_factory=list)
    details: OrderDetails | None = None
    version: str = ""
    read_at: datetime | None = None
    # Monotonic time of the next reading; None while it is being read.
    due: float | None = None
    # Whether a page was opened while the order was being read.
    again: bool = False


class Following:
    """Reads the orders of all open pages, and sends each change. Safe to share between threads.

    Args:
        orders: orders of the shop.
        render: the part of a page that moves, in a language.
        now: current time.
        monotonic: monotonic clock, in seconds.
        threads: number of threads, which start with the first page; 0 to call `turn` instead.
    """

    def __init__(
        self,
        orders: Orders,
        render: Callable[[OrderDetails, str], str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        threads: int = THREADS,
    ) -> None:
        self._orders = orders
        self._render = render
        self._now = now
        self._monotonic = monotonic
        self._idle_threads = threads
        self._changed = threading.Condition()
        self._watches: dict[tuple[str, str], _Watch] = {}
        # Due time, number and order; entries with a former due time are ignored.
        self._due: list[tuple[float, int, _Watch]] = []
        self._numbers = count()

    def follow(self, granted: Grant, order_id: str, page: Page, order: Order | None) -> bool:
        """Sends each change of an order to a page. Returns False if the customer has too many open pages.

        Args:
            granted: sign-in of the customer.
            order_id: ID of the order.
            page: the page.
            order: the order as it was just read; None if the shop did not respond.
        """
        now = self._now()
        with self._changed:
            if self._open_pages(granted.subject) >= MOST_PER_CUSTOMER:
                return False
            watch = self._watches.get((granted.token, order_id))
            if watch is None:
                watch = _Watch(
                    granted.token, granted.subject, order_id, read_at=None if order is None else now
                )
                self._watches[watch.token, order_id] = watch
                is_shown = order is not None and page.version == progress.version(order, now)
                self._schedule(watch, progress.pause(order, now) if order is not None and is_shown else 0.0)
            elif watch.due is None:
                watch.again = True
            else:
                self._schedule(watch, 0.0)
            watch.pages.append(page)
            for _ in range(self._idle_threads):
                threading.Thread(target=self._run, name="following", daemon=True).start()
            self._idle_threads = 0
        return True

    def turn(self) -> bool:
        """Reads the order that is due first. Returns whether one was due."""
        with self._changed:
            watch = self._take()
        if watch is not None:
            self._serve(watch)
        return watch is not None

    def _run(self) -> None:
        while True:
            with self._changed:
                while (watch := self._take()) is None:
                    self._changed.wait(self._due[0][0] - self._monotonic() if self._due else None)
            self._serve(watch)

    # ---- schedule, with the lock
    def _open_pages(self, subject: str) -> int:
        mine = (watch for watch in self._watches.values() if watch.subject == subject)
        return sum(page.outlet.is_open for watch in mine for page in watch.pages)

    def _schedule(self, watch: _Watch, seconds: float) -> None:
        watch.due = self._monotonic() + seconds
        heapq.heappush(self._due, (watch.due, next(self._numbers), watch))
        self._changed.notify()

    def _take(self) -> _Watch | None:
        """Removes the order that is due first from the schedule, if it is due."""
        while self._due and self._due[0][0] <= self._monotonic():
            due, _, watch = heapq.heappop(self._due)
            if watch.due == due:
                watch.due = None
                return watch
        return None

    # ---- reading, without the lock
    def _serve(self, watch: _Watch) -> None:
        with self._changed:
            pages = [page for page in watch.pages if page.outlet.is_open]
        pause = self._read(watch, pages) if pages else 0.0
        with self._changed:
            watch.pages = [page for page in watch.pages if page.outlet.is_open]
            if watch.pages:
                self._schedule(watch, 0.0 if watch.again else pause)
                watch.again = False
            else:
                del self._watches[watch.token, watch.order_id]

    def _read(self, watch: _Watch, pages: Sequence[Page]) -> float:
        """Sends an order to its pages. Returns the seconds until the next reading."""
        try:
            with tracing.untraced():
                order = self._current(watch, pages)
        except Unavailable:
            for page in pages:
                page.age(watch.read_at)
            return RETRY_SECONDS
        except (SignedOut, NotPermitted, NotFound):
            order = None
        except Exception:  # the thread also serves other pages
            log.exception("order_not_followed")
            order = None
        if order is None or order.state.is_final:
            # The browser connects again, and learns from the response why there is nothing to follow.
            for page in pages:
                page.outlet.end()
            return 0.0
        return progress.pause(order, self._now())

    def _current(self, watch: _Watch, pages: Sequence[Page]) -> Order:
        """Reads an order, and shows it on the pages that show another version."""
        order = self._orders.find(watch.token, watch.order_id)
        now = self._now()
        if order is None:
            raise NotFound("the order does not exist")
        version = progress.version(order, now)
        if version != watch.version and any(page.version != version for page in pages):
            watch.details = self._orders.details(watch.token, watch.order_id)
            if watch.details is None:
                raise NotFound("the order does not exist")
            order = watch.details.order
            version = watch.version = progress.version(order, now)
        watch.read_at = now
        contents: dict[str, str] = {}
        for page in pages:
            if page.version == version or watch.details is None:
                page.confirm()
                continue
            if page.language not in contents:
                contents[page.language] = self._render(watch.details, page.language)
            page.show(version, contents[page.language])
        return order
