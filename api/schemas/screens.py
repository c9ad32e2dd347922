"""Screens: a strategy's best stocks of a night, why, and what changed since the night before."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.strategies import TonightOut
from database.queries.screens import Before

SCORE = "Of a model the probability to beat the median; of the plain rule a mean rank, which is no probability."


class ScreenHeadOut(TonightOut):
    """One strategy's screen of a night, without its stocks."""

    strategy: str
    label: str


class StockOut(BaseModel):
    """One stock of a screen."""

    rank: int
    symbol: str
    name: str
    sector: str | None
    score: float = Field(description=SCORE)
    margin: float = Field(description="What the reasons add up to, with the base.")
    rank_before: int | None = Field(description="Rank on the screen before; null where it is new.")
    reason: str | None = Field(description="The strongest reason in a sentence; null where the lane is not explained.")

    @classmethod
    def of(cls, row: Any, before: Before | None) -> Self:
        """From a row of `database.queries.screens.screen_stocks`."""
        earlier = before.ranks.get(row.instrument_id) if before else None
        return cls(
            rank=row.rank,
            symbol=row.symbol,
            name=row.name,
            sector=row.sector,
            score=row.score,
            margin=row.margin,
            rank_before=earlier[0] if earlier else None,
            reason=row.reasons[0]["text"] if row.reasons else None,
        )


class GoneOut(BaseModel):
    """A stock of the screen before that is not on this one."""

    symbol: str
    rank_before: int


class SectorShareOut(BaseModel):
    """One sector's share of a screen."""

    sector: str | None
    stocks: int
    share: float


class ScreenOut(ScreenHeadOut):
    """One strategy's screen of a night: its stocks best first, the mix of sectors, the changes since the one before."""

    lane: str
    before_on: date | None = Field(description="Session of the screen before; null where there is none.")
    stocks: list[StockOut]
    new: list[str] = Field(description="Symbols that were not on the screen before, by rank.")
    gone: list[GoneOut]
    sectors: list[SectorShareOut] = Field(description="Largest first.")

    @classmethod
    def build(cls, head: Any, label: str, rows: Sequence[Any], before: Before | None) -> Self:
        """From the batch's head, its stocks, and the screen before."""
        batch = head.ScoreBatch
        here = {row.instrument_id for row in rows}
        counts = Counter(row.sector for row in rows)
        return cls(
            **TonightOut.of(head).model_dump(),
            strategy=batch.strategy,
            label=label,
            lane=batch.lane,
            before_on=before.session_on if before else None,
            stocks=[StockOut.of(row, before) for row in rows],
            new=[row.symbol for row in rows if before and row.instrument_id not in before.ranks],
            gone=[
                GoneOut(symbol=symbol, rank_before=rank)
                for key, (rank, symbol) in (before.ranks.items() if before else ())
                if key not in here
            ],
            sectors=[
                SectorShareOut(sector=sector, stocks=count, share=count / len(rows))
                for sector, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0] or ""))
            ],
        )


class ReasonOut(BaseModel):
    """What one feature adds to the margin (a SHAP value of a model, a term of the plain rule)."""

    feature: str
    value: float | None
    contribution: float
    text: str


class StockReasonsOut(BaseModel):
    """Why a stock has its score: base plus contributions is the margin."""

    session_on: date
    strategy: str
    source: str
    source_reason: str
    model: str | None
    version: int | None
    symbol: str
    name: str
    sector: str | None
    rank: int
    of: int = Field(description="Stocks on the screen.")
    score: float = Field(description=SCORE)
    base: float
    margin: float
    reasons: list[ReasonOut] = Field(description="The strongest first.")
    remainder: float = Field(description="What all other features add together.")


class RankOut(BaseModel):
    """A stock's place on one session."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    rank: int | None = Field(description="Null where it was not among the best, or the strategy was refused.")
    score: float | None
    status: str = Field(description="Of the screen: scored or refused.")


class RankHistoryOut(BaseModel):
    """A stock's rank over a stretch of sessions."""

    strategy: str
    symbol: str
    from_on: date
    to_on: date
    items: list[RankOut]
