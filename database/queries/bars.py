"""Daily bars: reads as of a date, bulk merges, and the record of what was loaded."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import func, insert, select, text

from database.columnar import copy_rows, read_frame
from database.session import Session, advisory_lock
from database.tables.bars import DailyBar, DataVintage, ImportBatch, QuarantinedBar

DATASET = "daily_bars"
_EARLIEST = date(1900, 1, 1)
BAR_TYPES: Mapping[str, str] = {
    "instrument_id": "int4",
    "session_on": "date",
    "open": "float8",
    "high": "float8",
    "low": "float8",
    "close": "float8",
    "adj_close": "float8",
    "volume": "int8",
}
_VALUES = ("open", "high", "low", "close", "adj_close", "volume")
BarColumns = Mapping[str, npt.NDArray[Any]]


class Merged(NamedTuple):
    """What a merge did to the table, and the years in which a row is new or other than it was."""

    inserted: int
    changed: int
    unchanged: int
    years: frozenset[int]


def read_bars(*, as_of: date, first_on: date | None = None, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Bars with `first_on` <= session_on <= `as_of`, sorted by instrument_id, session_on.

    Columns: instrument_id (i32), session_on, and of open, high, low, close, adj_close (f64), volume (i64) those
    named by `columns` (default all). Reads committed rows only.
    """
    wanted = columns or _VALUES
    return read_frame(
        f"select instrument_id, session_on, {', '.join(wanted)} from daily_bars"  # noqa: S608 names are ours
        " where session_on between $1 and $2 order by instrument_id, session_on",
        [first_on or _EARLIEST, as_of],
    )


def instruments_with_bars(session: Session, *, session_on: date) -> set[int]:
    """The instruments that have a bar on one session."""
    return set(session.scalars(select(DailyBar.instrument_id).where(DailyBar.session_on == session_on)))


def last_session_on(session: Session, *, as_of: date | None = None) -> date | None:
    """The newest session that has bars, not after `as_of`."""
    until = as_of or date.max
    newest_year = session.scalar(
        select(func.max(DataVintage.year)).where(DataVintage.dataset == DATASET, DataVintage.year <= until.year)
    )
    found = None
    if newest_year is not None:
        # One partition; a date before its first session needs the others.
        in_year = DailyBar.session_on.between(date(newest_year, 1, 1), min(until, date(newest_year, 12, 31)))
        found = session.scalar(select(func.max(DailyBar.session_on)).where(in_year))
    if found is None:
        found = session.scalar(select(func.max(DailyBar.session_on)).where(DailyBar.session_on <= until))
    return found


def last_bars(session: Session, *, before: Mapping[str, date], sessions: int) -> pl.DataFrame:
    """The last `sessions` bars of each symbol before its own date: symbol, session_on and the six values."""
    rows = session.execute(
        text(f"""
            select s.symbol, b.session_on, {", ".join(f"b.{name}" for name in _VALUES)}
            from unnest(cast(:symbols as text[]), cast(:days as date[])) as s (symbol, day)
            join instruments as i using (symbol)
            cross join lateral (
                select * from daily_bars where instrument_id = i.instrument_id and session_on < s.day
                order by session_on desc limit :sessions
            ) as b order by 1, 2
        """),  # noqa: S608 names are ours
        {"symbols": list(before), "days": list(before.values()), "sessions": sessions},
    )
    schema = {"symbol": pl.String, "session_on": pl.Date, **dict.fromkeys(_VALUES, pl.Float64), "volume": pl.Int64}
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")


def symbols_with_bars(session: Session, *, symbols: Collection[str]) -> set[str]:
    """Those of `symbols` of which any bar is stored."""
    stored = session.scalars(
        text("""
            select symbol from instruments as i where symbol = any(cast(:symbols as text[]))
                and exists (select 1 from daily_bars as b where b.instrument_id = i.instrument_id)
        """),
        {"symbols": list(symbols)},
    )
    return set(stored)


def read_closes(instrument_ids: Collection[int]) -> pl.DataFrame:
    """instrument_id, session_on, close, adj_close of some instruments, sorted by both. Committed rows only."""
    ids = ", ".join(str(int(number)) for number in sorted(instrument_ids))
    return read_frame(
        "select instrument_id, session_on, close, adj_close from daily_bars"  # noqa: S608 whole numbers only
        f" where instrument_id in ({ids}) order by 1, 2"
    )


