"""Instruments as people look for them: by a piece of a symbol or name, one by its symbol, what is known of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Integer, case, func, or_, select

from database.paging import Page, read_page
from database.session import Session
from database.tables.bars import DailyBar
from database.tables.index_memberships import IndexMembership
from database.tables.instruments import Instrument


def page_instruments(
    session: Session,
    *,
    search: str | None,
    kind: str | None,
    sector: str | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """A page of instruments whose symbol or name holds `search`, in any case.

    Sorts: symbol, name, and relevance: the symbol itself, symbols and names that begin so, the rest.
    """
    query = select(Instrument)
    relevance: Any = case((Instrument.symbol.is_not(None), 0), else_=0)
    if search:
        query = query.where(
            or_(
                Instrument.symbol.icontains(search, autoescape=True), Instrument.name.icontains(search, autoescape=True)
            )
        )
        relevance = case(
            (func.upper(Instrument.symbol) == search.upper(), 0),
            (Instrument.symbol.istartswith(search, autoescape=True), 1),
            (Instrument.name.istartswith(search, autoescape=True), 2),
            else_=3,
        ).cast(Integer)
    if kind is not None:
        query = query.where(Instrument.kind == kind)
    if sector is not None:
        query = query.where(Instrument.sector == sector)
    return read_page(
        session,
        query,
        sorts={
            "relevance": relevance,
            "symbol": Instrument.symbol.expression,
            "name": Instrument.name.expression,
        },
        key=Instrument.symbol.expression,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


def instrument_of(session: Session, *, symbol: str) -> Instrument | None:
    """The instrument with this symbol."""
    return session.scalar(select(Instrument).where(Instrument.symbol == symbol))


def memberships_of(session: Session, *, instrument_id: int, as_of: date) -> Sequence[Any]:
    """index_name, start_on, end_on of the instrument's spells as known on `as_of`; a later end is not known yet."""
    return session.execute(
        select(
            IndexMembership.index_name,
            IndexMembership.start_on,
            case((IndexMembership.end_on <= as_of, IndexMembership.end_on)).label("end_on"),
        )
        .where(IndexMembership.instrument_id == instrument_id, IndexMembership.start_on <= as_of)
        .order_by(IndexMembership.index_name, IndexMembership.start_on)
    ).all()


def last_bars_of(session: Session, *, instrument_id: int, as_of: date, count: int) -> list[DailyBar]:
    """The instrument's `count` newest bars up to `as_of`, newest first."""
    return list(
        session.scalars(
            select(DailyBar)
            .where(DailyBar.instrument_id == instrument_id, DailyBar.session_on <= as_of)
            .order_by(DailyBar.session_on.desc())
            .limit(count)
        )
    )


def sectors(session: Session) -> list[tuple[str, int]]:
    """Each sector with the number of its instruments, by name."""
    rows = session.execute(
        select(Instrument.sector, func.count()).where(Instrument.sector.is_not(None)).group_by(Instrument.sector)
    )
    return sorted((str(row[0]), int(row[1])) for row in rows)
