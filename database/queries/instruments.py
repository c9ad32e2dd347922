"""Instruments and their market values as known on a date."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import select, text

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


def ids_by_symbol(session: Session, *, symbols: Iterable[str] | None = None) -> dict[str, int]:
    """Symbol -> instrument_id: of all instruments, or of those of `symbols` that are known."""
    query = select(Instrument.symbol, Instrument.instrument_id)
    if symbols is not None:
        query = query.where(Instrument.symbol.in_(list(symbols)))
    return {row[0]: row[1] for row in session.execute(query)}


def add_symbols(session: Session, *, symbols: Iterable[str], kind: str) -> None:
    """Make instruments, named by their symbol, of those `symbols` that are not there yet."""
    session.execute(
        text("""
            insert into instruments (symbol, name, kind)
            select s, s, :kind from unnest(cast(:symbols as text[])) as s order by s on conflict (symbol) do nothing
        """),
        {"symbols": list(symbols), "kind": kind},
    )


def merge_instruments(session: Session, rows: Sequence[tuple[Any, ...]], *, kind: str) -> int:
    """Bring (symbol, name, sector, industry, cik) into the table; returns how many rows are new or changed."""
    symbols, names, sectors, industries, ciks = zip(*rows, strict=True)
    written = session.execute(
        text("""
            insert into instruments as old (symbol, name, kind, sector, industry, cik)
            select symbol, name, :kind, sector, industry, cik
            from unnest(cast(:symbols as text[]), cast(:names as text[]), cast(:sectors as text[]),
                        cast(:industries as text[]), cast(:ciks as text[])) as s (symbol, name, sector, industry, cik)
            order by symbol
            on conflict (symbol) do update
            set name = excluded.name, sector = excluded.sector, industry = excluded.industry, cik = excluded.cik
            where (old.name, old.sector, old.industry, old.cik)
                is distinct from (excluded.name, excluded.sector, excluded.industry, excluded.cik)
            returning 1
        """),
        {
            "symbols": list(symbols),
            "names": list(names),
            "sectors": list(sectors),
            "industries": list(industries),
            "ciks": list(ciks),
            "kind": kind,
        },
    )
    return len(written.all())


def merge_market_caps(session: Session, rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """Bring (instrument_id, known_on, period_end_on, shares, market_cap_usd or None) in; the years of changed rows."""
    ids, known, periods, shares, caps = zip(*rows, strict=True)
    years = session.scalars(
        text("""
            insert into market_caps as old (instrument_id, known_on, period_end_on, shares_outstanding, market_cap_usd)
            select * from unnest(cast(:ids as integer[]), cast(:known as date[]), cast(:periods as date[]),
                                 cast(:shares as numeric[]), cast(:caps as numeric[]))
            on conflict (instrument_id, known_on) do update
            set period_end_on = excluded.period_end_on, shares_outstanding = excluded.shares_outstanding,
                market_cap_usd = excluded.market_cap_usd
            where (old.period_end_on, old.shares_outstanding, old.market_cap_usd)
                is distinct from (excluded.period_end_on, excluded.shares_outstanding, excluded.market_cap_usd)
            returning extract(year from known_on)::integer
        """),
        {"ids": list(ids), "known": list(known), "periods": list(periods), "shares": list(shares), "caps": list(caps)},
    )
    return set(years)
