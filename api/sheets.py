"""A table as a file that a spreadsheet opens: CSV in UTF-8 with a mark, no cell of which can run as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from fastapi.responses import Response

from api.schemas.figures import write_plain

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# Spreadsheets take a file without it for the local eight-bit code.
BYTE_ORDER_MARK = "\ufeff"
MEDIA_TYPE = "text/csv; charset=utf-8"
ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}, "description": "The file."}}


def csv_response(file_name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """The rows under their column names, to be saved as `file_name`; None is an empty cell."""
    text = io.StringIO(BYTE_ORDER_MARK)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(text.getvalue().encode(), media_type=MEDIA_TYPE, headers=headers)


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would run is text again behind an apostrophe; numbers stay plain numbers."""
    if isinstance(value, Decimal):
        return write_plain(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
