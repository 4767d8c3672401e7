"""Reads an uploaded catalogue, line by line: CSV with a header, or JSON Lines.

A line is a row, whatever is in it: a quotation mark that is never closed spoils its own line and no other. Lines are read
from a stream and none is kept, so a file of any length takes the same memory.
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
# Bytes. A row has six short fields.
LONGEST_LINE = 16 * 1024
LARGEST_AMOUNT = 1_000_000_000
LARGEST_STOCK = 1_000_000
_BOM = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """No row of the file can be read; the message says why."""


class RowRefused(Exception):
    """A row breaks a rule.

    Args:
        problems: field and message, one pair per problem; the field is empty for the line as a whole.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file.

    Args:
        number: 1 is the first.
        content: without its end; None when it is longer than LONGEST_LINE.
        end: offset in bytes of the line after it.
    """

    number: int
    content: bytes | None
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says of a product.

    Args:
        stock: how many pieces are available at first; of no effect on a product whose stock has begun.
    """

    sku: str
    name: str
    category: str
    price: Money
    stock: int


def format_of(key: str) -> Format:
    """The format that a file's name promises.

    Raises:
        UnreadableFile: when it promises neither.
    """
    for ending in ("csv", "jsonl"):
        if key.lower().endswith(f".{ending}"):
            return "csv" if ending == "csv" else "jsonl"
    raise UnreadableFile("the name of the file ends in neither .csv nor .jsonl")


def lines(chunks: Iterable[bytes], offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines of a stream.

    Args:
        chunks: the bytes from `offset` on.
        offset: where in the file they begin: at the beginning of a line.
        number: of the line before.
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
    """The columns that the first line of a CSV file names, in their order.

    Raises:
        UnreadableFile: when one is missing, unknown or named twice.
    """
    try:
        found = tuple(name.strip().lower() for name in _cells((line.content or b"").removeprefix(_BOM)))
    except RowRefused as refused:
        raise UnreadableFile(f"the header cannot be read: {refused}") from refused
    if sorted(found) != sorted(COLUMNS):
        raise UnreadableFile(
            f"the header is to name each of {', '.join(COLUMNS)} once, in any order, separated by commas"
        )
    return found


def csv_row(line: Line, columns: Sequence[str]) -> Row | None:
    """The row of a line of a CSV file; None for an empty line.

    Raises:
        RowRefused: with every problem of the row.
    """
    cells = _cells(_content(line))
    if not any(cells):
        return None
    if len(cells) != len(columns):
        raise RowRefused([("", f"{len(cells)} values, and the header names {len(columns)} columns")])
    values: dict[str, Any] = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    return _row(
        {
            **{name: values[name] for name in ("sku", "name", "category")},
            "price": {"amount": _whole(values["amount"]), "currency": values["currency"]},
            "stock": _whole(values["stock"]),
        }
    )


def jsonl_row(line: Line) -> Row | None:
    """The row of a line of JSON Lines; None for an empty line.

    Raises:
        RowRefused: with every problem of the row.
    """
    content = _content(line)
    if line.number == 1:
        content = content.removeprefix(_BOM)
    if not content.strip():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RowRefused([("", f"no JSON: {error.msg} at column {error.colno}")]) from error
    return _row(value)


def _content(line: Line) -> bytes:
    if line.content is None:
        raise RowRefused([("", f"longer than {LONGEST_LINE} bytes")])
    return line.content


def _cells(content: bytes) -> list[str]:
    try:
        (cells,) = csv.reader([content.decode()], strict=True)
    except UnicodeDecodeError as error:
        raise RowRefused([("", f"no UTF-8 at byte {error.start + 1}")]) from error
    except csv.Error as error:
        raise RowRefused([("", f"no CSV: {error}")]) from error
    except ValueError:  # an empty line has no row
        return []
    return cells


def _whole(text: str) -> int | str:
    """The number that a text is, or else the text, which the rules then refuse."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_AMOUNT)) else text


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("has a character that cannot be printed, or a space at its beginning or end")
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
