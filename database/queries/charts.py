"""Series over time for charts: one instrument's bars, one market-wide series."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from database.session import Session
from database.tables.bars import DailyBar
from database.tables.macro_series import MacroObservation


def bars_of(session: Session, *, instrument_id: int, first_on: date, last_on: date) -> Sequence[Any]:
    """session_on, open, high, low, close, adj_close, volume of one instrument, by session."""
    return session.execute(
        select(
            DailyBar.session_on,
            DailyBar.open,
            DailyBar.high,
            DailyBar.low,
            DailyBar.close,
            DailyBar.adj_close,
            DailyBar.volume,
        )
        .where(DailyBar.instrument_id == instrument_id, DailyBar.session_on.between(first_on, last_on))
        .order_by(DailyBar.session_on)
    ).all()


def bar_sessions_of(session: Session, *, instrument_id: int, as_of: date) -> list[date]:
    """Every session up to `as_of` on which the instrument has a bar, rising."""
    return list(
        session.scalars(
            select(DailyBar.session_on)
            .where(DailyBar.instrument_id == instrument_id, DailyBar.session_on <= as_of)
            .order_by(DailyBar.session_on)
        )
    )


def series_values(session: Session, *, series: str, first_on: date, last_on: date) -> dict[date, float]:
    """Day -> value of one market-wide series, as known on `last_on`."""
    rows = session.execute(
        select(MacroObservation.observed_on, MacroObservation.value).where(
            MacroObservation.series == series,
            MacroObservation.observed_on.between(first_on, last_on),
            MacroObservation.known_on <= last_on,
        )
    )
    return {row.observed_on: row.value for row in rows}
