"""Instruments: search, what is known of one, and its prices for charts."""

from typing import Annotated, Literal

from fastapi import Query

from api.deps import AsOf, Cursor, Limit, Search, desk, needs
from api.names import Symbol
from api.schemas.instruments import (
    BarOut,
    BarsOut,
    InstrumentDetailOut,
    InstrumentOut,
    MembershipOut,
    PlacementOut,
    SectorOut,
)
from api.schemas.page import Page
from api.stretch import FromOn, ToOn, stretch
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.errors import NotFound
from database.queries import symbols as queries
from database.queries.charts import bars_of
from database.queries.screens import newest_screened_on, placements
from database.session import Session
from database.tables.instruments import Instrument

router = Word("instruments", tags=["instruments"])

Sort = Literal["relevance", "symbol", "-symbol", "name", "-name"]
_USUAL_DAYS = 365
_YEARS_MAX = 25


@router.get("")
def list_instruments(
    search: Search = None,
    kind: Literal["stock", "etf", "index"] | None = None,
    sector: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]+$", examples=["Health Care"])] = None,
    sort: Sort = "relevance",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("market.read"),
) -> Page[InstrumentOut]:
    """Instruments whose symbol or name holds the search; by relevance the symbol itself comes first."""
    with desk(actor) as session:
        found = queries.page_instruments(
            session, search=search, kind=kind, sector=sector, sort=sort, limit=limit, cursor=cursor
        )
        return Page[InstrumentOut].of(found, lambda row: InstrumentOut.model_validate(row.Instrument))


@router.get("/sectors")
def list_sectors(actor: Actor = needs("market.read")) -> list[SectorOut]:
    """Every sector, by name."""
    with desk(actor) as session:
        return [SectorOut(sector=name, instruments=count) for name, count in queries.sectors(session)]


@router.get("/{symbol}")
def show_instrument(symbol: Symbol, as_of: AsOf = None, actor: Actor = needs("market.read")) -> InstrumentDetailOut:
    """One instrument as known on a date: last bar, index memberships, places on the newest screens."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        instrument = _instrument(session, symbol)
        key = instrument.instrument_id
        bars = queries.last_bars_of(session, instrument_id=key, as_of=day, count=2)
        screened_on = newest_screened_on(session, as_of=day)
        places = [] if screened_on is None else placements(session, instrument_id=key, session_on=screened_on)
        spells = queries.memberships_of(session, instrument_id=key, as_of=day)
        return InstrumentDetailOut(
            **InstrumentOut.model_validate(instrument).model_dump(),
            as_of=day,
            last_bar=BarOut.model_validate(bars[0]) if bars else None,
            change=bars[0].adj_close / bars[1].adj_close - 1 if len(bars) > 1 else None,
            memberships=[MembershipOut.model_validate(row) for row in spells],
            screened_on=screened_on,
            placements=[PlacementOut.model_validate(row) for row in places],
        )


@router.get("/{symbol}/bars")
def show_bars(
    symbol: Symbol,
    from_on: FromOn = None,
    to_on: ToOn = None,
    is_adjusted: Annotated[bool, Query(description="Take dividends out of the prices before them.")] = False,
    actor: Actor = needs("market.read"),
) -> BarsOut:
    """Daily bars for a chart. Without `from_on` one year; at most 25."""
    with desk(actor) as session:
        first, last = stretch(from_on, to_on or practice_date(session), usual_days=_USUAL_DAYS, years_max=_YEARS_MAX)
        instrument = _instrument(session, symbol)
        rows = bars_of(session, instrument_id=instrument.instrument_id, first_on=first, last_on=last)
        return BarsOut.of(rows, symbol=instrument.symbol, from_on=first, to_on=last, is_adjusted=is_adjusted)


def _instrument(session: Session, symbol: str) -> Instrument:
    instrument = queries.instrument_of(session, symbol=symbol.upper())
    if instrument is None:
        raise NotFound("instrument", symbol)
    return instrument
