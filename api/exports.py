"""Long tables as files: read a batch at a time into a file on disk, then sent from there.

Neither the table nor the file is ever whole in memory, the database is let go before the first byte leaves, and what
goes wrong on the way is an answer like any other. Parquet is written by a process of its own (`api.parquet_writer`),
whose library is larger than the API itself.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore
from typing import IO, Any, Literal

from fastapi.responses import Response, StreamingResponse

from api.sheets import BYTE_ORDER_MARK, safe_cell
from core.errors import AcisError, TooMany

Format = Literal["csv", "parquet"]
Kind = Literal["text", "integer", "decimal", "date", "time"]
Batches = Iterable[Sequence[Sequence[Any]]]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
        "description": "The file.",
    }
}
_AT_ONCE = 2
_turns = BoundedSemaphore(_AT_ONCE)
_CHUNK_BYTES = 1 << 16


def export_table(name: str, columns: Mapping[str, Kind], batches: Batches, *, form: Format) -> Response:
    """The rows of `batches`, in the order of `columns`, as a file called `name`; no cell of it can run as a formula.

    TooMany while others are being written.
    """
    with _turn(), ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        _WRITERS[form](file, columns, batches)
        stack.pop_all()
    length = file.seek(0, io.SEEK_END)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Content-Length": str(length)}
    return StreamingResponse(_read(file), media_type=MEDIA_TYPES[form], headers=headers)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=1.0):
        raise TooMany(f"{_AT_ONCE} exports are being written already: try again in a moment", retry_after_s=5)
    try:
        yield
    finally:
        _turns.release()


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _write_csv(file: IO[bytes], columns: Mapping[str, Kind], batches: Batches) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for rows in batches:
        writer.writerows([safe_cell(value) for value in row] for row in rows)
    text.flush()
    text.detach()


def _write_parquet(file: IO[bytes], columns: Mapping[str, Kind], batches: Batches) -> None:
    """Columns and rows as lines of JSON to the writer's process; it writes into our open file."""
    with subprocess.Popen(
        [sys.executable, "-m", "api.parquet_writer"], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            _tell(process.stdin, columns)
            for rows in batches:
                _tell(process.stdin, [[safe_cell(value) for value in row] for row in rows])
            process.stdin.close()
        except BaseException:
            process.kill()
            raise
        said = process.stderr.read()
    if process.returncode != 0:
        raise AcisError(f"the Parquet writer ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")


def _tell(pipe: IO[bytes], content: Any) -> None:
    pipe.write(json.dumps(content, default=str, separators=(",", ":")).encode() + b"\n")


_WRITERS = {"csv": _write_csv, "parquet": _write_parquet}
