"""An uploaded catalogue, and the report of its import."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

State = Literal["IMPORTING", "DONE", "FAILED"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded.

    Args:
        bucket: where.
        key: its name.
        etag: tells its content from that of another upload under this name.
        size: in bytes.
        at: when.
    """

    bucket: str
    key: str
    etag: str
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was refused.

    Args:
        line: 1 is the first of the file.
        field: which part of the row; empty for the whole line.
        message: what it is to be.
    """

    line: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of an upload so far.

    Args:
        state: IMPORTING until the last line is read; FAILED when no row can be read.
        line: the last line that is done with.
        offset: where the next one begins, in bytes.
        columns: of a CSV file, as its header names them.
        written: rows that are in the catalogue now.
        unchanged: rows that the catalogue said already.
        overtaken: rows of products that were written after the upload.
        refused: rows that break a rule, or whose product cannot be read in the catalogue.
        problems: why, up to `importing.MOST_PROBLEMS`.
        error: why it FAILED.
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
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Report":
        """Reads what `to_dict` writes; other members are ignored.

        Raises:
            KeyError, TypeError: when it is no report.
        """
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(
            **values
            | {
                "columns": tuple(values["columns"]),
                "problems": tuple(Problem(**each) for each in values["problems"]),
            }
        )
