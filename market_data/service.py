"""The verbs of market data: load, import, tell what is there, who was in the index, what a date is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from core.errors import DataMissing, InputError
from core.progress import Progress, silent
from database.queries.bars import instruments_with_bars, last_session_on, vintages
from database.queries.index_memberships import members_on
from database.session import Session
from market_data.calendars import require_session
from market_data.coverage import INDEX, DataStatus, data_status
from market_data.ingest import FileImport, import_file
from market_data.sample.load import SAMPLE_DIR, SampleLoad, load_sample_files

__all__ = [
    "DataStatus",
    "FileImport",
    "SampleLoad",
    "Universe",
    "data_status",
    "data_vintage",
    "import_files",
    "latest_session",
    "load_sample",
    "require_session",
    "universe_on",
]


@dataclass(frozen=True)
class Universe:
    """Members of the index on a session that have a bar on it, sorted by instrument_id; and those that have none."""

    as_of: date
    index_name: str
    members: int
    instrument_ids: tuple[int, ...]
    symbols: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """Share of the true members that have bars."""
        return len(self.instrument_ids) / self.members if self.members else 0.0


def load_sample(*, progress: Progress = silent, folder: Path = SAMPLE_DIR) -> SampleLoad:
    """Load the shipped sample (or another folder of the same files), in transactions of its own.

    May be cut off and called again at any time; what is there already is recognised and left alone.
    """
    return load_sample_files(folder, progress=progress)


def import_files(
    paths: Sequence[Path], *, symbol: str | None = None, source: str | None = None, progress: Progress = silent
) -> list[FileImport]:
    """Bring a user's files of daily bars (CSV or Parquet) in, in transactions of its own.

    `symbol` names the instrument of a file without a symbol column; without it the file's name does. `source` names
    the vendor; without it the columns tell. Bad rows go to quarantine with the reason, good ones load. The same
    content again is recognised; rows that are as stored are not written. Raises InputError for a file that cannot be
    read, before any of its rows is written where its columns or type are at fault.
    """
    if not paths:
        raise InputError("no file given: name at least one CSV or Parquet file")
    if symbol is not None and len(paths) > 1:
        raise InputError(f"symbol {symbol!r} is for one file, {len(paths)} were given: import them one at a time")
    return [import_file(path, symbol=symbol, source=source, progress=progress) for path in paths]


def universe_on(session: Session, *, as_of: date, index_name: str = INDEX) -> Universe:
    """Who can be traded on a session: index members with a bar on that day.

    Raises NotASession, and DataMissing where no member has a bar.
    """
    members = members_on(session, as_of=require_session(as_of), index_name=index_name)
    present = sorted(instruments_with_bars(session, session_on=as_of) & set(members))
    if not present:
        last_on = last_session_on(session, as_of=as_of)
        known = (
            f"the last session with bars is {last_on}" if last_on else "no bars are loaded: run acis data load-sample"
        )
        raise DataMissing(f"no member of {index_name} has a bar on {as_of}; {known}")
    return Universe(
        as_of=as_of,
        index_name=index_name,
        members=len(members),
        instrument_ids=tuple(present),
        symbols=tuple(members[number] for number in present),
        missing=tuple(sorted(members[number] for number in set(members) - set(present))),
    )


def latest_session(session: Session, *, as_of: date | None = None) -> date:
    """The newest session that has bars, not after `as_of`. Raises DataMissing where there is none."""
    last_on = last_session_on(session, as_of=as_of)
    if last_on is None:
        until = "" if as_of is None else f" up to {as_of}"
        raise DataMissing(f"no bars are loaded{until}: load some with `acis data load-sample`")
    return last_on


def data_vintage(session: Session, *, as_of: date) -> dict[str, dict[str, int]]:
    """Version of each data set by year up to that of `as_of`: it rises whenever a row of the year changes.

    Year "0" stands for what has no date (names and sectors of instruments).
    """
    found = vintages(session, last_year=as_of.year)
    return {dataset: {str(year): version for year, version in years.items()} for dataset, years in found.items()}
