"""What the command line prints: JSON for machines on stdout, tables for people, progress on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from core.progress import Progress as Listener

# Where nobody's terminal sets the width, nothing is cut.
_WIDTH_ELSEWHERE = 200
stdout = Console(width=None if sys.stdout.isatty() else _WIDTH_ELSEWHERE)
stderr = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH_ELSEWHERE, soft_wrap=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_json(value: Any) -> None:
    """One JSON document on stdout; unknown stays null, NaN is not JSON and is refused."""
    sys.stdout.write(json.dumps(value, default=_plain, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()  # `acis up --json` goes on running behind it


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "") -> None:
    """A table for people; columns whose name starts with '>' are right-aligned."""
    table = Table(title=title, title_justify="left", caption=caption or None, caption_justify="left")
    for column in columns:
        figures = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if figures else "left", no_wrap=figures)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    stdout.print(table)


def say(line: str) -> None:
    """One line to the person at the terminal, on stderr so that stdout stays clean."""
    stderr.print(line, highlight=False)


@contextmanager
def shown_progress() -> Iterator[Listener]:
    """A progress listener: moving bars on a terminal, a line at the start and end of each step elsewhere."""
    if not stderr.is_terminal:
        yield _line_listener()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def listen(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield listen


def _line_listener() -> Listener:
    last: dict[str, int] = {}

    def listen(step: str, done: int, total: int) -> None:
        quarter = 4 * done // total if total else 4
        if quarter > last.get(step, -1):
            last[step] = quarter
            say(f"  {step}: {done} of {total}")

    return listen
