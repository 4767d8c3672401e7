"""Parses an uploaded catalog line by line: CSV with a header, or JSON Lines.

Each line is one row, so that an unclosed quotation mark invalidates only its own line. Lines are read from a stream, so that
the memory does not depend on the size of the file.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.common.values.money import Money

Format = Literal["csv", "jsonl"]

COLUMNS = ("sku", "name", "category", "amount", "currency", "stock")
# In bytes. A row has six short fields.
LONGEST_LINE = 16 * 1024
LARGEST_AMOUNT = 1_000_000_000
LARGEST_STOCK = 1_000_000
_BOM = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """The file cannot be parsed. The message contains the reason."""


class RowRefused(Exception):
    """A row is invalid.

    Args:
        problems: pairs of field and message. The field is empty for the whole line.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file.

    Args:
        number: 1 for the first line.
        content: content without the line ending; None if it is longer than LONGEST_LINE.
        end: offset of the next line in bytes.
    """

    number: int
    content: bytes | None
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """The product in a row.

    Args:
        stock: available pieces of a new product. It has no effect on an existing product.
    """

    sku: str
    name: str
    category: str
    price: Money
    stock: int


def format_of(key: str) -> Format:
    """The format of a file, by the extension of its name.

    Raises:
        UnreadableFile: the extension is unknown.
    """
    for ending in ("csv", "jsonl"):
        if key.lower().endswith(f".{ending}"):
            return "csv" if ending == "csv" else "jsonl"
    raise UnreadableFile("the name of the file must end in .csv or .jsonl")


def lines(chunks: Iterable[bytes], offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines of a stream.

    Args:
        chunks: bytes from `offset` on.
        offset: offset in the file, at the beginning of a line.
        number: number of the line before.
    """
    rest, too_long, dropped = b"", False, 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for content in whole:
            number, offset = number + 1, offset + dropped + len(content) + 1
            long = too_long or len(content) > LONGEST_LINE
            yield Line(number, None if long else content.removesuffix(b"\r"), offset)
            too_long, dropped = False, 0
        if len(rest) > LONGEST_LINE:
            too_long, dropped, rest = True, dropped + len(rest), b""
    if rest or too_long:
        end = offset + dropped + len(rest)
        yield Line(number + 1, None if too_long else rest.removesuffix(b"\r"), end)


def header(line: Line) -> tuple[str, ...]:
    """The columns in the header of a CSV file, in their order.

    Raises:
        UnreadableFile: a column is missing, unknown or duplicated.
    """
    try:
        found = tuple(name.strip().lower() for name in _cells((line.content or b"").removeprefix(_BOM)))
    except RowRefused as refused:
        raise UnreadableFile(f"the header cannot be read: {refused}") from refused
    if sorted(found) != sorted(COLUMNS):
        raise UnreadableFile(
            f"the header must contain each of the columns {', '.join(COLUMNS)} once, in any order, separated by commas"
        )
    return found


def csv_row(line: Line, columns: Sequence[str]) -> Row | None:
    """The row in a line of a CSV file, or None for an empty line.

    Raises:
        RowRefused: the row is invalid.
    """
    cells = _cells(_content(line))
    if not any(cells):
        return None
    if len(cells) != len(columns):
        raise RowRefused([("", f"{len(cells)} values, but the header has {len(columns)} columns")])
    values: dict[str, Any] = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    return _row(
        {
            **{name: values[name] for name in ("sku", "name", "category")},
            "price": {"amount": _whole(values["amount"]), "currency": values["currency"]},
            "stock": _whole(values["stock"]),
        }
    )


def jsonl_row(line: Line) -> Row | None:
    """The row in a line of JSON Lines, or None for an empty line.

    Raises:
        RowRefused: the row is invalid.
    """
    content = _content(line)
    if line.number == 1:
        content = content.removeprefix(_BOM)
    if not content.strip():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RowRefused([("", f"invalid JSON: {error.msg} at column {error.colno}")]) from error
    return _row(value)


def _content(line: Line) -> bytes:
    if line.content is None:
        raise RowRefused([("", f"the line is longer than {LONGEST_LINE} bytes")])
    return line.content


def _cells(content: bytes) -> list[str]:
    try:
        (cells,) = csv.reader([content.decode()], strict=True)
    except UnicodeDecodeError as error:
        raise RowRefused([("", f"invalid UTF-8 at byte {error.start + 1}")]) from error
    except csv.Error as error:
        raise RowRefused([("", f"invalid CSV: {error}")]) from error
    except ValueError:  # an empty line has no row
        return []
    return cells


def _whole(text: str) -> int | str:
    """A text as a number, or unchanged if it is not a number, so that the validation rejects it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_AMOUNT)) else text


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("contains a non-printable character, or a leading or trailing space")
    return text


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class _Price(_Shape):
    amount: int = Field(ge=0, le=LARGEST_AMOUNT)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class _Product(_Shape):
    sku: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
    category: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    price: _Price
    stock: int = Field(ge=0, le=LARGEST_STOCK)


def _row(value: Any) -> Row:
    try:
        found = _Product.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise RowRefused([(".".join(map(str, each["loc"])), each["msg"]) for each in problems]) from None
    price = Money(found.price.amount, found.price.currency)
    return Row(found.sku, found.name, found.category, price, found.stock)
