"""Instruments: what can be held or looked at."""

from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field


class InstrumentOut(BaseModel):
    """One instrument as a list shows it."""

    model_config = ConfigDict(from_attributes=True)

    symbol: str
    name: str
    kind: str = Field(description="stock, etf or index")
    sector: str | None
    industry: str | None
    currency: str
    exchange: str


class BarOut(BaseModel):
    """One session's prices in USD (measurements, on the basis of today's splits) and volume in shares."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    open: float
    high: float
    low: float
    close: float
    adj_close: float = Field(description="The close, dividends taken out of what came before them.")
    volume: int


class MembershipOut(BaseModel):
    """A spell in an index."""

    model_config = ConfigDict(from_attributes=True)

    index_name: str
    start_on: date
    end_on: date | None = Field(description="Null: still a member.")


class PlacementOut(BaseModel):
    """A place on a strategy's newest screen."""

    model_config = ConfigDict(from_attributes=True)

    strategy: str
    rank: int
    score: float


class InstrumentDetailOut(InstrumentOut):
    """What is known of one instrument on a date."""

    as_of: date
    last_bar: BarOut | None
    change: float | None = Field(description="Of the last close against the one before it, dividends included.")
    memberships: list[MembershipOut]
    screened_on: date | None
    placements: list[PlacementOut] = Field(description="On the newest screens; empty where it is on none.")


class SectorOut(BaseModel):
    """A sector and how many instruments it has."""

    sector: str
    instruments: int


class BarsOut(BaseModel):
    """Daily bars in columns: every list is parallel to `sessions`."""

    symbol: str
    from_on: date
    to_on: date
    is_adjusted: bool = Field(description="Whether dividends were taken out of the prices before them.")
    sessions: list[date]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[int]

    @classmethod
    def of(cls, rows: Any, *, symbol: str, from_on: date, to_on: date, is_adjusted: bool) -> Self:
        """From rows of `database.queries.charts.bars_of`."""
        factors = [row.adj_close / row.close if is_adjusted else 1.0 for row in rows]
        columns: dict[str, list[float]] = {
            name: [getattr(row, name) * factor for row, factor in zip(rows, factors, strict=True)]
            for name in ("open", "high", "low", "close")
        }
        return cls(
            symbol=symbol,
            from_on=from_on,
            to_on=to_on,
            is_adjusted=is_adjusted,
            sessions=[row.session_on for row in rows],
            volume=[row.volume for row in rows],
            **columns,
        )
