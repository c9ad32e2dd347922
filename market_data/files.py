"""Files of bars: CSV and Parquet read in chunks, each row with its number."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from core.errors import InputError

CHUNK_ROWS = 131_072
# The reader keeps up to 32 blocks ahead.
_CSV_BLOCK_BYTES = 1024 * 1024
_CSV_SUFFIXES = (".csv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_MALFORMED_SCHEMA: dict[str, type[pl.DataType]] = {"row_number": pl.Int64, "text": pl.String, "detail": pl.String}


@dataclass(frozen=True)
class Chunk:
    """Rows as they came with `row_number` (the first row of data is 1), and the lines that hold no row."""

    rows: pl.DataFrame
    malformed: pl.DataFrame

    @property
    def size(self) -> int:
        """All rows, malformed ones included."""
        return len(self.rows) + len(self.malformed)


def content_hash(path: Path, *, salt: str = "") -> str:
    """SHA-256 of the file's bytes and of `salt`, what else decides how it is read."""
    with _as_input_error(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(salt.encode())
    return digest.hexdigest()


def count_rows(path: Path) -> int:
    """How many rows the file has; of CSV the lines, which is a little more."""
    with _as_input_error(path):
        if _is_parquet(path):
            return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


@contextmanager
def _as_input_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path.name}: not a readable CSV or Parquet file: {reason}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix not in (*_CSV_SUFFIXES, *_PARQUET_SUFFIXES):
        known = ", ".join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))
        raise InputError(f"{path.name}: unknown file type {suffix!r}; known: {known}")
    return suffix in _PARQUET_SUFFIXES


def read_header(path: Path) -> list[str]:
    """The file's column names."""
    with _as_input_error(path):
        if _is_parquet(path):
            names = list(pyarrow.parquet.ParquetFile(path).schema_arrow.names)
        else:
            lenient = pyarrow.csv.ParseOptions(invalid_row_handler=lambda row: "skip")
            with pyarrow.csv.open_csv(path, parse_options=lenient) as reader:
                names = list(reader.schema.names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path.name}: column {twice!r} occurs twice")
    return names


def read_chunks(path: Path, columns: list[str]) -> Iterator[Chunk]:
    """The named columns, chunk by chunk; the same file gives the same chunks every time."""
    with _as_input_error(path):
        yield from _parquet_chunks(path, columns) if _is_parquet(path) else _gathered(_csv_blocks(path, columns))


def _joined(parts: list[Chunk]) -> Chunk:
    return Chunk(pl.concat(part.rows for part in parts), pl.concat(part.malformed for part in parts))


def _gathered(parts: Iterator[Chunk]) -> Iterator[Chunk]:
    """Small parts put together until there are CHUNK_ROWS rows."""
    waiting: list[Chunk] = []
    for part in parts:
        waiting.append(part)
        if sum(chunk.size for chunk in waiting) >= CHUNK_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _frame(table: pyarrow.Table | pyarrow.RecordBatch, numbers: pl.Series) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.insert_column(0, numbers.alias("row_number"))


def _parquet_chunks(path: Path, columns: list[str]) -> Iterator[Chunk]:
    read = 0
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=CHUNK_ROWS, columns=columns):
        numbers = pl.int_range(read + 1, read + len(batch) + 1, eager=True)
        yield Chunk(_frame(batch, numbers), pl.DataFrame(schema=_MALFORMED_SCHEMA))
        read += len(batch)


def _csv_blocks(path: Path, columns: list[str]) -> Iterator[Chunk]:
    broken: list[tuple[int, str, str]] = []

    def set_aside(row: pyarrow.csv.InvalidRow) -> str:
        # The header is number 1.
        broken.append((row.number - 1, row.text, f"{row.actual_columns} columns, {row.expected_columns} expected"))
        return "skip"

    reader = pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=set_aside),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pyarrow.string()), include_columns=columns
        ),
    )
    last = 0
    with reader:
        for batch in reader:
            # The reader may be ahead: only lines before the batch's last row are certain to belong to it.
            taken = np.array([number for number, _, _ in broken], dtype=np.int64)
            numbers = np.setdiff1d(np.arange(last + 1, last + 1 + len(batch) + len(taken)), taken)[: len(batch)]
            last = int(numbers[-1]) if len(numbers) else last
            malformed = [row for row in broken if row[0] < last]
            broken[:] = [row for row in broken if row[0] > last]
            yield Chunk(
                _frame(batch, pl.Series(numbers)), pl.DataFrame(malformed, schema=_MALFORMED_SCHEMA, orient="row")
            )
    if broken:
        empty = _frame(
            pyarrow.table(dict.fromkeys(columns, pyarrow.array([], pyarrow.string()))), pl.Series([], dtype=pl.Int64)
        )
        yield Chunk(empty, pl.DataFrame(broken, schema=_MALFORMED_SCHEMA, orient="row"))


def read_whole(path: Path, columns: list[str], *, rows_max: int) -> Chunk:
    """The whole file as one chunk, for layouts whose rows depend on each other."""
    chunks = []
    for chunk in read_chunks(path, columns):
        chunks.append(chunk)
        if sum(part.size for part in chunks) > rows_max:
            raise InputError(f"{path.name}: more than {rows_max} rows; this layout holds one symbol a file")
    if not chunks:
        raise InputError(f"{path.name}: no rows")
    return _joined(chunks)
