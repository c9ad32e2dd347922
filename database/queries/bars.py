"""Daily bars: reads as of a date."""

from datetime import date

import polars as pl
from sqlalchemy import func, select

from database.columnar import read_frame
from database.session import Session
from database.tables.bars import DailyBar

_EARLIEST = date(1900, 1, 1)


def read_bars(*, as_of: date, first_on: date | None = None, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Bars with `first_on` <= session_on <= `as_of`, sorted by instrument_id, session_on.

    Columns: instrument_id (i32), session_on, and of open, high, low, close, adj_close (f64), volume (i64) those
    named by `columns` (default all). Reads committed rows only.
    """
    wanted = columns or ("open", "high", "low", "close", "adj_close", "volume")
    return read_frame(
        f"select instrument_id, session_on, {', '.join(wanted)} from daily_bars"  # noqa: S608 names are ours
        " where session_on between $1 and $2 order by instrument_id, session_on",
        [first_on or _EARLIEST, as_of],
    )


def bars_on(session: Session, *, session_on: date) -> dict[int, DailyBar]:
    """The bars of one session by instrument."""
    rows = session.scalars(select(DailyBar).where(DailyBar.session_on == session_on))
    return {row.instrument_id: row for row in rows}


def last_session_on(session: Session, *, as_of: date | None = None) -> date | None:
    """The newest session that has bars, not after `as_of`."""
    query = select(func.max(DailyBar.session_on))
    if as_of is not None:
        query = query.where(DailyBar.session_on <= as_of)
    return session.scalar(query)
