"""Writes a Parquet file to its output from lines of JSON on its input: `python -m api.parquet_writer`.

The first line maps column names to kinds, each further one is a list of rows; decimals, dates and times are text. A
process of its own, so that the library stays out of the API's memory.
"""

import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

import pyarrow as pa
from pyarrow import parquet

_KINDS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "text": (pa.string(), str),
    "integer": (pa.int64(), int),
    "decimal": (pa.decimal128(24, 6), Decimal),
    "date": (pa.date32(), date.fromisoformat),
    "time": (pa.timestamp("us", tz="UTC"), datetime.fromisoformat),
}


def write(lines: IO[str], out: IO[bytes]) -> None:
    """From the lines to the file; one row group for each line."""
    columns = json.loads(lines.readline())
    kinds = [_KINDS[kind] for kind in columns.values()]
    schema = pa.schema([(name, kind[0]) for name, kind in zip(columns, kinds, strict=True)])
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for line in lines:
            rows = json.loads(line)
            arrays = [
                pa.array([None if row[place] is None else read(row[place]) for row in rows], type=kind)
                for place, (kind, read) in enumerate(kinds)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


if __name__ == "__main__":
    write(sys.stdin, sys.stdout.buffer)
