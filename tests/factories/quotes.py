"""A handful of stocks with prices set by hand."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy.orm import Session

from database.tables.bars import DailyBar
from database.tables.corporate_actions import CorporateAction
from database.tables.instruments import Instrument
from market_data.calendars import sessions_between

NIGHT = date(2017, 6, 30)
NEXT = date(2017, 7, 3)
SESSIONS = tuple(sessions_between(date(2017, 6, 26), date(2017, 7, 14)))


def create_stock(session: Session, symbol: str, *, sector: str | None = "Industrials") -> int:
    """An instrument without bars; returns its id."""
    instrument = Instrument(symbol=symbol, name=f"{symbol} Inc.", kind="stock", sector=sector)
    session.add(instrument)
    session.flush()
    return instrument.instrument_id


def create_bars(
    session: Session,
    instrument_id: int,
    *,
    price: float = 100.0,
    opens: Mapping[date, float] | None = None,
    closes: Mapping[date, float] | None = None,
    sessions: Sequence[date] = SESSIONS,
    volume: int = 1_000_000,
) -> None:
    """Flat bars at `price` on `sessions`, but for the opens and closes given."""
    for day in sessions:
        opened, closed = (opens or {}).get(day, price), (closes or {}).get(day, price)
        session.add(
            DailyBar(
                instrument_id=instrument_id,
                session_on=day,
                open=opened,
                high=max(opened, closed),
                low=min(opened, closed),
                close=closed,
                adj_close=closed,
                volume=volume,
                batch_id=1,
            )
        )
    session.flush()


def create_priced_stock(
    session: Session,
    symbol: str,
    *,
    sector: str | None = "Industrials",
    price: float = 100.0,
    opens: Mapping[date, float] | None = None,
    closes: Mapping[date, float] | None = None,
    sessions: Sequence[date] = SESSIONS,
    volume: int = 1_000_000,
) -> int:
    """An instrument with bars; returns its id."""
    key = create_stock(session, symbol, sector=sector)
    create_bars(session, key, price=price, opens=opens, closes=closes, sessions=sessions, volume=volume)
    return key


def create_dividend(session: Session, instrument_id: int, *, ex_on: date, amount_usd: str) -> None:
    """A dividend a share."""
    session.add(
        CorporateAction(
            instrument_id=instrument_id, ex_on=ex_on, kind="dividend", amount_usd=Decimal(amount_usd), source="test"
        )
    )
    session.flush()


def create_split(session: Session, instrument_id: int, *, ex_on: date, ratio: str) -> None:
    """A split of `ratio` new shares for one old."""
    session.add(
        CorporateAction(instrument_id=instrument_id, ex_on=ex_on, kind="split", ratio=Decimal(ratio), source="test")
    )
    session.flush()
