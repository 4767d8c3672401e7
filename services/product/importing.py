"""Writes what an uploaded catalogue says into the catalogue, and a report of it beside the file.

The report is the progress as well: it names how far the import has come, so whoever continues it begins there. A row that
the catalogue says already changes nothing but the time that it is as of, so what is done again does no harm. Each row is as of the time of the upload and
its line: a later upload wins over an earlier one whichever is imported first, and the later of two rows of one product wins.
A product and the fact of it are written together, a few products at a time; where an order moves the stock of one of them at
that moment, each is written by itself.

S3 dates the uploads. Whoever else writes products dates them by the clock of AWS too, see `ports.Catalogue.now`: with a clock
of its own that is fast, an upload after it would be taken for an earlier one and left out.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from services.common.messaging.outbox import OutboxRecord, of_facts
from services.common.runtime import telemetry
from services.common.runtime.retrying import retry_on_stale
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import UnreadableRow
from services.product import messages, rows
from services.product.domain import Product, Stocked
from services.product.import_report import Problem, Report, Upload
from services.product.ports import Shelves, Uploads
from services.product.rows import Row, RowRefused, UnreadableFile

log = telemetry.logger(__name__)

# DynamoDB reads as many products at once (AWS limit of BatchGetItem).
BATCH = 96
# Products that are written in one transaction. More would meet more orders, which then have to try again.
TOGETHER = 24
# Lines between two reports: what is done again after a crash, at most.
REPORTED_EVERY = 2000
LARGEST_FILE = 256 * 1024 * 1024
# Problems that the report lists; it counts the others.
MOST_PROBLEMS = 1000

# What becomes of a row.
WRITTEN, UNCHANGED, OVERTAKEN, UNREADABLE = "written", "unchanged", "overtaken", "unreadable"


def import_catalogue(
    upload: Upload,
    *,
    uploads: Uploads,
    shelves: Shelves,
    may_go_on: Callable[[], bool] = lambda: True,
    now: Clock = clock.now,
) -> Report:
    """Imports an upload from where it was left; answers how far it came.

    Args:
        upload: which.
        uploads: where it and its report are.
        shelves: where its rows are written.
        may_go_on: asked between two batches; once it says no, the import is left for another call.
        now: the time.

    Raises:
        Superseded: when the file or its report is another's now; nothing is left to do.
    """
    report, version = uploads.report(upload)
    if report.state != "IMPORTING":
        return report
    run = _Run(upload, report, shelves, now)
    saved = report.line
    try:
        for number, batch in enumerate(run.batches(uploads)):
            # Every call gets on by one batch at least, however little time it has.
            if number and not may_go_on():
                uploads.save(upload, run.report, version)
                return run.report
            run.write(batch)
            if run.report.line - saved >= REPORTED_EVERY:
                version = uploads.save(upload, run.report, version)
                saved = run.report.line
    except UnreadableFile as unreadable:
        run.report = replace(run.report, state="FAILED", error=str(unreadable))
    else:
        run.report = replace(run.report, state="DONE")
    uploads.save(upload, run.report, version)
    log.info("catalogue_imported", key=upload.key, **_counts(run.report))
    return run.report


@dataclass(slots=True)
class _Batch:
    """Rows of different products, and the report once they are written."""

    after: Report
    rows: dict[str, tuple[int, Row]] = field(default_factory=dict)


@dataclass(slots=True)
class _Run:
    upload: Upload
    report: Report
    shelves: Shelves
    now: Clock

    def batches(self, uploads: Uploads) -> Iterator[_Batch]:
        """What the file says from the report's place on, as batches."""
        kind = rows.format_of(self.upload.key)
        if self.upload.size > LARGEST_FILE:
            raise UnreadableFile(f"larger than {LARGEST_FILE} bytes; split it")
        chunks = uploads.read(self.upload, self.report.offset)
        batch = _Batch(self.report)
        for line in rows.lines(chunks, self.report.offset, self.report.line):
            if kind == "csv" and not batch.after.columns:
                batch.after = replace(
                    batch.after, columns=rows.header(line), line=line.number, offset=line.end
                )
                continue
            try:
                row = rows.csv_row(line, batch.after.columns) if kind == "csv" else rows.jsonl_row(line)
            except RowRefused as refused:
                row = None
                batch.after = _refuse(batch.after, line.number, refused)
            if row and row.sku in batch.rows:
                yield batch
                batch = _Batch(self.report)
            if row:
                batch.rows[row.sku] = (line.number, row)
            batch.after = replace(batch.after, line=line.number, offset=line.end)
            if len(batch.rows) == BATCH or line.number - self.report.line >= REPORTED_EVERY:
                yield batch
                batch = _Batch(self.report)
        if kind == "csv" and not batch.after.columns:
            raise UnreadableFile("the file is empty")
        yield batch

    def write(self, batch: _Batch) -> None:
        """Writes a batch with the facts of it, and counts."""
        known = self.shelves.find_all(list(batch.rows)) if batch.rows else {}
        outcomes: dict[str, str] = {}
        wanted: dict[Product, int] = {}
        for line, row in batch.rows.values():
            stocked = known.get(row.sku)
            if isinstance(stocked, UnreadableRow):
                outcomes[row.sku] = UNREADABLE
                continue
            product, outcomes[row.sku] = self._decide(line, row, stocked)
            if stocked is None or product != stocked.product:
                wanted[product] = row.stock
        every = list(wanted.items())
        pieces = [dict(every[start : start + TOGETHER]) for start in range(0, len(every), TOGETHER)]
        told = [(each, _facts(each)) for each in pieces]
        for piece, done in zip(pieces, self.shelves.put_all(told) if told else [], strict=True):
            if not done:
                for product in piece:
                    outcomes[product.sku] = self._write_alone(*batch.rows[product.sku])
        counts = Counter(outcomes.values())
        unreadable = [batch.rows[sku][0] for sku, outcome in outcomes.items() if outcome == UNREADABLE]
        after = _note_unreadable(batch.after, unreadable)
        self.report = replace(
            after,
            written=after.written + counts[WRITTEN],
            unchanged=after.unchanged + counts[UNCHANGED],
            overtaken=after.overtaken + counts[OVERTAKEN],
        )

    def _write_alone(self, line: int, row: Row) -> str:
        def write() -> str:
            try:
                stocked = self.shelves.find(row.sku)
            except UnreadableRow:
                return UNREADABLE
            product, outcome = self._decide(line, row, stocked)
            if stocked is None or product != stocked.product:
                self.shelves.put(product, row.stock, _facts([product]))
            return outcome

        return retry_on_stale(write, f"product {row.sku}")

    def _decide(self, line: int, row: Row, stocked: Stocked | None) -> tuple[Product, str]:
        """What a row makes of a product, and what becomes of the row. One that is UNCHANGED may be as of a later time."""
        known = stocked.product if stocked else None
        at = self.upload.at + timedelta(microseconds=line)
        product = Product(row.sku, row.name, row.category, row.price, at).after(known, self.now())
        if known and known.updated_at > at:
            return known, OVERTAKEN
        if known and known.version == product.version:
            return product, UNCHANGED
        return product, WRITTEN


def _facts(products: Iterable[Product]) -> OutboxRecord | None:
    """What is to be told of products; nothing of those that are in the same version as before."""
    return of_facts(
        [messages.upserted(product) for product in products if product.version != product.replaces]
    )


def _refuse(report: Report, line: int, refused: RowRefused) -> Report:
    report = replace(report, refused=report.refused + 1)
    if len(report.problems) == MOST_PROBLEMS:
        return report
    listed = (Problem(line, where, message) for where, message in refused.problems)
    return replace(report, problems=(*report.problems, *listed)[:MOST_PROBLEMS])


def _note_unreadable(report: Report, lines: Sequence[int]) -> Report:
    """The report with the lines of products whose row in the table cannot be read; problems stay in the order of lines."""
    for line in lines:
        report = _refuse(report, line, RowRefused([("", "its row cannot be read")]))
    return replace(report, problems=tuple(sorted(report.problems, key=lambda problem: problem.line)))


def _counts(report: Report) -> dict[str, Any]:
    return {
        name: getattr(report, name)
        for name in ("state", "line", "written", "unchanged", "overtaken", "refused")
    }
