"""Bring in the files that lie in the inbox, each on its own, and tell what the market data then cover."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from clients.service import PAPER_BOOK
from core.clock import now, today_in_new_york
from core.config import get_settings
from core.errors import InputError
from core.jobs import Nightly, RefreshData, Ticket
from core.log import get_logger
from core.progress import Progress, silent
from database.queries.runs import find_run
from database.session import Session, transaction
from jobs.schedule import raise_again
from market_data.service import data_status, import_files

SETTLED_S = 60  # a file that was written a moment ago may not be whole
_ENDINGS = (".csv", ".parquet")
_log = get_logger("mlops")


@dataclass(frozen=True)
class Refresh:
    """What a refresh did. `rows_changed` counts rows that were new or different; `refused` says why, by file.

    `night_job_id` is the night that had been refused for want of these bars and is asked for again.
    """

    files: int
    already_loaded: int
    rows_changed: int
    refused: dict[str, str]
    newest_bars_on: date | None
    note: str
    night_job_id: int | None = None


def run_refresh_data(*, progress: Progress = silent) -> Refresh:
    """Import every settled CSV or Parquet file of the inbox; a file that was brought in before is recognised.

    A file that cannot be read is told of and left where it is; the others come in all the same.
    """
    files = _settled(get_settings().inbox_dir)
    refused: dict[str, str] = {}
    already, changed = 0, 0
    for done, file in enumerate(files):
        progress("refresh data", done, len(files))
        try:
            (came,) = import_files([file], progress=progress)
        except InputError as error:
            refused[file.name] = str(error)
            _log.warning("file refused", file=file.name, reason=str(error))
            continue
        already += came.already_loaded
        changed += 0 if came.already_loaded else came.rows_inserted + came.rows_changed
    progress("refresh data", len(files), len(files))
    with transaction() as session:
        newest = data_status(session, as_of=today_in_new_york()).last_session_on
        night = None if newest is None else _raise_night(session, newest)
    return Refresh(len(files), already, changed, refused, newest, _note(len(files), already), night)


def _raise_night(session: Session, newest: date) -> int | None:
    """The night of the newest bars, where the timetable asked for it before they were there."""
    run = find_run(session, job=Nightly.name, as_of=newest, book=PAPER_BOOK)
    if run is not None and run.status == "succeeded":
        return None
    return raise_again(session, name=Nightly.name, due_on=newest)


def _settled(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    until = now().timestamp() - SETTLED_S
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.suffix.lower() in _ENDINGS and file.stat().st_mtime <= until
    )


def _note(files: int, already: int) -> str:
    if files == 0:
        return "no vendor is configured and no file lies in the inbox folder: nothing can be new"
    return "nothing new: every file was brought in before" if already == files else "new files were read"


def perform(_: RefreshData, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return dict(run_refresh_data(progress=ticket.progress).__dict__)
