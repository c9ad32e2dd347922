"""What trading sees of the bars: last closes, next opens, usual volumes."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import text

from database.session import Session

_LOOK_BACK_DAYS = 400


class Quote(NamedTuple):
    """The newest bar known; prices are measurements (double precision), see ADR 0003."""

    instrument_id: int
    session_on: date
    close: float
    previous_close: float | None
    average_volume: float


class Opening(NamedTuple):
    """The open of one instrument on one session."""

    instrument_id: int
    session_on: date
    open: float


class QuotedInstrument(NamedTuple):
    """An instrument with its newest close; None where it had no bar in the last 400 days."""

    instrument_id: int
    symbol: str
    name: str
    sector: str | None
    close: float | None
    priced_on: date | None


def quoted_instruments(
    session: Session, *, as_of: date, ids: Collection[int] = (), symbols: Collection[str] = ()
) -> list[QuotedInstrument]:
    """The instruments with one of `ids` or `symbols`, priced not after `as_of`."""
    rows = session.execute(
        text("""
            select i.instrument_id, i.symbol, i.name, i.sector, b.close, b.session_on
            from instruments i
            left join lateral (
                select close, session_on from daily_bars
                where instrument_id = i.instrument_id and session_on <= :as_of and session_on > :first_on
                order by session_on desc limit 1
            ) as b on true
            where i.instrument_id = any(:ids) or i.symbol = any(:symbols)
        """),
        {
            "ids": sorted(ids),
            "symbols": sorted(symbols),
            "as_of": as_of,
            "first_on": as_of - timedelta(days=_LOOK_BACK_DAYS),
        },
    )
    return [QuotedInstrument._make(row) for row in rows]


def quotes_on(
    session: Session, *, instrument_ids: Collection[int], as_of: date, volume_sessions: int
) -> dict[int, Quote]:
    """The newest close not after `as_of`, the one before it, and the mean volume of the last `volume_sessions` bars.

    Instruments without a bar in the last 400 days are left out.
    """
    rows = session.execute(
        text("""
            select i.id, max(b.session_on), (array_agg(b.close order by b.session_on desc))[1],
                   (array_agg(b.close order by b.session_on desc))[2], avg(b.volume)::float8
            from unnest(cast(:ids as integer[])) as i (id)
            cross join lateral (
                select session_on, close, volume from daily_bars
                where instrument_id = i.id and session_on <= :as_of and session_on > :first_on
                order by session_on desc limit :volume_sessions
            ) as b
            group by i.id
        """),
        {
            "ids": sorted(instrument_ids),
            "as_of": as_of,
            "first_on": as_of - timedelta(days=_LOOK_BACK_DAYS),
            "volume_sessions": max(volume_sessions, 2),
        },
    )
    return {row[0]: Quote._make(row) for row in rows}


def opens_between(
    session: Session, *, instrument_ids: Collection[int], after_on: date, until_on: date
) -> dict[tuple[int, date], Opening]:
    """Opens with `after_on` < session_on <= `until_on`, by (instrument_id, session_on)."""
    rows = session.execute(
        text("""
            select instrument_id, session_on, open from daily_bars
            where instrument_id = any(:ids) and session_on > :after_on and session_on <= :until_on
        """),
        {"ids": sorted(instrument_ids), "after_on": after_on, "until_on": until_on},
    )
    return {(row.instrument_id, row.session_on): Opening._make(row) for row in rows}


def has_bars(session: Session, *, session_on: date) -> bool:
    """Whether anything traded on the session, as far as we know."""
    found = session.execute(text("select 1 from daily_bars where session_on = :day limit 1"), {"day": session_on})
    return found.first() is not None