def _years(days: npt.NDArray[np.datetime64]) -> frozenset[int]:
    years = days.astype("datetime64[Y]").astype(np.int64)
    return frozenset((np.flatnonzero(np.bincount(years - years.min())) + years.min() + 1970).tolist())


def _instruments_stored(session: Session, ids: npt.NDArray[Any], days: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Those of `ids` that have any bar between the first and the last of `days`."""
    stored = session.scalars(
        text("""
            select i.id from unnest(cast(:ids as integer[])) as i (id)
            where exists (
                select 1 from daily_bars where instrument_id = i.id and session_on between :first_on and :last_on
            )
        """),
        {"ids": np.flatnonzero(np.bincount(ids)).tolist(), "first_on": days.min().item(), "last_on": days.max().item()},
    )
    return np.array(list(stored), dtype=ids.dtype)


def _typed(bars: BarColumns, batch_id: int) -> dict[str, tuple[str, npt.NDArray[Any]]]:
    columns = {name: (kind, bars[name]) for name, kind in BAR_TYPES.items()}
    return {**columns, "batch_id": ("int8", np.full(len(bars["volume"]), batch_id, dtype="i8"))}


def _copy_new(session: Session, bars: BarColumns, batch_id: int) -> Merged:
    rows = copy_rows(session, "daily_bars", _typed(bars, batch_id))
    return Merged(rows, 0, 0, _years(bars["session_on"]))


def _merge_stored(session: Session, bars: BarColumns, batch_id: int) -> Merged:
    session.execute(
        text("""
            create temporary table if not exists staged_bars (
                instrument_id integer not null, session_on date not null, open double precision not null,
                high double precision not null, low double precision not null, close double precision not null,
                adj_close double precision not null, volume bigint not null, batch_id bigint not null
            ) on commit delete rows
        """)
    )
    session.execute(text("truncate staged_bars"))
    staged = copy_rows(session, "staged_bars", _typed(bars, batch_id))
    session.execute(text("analyze staged_bars"))
    days = bars["session_on"]
    # The range lets the planner leave out the partitions of other years.
    span = {"first_on": days.min().item(), "last_on": days.max().item()}
    names = (*BAR_TYPES, "batch_id")
    # Rows that are the same match neither branch and come back from nowhere.
    written = session.execute(
        text(f"""
            with written as (
                merge into daily_bars as b using staged_bars as s
                on b.instrument_id = s.instrument_id and b.session_on = s.session_on
                    and b.session_on between :first_on and :last_on
                when matched and ({", ".join(f"b.{name}" for name in _VALUES)})
                    is distinct from ({", ".join(f"s.{name}" for name in _VALUES)})
                then update set {", ".join(f"{name} = s.{name}" for name in (*_VALUES, "batch_id"))}
                when not matched
                then insert ({", ".join(names)}) values ({", ".join(f"s.{name}" for name in names)})
                returning merge_action() as action, extract(year from s.session_on)::integer as year
            )
            select year, count(*) filter (where action = 'INSERT'), count(*) filter (where action = 'UPDATE')
            from written group by year
        """),  # noqa: S608 names are ours
        span,
    ).all()
    inserted, changed = sum(row[1] for row in written), sum(row[2] for row in written)
    return Merged(inserted, changed, staged - inserted - changed, frozenset(row[0] for row in written))


def merge_bars(session: Session, bars: BarColumns, *, batch_id: int) -> Merged:
    """Bring `bars` (columns of BAR_TYPES, each instrument and session once) into the table in this transaction.

    Instruments that have nothing stored in the span go in by COPY alone; the others by way of a temporary table,
    from which only new and differing rows are written, so that unchanged rows leave no dead tuples. Raises the
    version of the years in which a row changed. One merge runs at a time.
    """
    advisory_lock(session, DATASET)
    merged = Merged(0, 0, 0, frozenset())
    if len(bars["volume"]):
        stored = _instruments_stored(session, bars["instrument_id"], bars["session_on"])
        if not len(stored):
            merged = _copy_new(session, bars, batch_id)
        else:
            known = np.isin(bars["instrument_id"], stored)
            merged = _merge_stored(session, {name: bars[name][known] for name in BAR_TYPES}, batch_id)
            if not known.all():
                new = _copy_new(session, {name: bars[name][~known] for name in BAR_TYPES}, batch_id)
                merged = merged._replace(inserted=merged.inserted + new.inserted, years=merged.years | new.years)
    raise_vintages(session, dataset=DATASET, years=merged.years)
    return merged


def find_batch(session: Session, *, source: str, content_sha256: str) -> ImportBatch | None:
    """The record of this content from this source, where it came before."""
    return session.scalar(
        select(ImportBatch).where(ImportBatch.source == source, ImportBatch.content_sha256 == content_sha256)
    )


def take_batch(session: Session, *, source: str, file_name: str, content_sha256: str) -> ImportBatch:
    """The record of this content, begun now where there is none; no one else has it until this transaction ends."""
    advisory_lock(session, f"import {source} {content_sha256}")
    batch = find_batch(session, source=source, content_sha256=content_sha256)
    if batch is None:
        batch = ImportBatch(source=source, file_name=file_name, content_sha256=content_sha256, status="loading")
        session.add(batch)
        session.flush()
        session.refresh(batch)
    return batch


def advance_batch(session: Session, batch: ImportBatch, *, read: int, merged: Merged, quarantined: int) -> None:
    """Add one chunk to the batch's counts; `rows_read` is where a later attempt goes on."""
    batch.rows_read += read
    batch.rows_inserted += merged.inserted
    batch.rows_changed += merged.changed
    batch.rows_unchanged += merged.unchanged
    batch.rows_quarantined += quarantined
    session.flush()


def finish_batch(session: Session, batch: ImportBatch, *, at: datetime) -> None:
    """Mark the batch as loaded."""
    batch.status, batch.finished_at = "loaded", at
    session.flush()


def fail_batch(session: Session, *, source: str, content_sha256: str) -> None:
    """Mark the batch, if it was begun, as one that could not be read to its end."""
    batch = find_batch(session, source=source, content_sha256=content_sha256)
    if batch is not None:
        batch.status = "failed"
        session.flush()


def quarantine_rows(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep refused rows: batch_id, row_number, symbol, session_on, reason, detail and the row as it came."""
    if rows:
        session.execute(insert(QuarantinedBar), list(rows))


def raise_vintages(session: Session, *, dataset: str, years: Collection[int]) -> None:
    """Raise the version of a data set for the years in which a row changed."""
    if years:
        session.execute(
            text("""
                insert into data_vintages (dataset, year, version)
                select :dataset, y, 1 from unnest(cast(:years as integer[])) as y order by y
                on conflict (dataset, year) do update set version = data_vintages.version + 1, changed_at = now()
            """),
            {"dataset": dataset, "years": sorted(years)},
        )


def vintages(session: Session, *, last_year: int) -> dict[str, dict[int, int]]:
    """Data set -> year -> version, of the years up to `last_year`."""
    rows = session.execute(
        text("select dataset, year, version from data_vintages where year <= :last_year order by 1, 2"),
        {"last_year": last_year},
    )
    found: dict[str, dict[int, int]] = {}
    for dataset, year, version in rows:
        found.setdefault(dataset, {})[year] = version
    return found


def quarantine_counts(session: Session, *, batch_id: int | None = None) -> dict[str, int]:
    """Refused rows by reason, of all loads or of one."""
    query = select(QuarantinedBar.reason, func.count()).group_by(QuarantinedBar.reason).order_by(QuarantinedBar.reason)
    if batch_id is not None:
        query = query.where(QuarantinedBar.batch_id == batch_id)
    return {row[0]: row[1] for row in session.execute(query)}


def bar_counts(session: Session, *, as_of: date) -> list[tuple[int, int, int, date]]:
    """Per year up to `as_of`: year, bars, instruments, last session."""
    rows = session.execute(
        text("""
            select year, sum(bars)::bigint, count(*), max(last_on) from (
                select extract(year from session_on)::integer as year, count(*) as bars, max(session_on) as last_on
                from daily_bars where session_on <= :as_of group by 1, instrument_id
            ) as own group by year order by year
        """),
        {"as_of": as_of},
    )
    return [(year, count, instruments, last_on) for year, count, instruments, last_on in rows]
