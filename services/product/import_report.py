"""An uploaded catalog, and the report of its import."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

State = Literal["IMPORTING", "DONE", "FAILED"]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file.

    Args:
        bucket: name of the bucket.
        key: name of the file.
        etag: identifier of the content, which distinguishes uploads under the same name.
        size: size in bytes.
        at: time of the upload.
    """

    bucket: str
    key: str
    etag: str
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a rejected row.

    Args:
        line: number of the line, 1 for the first.
        field: field of the row; empty for the whole line.
        message: description of the problem.
    """

    line: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """The progress and the result of an import.

    Args:
        state: IMPORTING until the last line is read; FAILED if the file cannot be parsed.
        line: last processed line.
        offset: offset of the next line in bytes.
        columns: columns in the header of a CSV file.
        written: number of rows that were written to the catalog.
        unchanged: number of rows that match the catalog.
        overtaken: number of rows whose product was updated after the upload.
        refused: number of rows that are invalid, or whose stored product cannot be read.
        problems: problems of refused rows, up to `importing.MOST_PROBLEMS`.
        error: reason of the state FAILED.
    """

    state: State = "IMPORTING"
    line: int = 0
    offset: int = 0
    columns: tuple[str, ...] = ()
    written: int = 0
    unchanged: int = 0
    overtaken: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Report":
        """Parses the result of `to_dict`. Other members are ignored.

        Raises:
            KeyError, TypeError: the data is not a report.
        """
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(
            **values
            | {
                "columns": tuple(values["columns"]),
                "problems": tuple(Problem(**each) for each in values["problems"]),
            }
        )
