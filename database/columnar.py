"""Bulk roads between PostgreSQL and arrays: binary COPY in, Arrow out.

A NumPy record array becomes the wire format of COPY BINARY by byte swaps alone, so a load costs the client almost
nothing; reads come back as Arrow through ADBC on a connection of their own, so they see committed rows only. ADBC's
low level hands its Arrow straight to Polars: its other one would bring pyarrow and pandas, 90 MB, into every process.
Format: https://www.postgresql.org/docs/18/sql-copy.html (section "Binary Format").
"""

import atexit
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy.orm import Session

from database.session import database_url

_HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
_TRAILER = b"\xff\xff"
_ROWS_AT_ONCE = 65_536
_EPOCH = np.datetime64("2000-01-01", "D")
WIRE_TYPES: Mapping[str, str] = {
    "int2": ">i2",
    "int4": ">i4",
    "int8": ">i8",
    "float4": ">f4",
    "float8": ">f8",
    "date": ">i4",
    "bool": ">i1",
}


def encode_rows(columns: Mapping[str, tuple[str, npt.NDArray[Any]]]) -> Iterator[bytes]:
    """COPY BINARY bytes of equally long arrays without nulls.

    `columns` maps a column's name to (PostgreSQL type, values); dates are datetime64[D]. Yields the header, blocks
    of at most 65,536 rows and the trailer, so memory stays flat however many rows there are.
    """
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for name, (kind, _) in columns.items():
        fields += [(f"{name}_size", ">i4"), (name, WIRE_TYPES[kind])]
    layout = np.dtype(fields)
    rows = len(next(iter(columns.values()))[1])
    yield _HEADER
    for start in range(0, rows, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, rows)
        block = np.empty(stop - start, dtype=layout)
        block["count"] = len(columns)
        for name, (kind, values) in columns.items():
            part = values[start:stop]
            block[f"{name}_size"] = layout[name].itemsize
            block[name] = (part.astype("datetime64[D]") - _EPOCH).astype("i4") if kind == "date" else part
        yield block.tobytes()
    yield _TRAILER


def copy_rows(session: Session, table: str, columns: Mapping[str, tuple[str, npt.NDArray[Any]]]) -> int:
    """COPY arrays into `table` inside the session's transaction; returns the number of rows."""
    names = ", ".join(f'"{name}"' for name in columns)
    cursor = session.connection().connection.cursor()
    with cursor.copy(f"copy {table} ({names}) from stdin (format binary)") as copy:
        for block in encode_rows(columns):
            copy.write(block)
    return len(next(iter(columns.values()))[1])


def read_frame(query: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
    """Run `query` ($1, $2 ... for parameters) on a connection of its own; the result as a Polars frame.

    The connection is kept for the thread's next read: opening one costs more than most of our queries. It commits by
    itself, so it holds no lock and no old view of the data in between.
    """
    held = _reader.connection is not None
    try:
        return _read(query, parameters)
    except adbc_driver_manager.Error:
        if not held:
            raise
        # The kept connection may have died with a restarted server; a new one tells.
        _reader.close()
        return _read(query, parameters)


def _read(query: str, parameters: Sequence[Any]) -> pl.DataFrame:
    with adbc_driver_manager.AdbcStatement(_reader.open()) as statement:
        statement.set_sql_query(query)
        if parameters:
            statement.prepare()
            statement.bind_stream(_row(parameters))
        stream, _ = statement.execute_query()
        return pl.DataFrame(stream)


def _row(parameters: Sequence[Any]) -> pl.DataFrame:
    """The parameters as one row of Arrow; what is nothing is a text that is null, for PostgreSQL to cast."""
    return pl.DataFrame(
        [
            pl.Series(f"p{place}", [value], dtype=pl.String if value is None else None)
            for place, value in enumerate(parameters, start=1)
        ]
    )


class _Reader(threading.local):
    """This thread's connection; a forked child and a new URL get one of their own."""

    def __init__(self) -> None:
        self.database: adbc_driver_manager.AdbcDatabase | None = None
        self.connection: adbc_driver_manager.AdbcConnection | None = None
        self.key: tuple[int, str] | None = None

    def open(self) -> adbc_driver_manager.AdbcConnection:
        key = (os.getpid(), database_url())
        if self.connection is None or self.key != key:
            if self.key is not None and self.key[0] == key[0]:
                self.close()
            # Without transactions of ours each statement is its own.
            self.database = adbc_driver_postgresql.connect(key[1])
            self.connection = adbc_driver_manager.AdbcConnection(self.database)
            self.key = key
        return self.connection

    def close(self) -> None:
        for held in (self.connection, self.database):
            if held is not None:
                with suppress(adbc_driver_manager.Error):
                    held.close()
        self.connection = self.database = None


_reader = _Reader()
atexit.register(_reader.close)
