"""A table out of a file that somebody exported somewhere: its encoding, its separator, the line of its header."""

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from core.errors import InputError, TooLarge

SEPARATORS = (",", ";", "\t", "|")
_HEADER_LINES = 25
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_KNOWN_OTHERS = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save the sheet as CSV"),
    (b"%PDF", "a PDF: ask the broker for a CSV export"),
    (b"<", "a web page or XML: ask the broker for a CSV export"),
)


@dataclass(frozen=True)
class TableRow:
    """One line below the header: its number in the file, and the cells of the fields that were found."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """The header's fields and the rows below it. `separator` tells which decimal sign to expect."""

    fields: tuple[str, ...]
    separator: str
    rows: Sequence[TableRow]


def read_table(
    content: bytes, *, synonyms: Mapping[str, Collection[str]], needed: Collection[str], rows_max: int
) -> Table:
    """The table whose header names at least `needed`; `synonyms` lists how a field may be called, letters only.

    Lines above the header are left out (brokers put titles there), and so are empty ones. InputError for what is no
    such table, TooLarge for more than `rows_max` rows.
    """
    text = _decode(content)
    separator, columns, header_at = _find_header(text, synonyms, needed)
    rows: list[TableRow] = []
    for number, cells in _lines(text, separator):
        if number <= header_at or not any(cell.strip() for cell in cells):
            continue
        if len(rows) == rows_max:
            raise TooLarge(f"the file has more than {rows_max:,} rows: split it")
        found = {field: cells[place].strip() if place < len(cells) else "" for field, place in columns.items()}
        rows.append(TableRow(number, found))
    return Table(tuple(columns), separator, rows)


def _decode(content: bytes) -> str:
    head = content[:64].lstrip()
    if not head:
        raise InputError("the file is empty: send a CSV with a header and at least one row")
    for start, told in _KNOWN_OTHERS:
        if head.startswith(start):
            raise InputError(f"the file is not CSV but {told}")
    try:
        text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(f"line {line} holds the control character {found.group()!r}: this is no CSV file")
    return text


def _find_header(
    text: str, synonyms: Mapping[str, Collection[str]], needed: Collection[str]
) -> tuple[str, dict[str, int], int]:
    """Separator, column of each field, and line of the header: of all that name what is needed, the fullest."""
    best: tuple[str, dict[str, int], int] | None = None
    for separator in SEPARATORS:
        for number, cells in _head(text, separator):
            columns = _columns(cells, synonyms)
            if set(needed) <= set(columns) and (best is None or len(columns) > len(best[1])):
                best = (separator, columns, number)
    if best is None:
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        raise InputError(
            f"no line names the columns {' and '.join(needed)}; the file begins with {first[:80]!r}:"
            " give a header such as symbol,quantity,cost_per_share,purchase_date"
        )
    return best


def _head(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    lines = _lines("".join(text.splitlines(keepends=True)[:_HEADER_LINES]), separator)
    while True:
        try:
            yield next(lines)
        # A title's stray quote, or a cell that goes on below: the header, if any, was above.
        except (StopIteration, InputError):
            return


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"line {reader.line_num} cannot be read as CSV ({error}): look at its quotes") from error
        yield reader.line_num, cells


def _columns(cells: Sequence[str], synonyms: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Column of each field; where two columns may be one field, the one whose name stands first in its synonyms."""
    words = [re.sub(r"[^a-z]", "", cell.lower()) for cell in cells]
    columns: dict[str, int] = {}
    for field, names in synonyms.items():
        for name in names:
            if name in words:
                columns[field] = words.index(name)
                break
    return columns
