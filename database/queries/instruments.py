"""Instruments and their market values as known on a date."""

from collections.abc import Iterable
from datetime import date

import polars as pl
from sqlalchemy import select

from database.columnar import read_frame
from database.session import Session
from database.tables.instruments import Instrument


def read_instruments() -> pl.DataFrame:
    """All instruments: instrument_id, symbol, name, kind, sector, industry, sorted by instrument_id."""
    return read_frame("select instrument_id, symbol, name, kind, sector, industry from instruments order by 1")


def instruments_by_id(session: Session, *, ids: Iterable[int] | None = None) -> dict[int, Instrument]:
    """Instruments by id: all, or those of `ids`."""
    query = select(Instrument)
    if ids is not None:
        query = query.where(Instrument.instrument_id.in_(list(ids)))
    return {row.instrument_id: row for row in session.scalars(query)}


def read_market_caps(*, as_of: date) -> pl.DataFrame:
    """instrument_id, known_on, period_end_on, shares_outstanding (f64), known not after `as_of`, sorted by both."""
    return read_frame(
        "select instrument_id, known_on, period_end_on, shares_outstanding::float8 as shares_outstanding"
        " from market_caps where known_on <= $1 order by 1, 2",
        [as_of],
    )
