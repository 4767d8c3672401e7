"""Imports an uploaded catalog, and writes a report next to the file.

The report also stores the progress, so that another run can continue the import. A row that does not change its product only
updates the product's time, so that importing rows again is harmless. The time of a row consists of the time of the upload and
the number of the line: a later upload takes precedence regardless of the order of imports, and so does the later of two rows of
one product. Products and their events are written together in small transactions. If an order changes the stock of one of the
products at the same time, each product of the transaction is written separately.

S3 assigns the times of uploads. All other writers of products must use the clock of AWS as well, see `ports.Catalogue.now`:
with a fast clock, a later upload would be ignored as an earlier one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from services.common.messaging.outbox import OutboxRecord, of_facts
from services.common.runtime.retrying import retry_on_stale
from services.common.telemetry import logs
from services.common.values import clock
from services.common.values.clock import Clock
from services.common.values.errors import UnreadableRow
from services.product import messages, rows
from services.product.domain import Product, Stocked
from services.product.import_report import Problem, Report, Upload
from services.product.ports import Shelves, Uploads
from services.product.rows import Row, RowRefused, UnreadableFile

log = logs.logger(__name__)

# Products per read (the AWS limit of BatchGetItem is 100).
BATCH = 96
# Products per transaction. Larger transactions would conflict with more orders, which then have to retry.
TOGETHER = 24
# Lines between two reports: the maximum that is repeated after a crash.
REPORTED_EVERY = 2000
LARGEST_FILE = 256 * 1024 * 1024
# Maximum number of problems in a report. Further ones are only counted.
MOST_PROBLEMS = 1000

# Outcomes of a row.
WRITTEN, UNCHANGED, OVERTAKEN, UNREADABLE = "written", "unchanged", "overtaken", "unreadable"


def import_catalogue(
    upload: Upload,
    *,
    uploads: Uploads,
    shelves: Shelves,
    may_go_on: Callable[[], bool] = lambda: True,
    now: Clock = clock.now,
) -> Report:
    """Imports an upload, continuing at the position in its report. Returns the updated report.

    Args:
        upload: upload to import.
        uploads: storage of the upload and its report.
        shelves: storage of products.
        may_go_on: called between two batches. If it returns false, the import is left to another call.
        now: current time.

    Raises:
        Superseded: the file was replaced, or another run has continued the import. Nothing is left to do.
    """
    report, version = uploads.report(upload)
    if report.state != "IMPORTING":
        return report
    run = _Run(upload, report, shelves, now)
    saved = report.line
    try:
        for number, batch in enumerate(run.batches(uploads)):
            # Every call imports at least one batch, even if it has little time.
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
    """Rows of different products, and the report after they are written."""

    after: Report
    rows: dict[str, tuple[int, Row]] = field(default_factory=dict)


@dataclass(slots=True)
class _Run:
    upload: Upload
    report: Report
    shelves: Shelves
    now: Clock

    def batches(self, uploads: Uploads) -> Iterator[_Batch]:
        """The rows of the file from the position in the report on, in batches."""
        kind = rows.format_of(self.upload.key)
        if self.upload.size > LARGEST_FILE:
            raise UnreadableFile(f"the file is larger than {LARGEST_FILE} bytes; split it")
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
        """Writes a batch with its events, and updates the report."""
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
        batches = [(each, _facts(each)) for each in pieces]
        for piece, done in zip(pieces, self.shelves.put_all(batches) if batches else [], strict=True):
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
        """The product after a row, and the outcome of the row. The time of an UNCHANGED product may have changed."""
        known = stocked.product if stocked else None
        at = self.upload.at + timedelta(microseconds=line)
        product = Product(row.sku, row.name, row.category, row.price, at).after(known, self.now())
        if known and known.updated_at > at:
            return known, OVERTAKEN
        if known and known.version == product.version:
            return product, UNCHANGED
        return product, WRITTEN


def _facts(products: Iterable[Product]) -> OutboxRecord | None:
    """The outbox record of the products whose version has changed, or None."""
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
    """The report with problems for products whose row in the table cannot be parsed, sorted by line."""
    for line in lines:
        report = _refuse(report, line, RowRefused([("", "the stored product cannot be read")]))
    return replace(report, problems=tuple(sorted(report.problems, key=lambda problem: problem.line)))


def _counts(report: Report) -> dict[str, Any]:
    return {
        name: getattr(report, name)
        for name in ("state", "line", "written", "unchanged", "overtaken", "refused")
    }
