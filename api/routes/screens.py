"""Screens: each night's best stocks of every strategy, with reasons."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response

from api.deps import AsOf, desk, needs
from api.names import StrategyName, Symbol
from api.schemas.screens import (
    RankHistoryOut,
    RankOut,
    ReasonOut,
    ScreenHeadOut,
    ScreenOut,
    StockReasonsOut,
)
from api.schemas.strategies import TonightOut
from api.sheets import ANSWERS, csv_response
from api.stretch import FromOn, ToOn, stretch
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.errors import NotFound, UnknownName
from database.queries import screens as queries
from database.queries.symbols import instrument_of
from database.session import Session
from strategies.library import STRATEGIES
from strategies.strategy import Strategy

router = Word("screens", tags=["screens"])

Lane = Annotated[
    Literal["served", "plain", "screener"],
    Query(description="served is what clients get; plain the rule and screener the challenger in shadow."),
]
_USUAL_DAYS = 365
_YEARS_MAX = 25


@router.get("")
def list_screens(as_of: AsOf = None, lane: Lane = "served", actor: Actor = needs("market.read")) -> list[ScreenHeadOut]:
    """The screens of the newest night up to `as_of`: who scored and why, how many stocks passed."""
    with desk(actor) as session:
        heads = _heads(session, as_of or practice_date(session), lane)
        return [
            ScreenHeadOut(**TonightOut.of(head).model_dump(), strategy=name, label=_strategy(name).label)
            for name, head in heads.items()
            if name in STRATEGIES
        ]


@router.get("/{strategy}")
def show_screen(
    strategy: StrategyName, as_of: AsOf = None, lane: Lane = "served", actor: Actor = needs("market.read")
) -> ScreenOut:
    """One strategy's best stocks of the newest night up to `as_of`, and what changed since the screen before."""
    with desk(actor) as session:
        return _screen(session, strategy, as_of or practice_date(session), lane)


@router.get("/{strategy}/export", response_class=Response, responses=ANSWERS)
def export_screen(
    strategy: StrategyName, as_of: AsOf = None, lane: Lane = "served", actor: Actor = needs("market.read")
) -> Response:
    """The screen's stocks as CSV."""
    with desk(actor) as session:
        screen = _screen(session, strategy, as_of or practice_date(session), lane)
    columns = ("session_on", "strategy", "rank", "symbol", "name", "sector", "score", "margin", "rank_before", "reason")
    rows = [
        (screen.session_on.isoformat(), screen.strategy, *(getattr(stock, name) for name in columns[2:]))
        for stock in screen.stocks
    ]
    return csv_response(f"screen-{screen.strategy}-{screen.session_on}.csv", columns, rows)


@router.get("/{strategy}/stocks/{symbol}")
def show_stock_reasons(
    strategy: StrategyName, symbol: Symbol, as_of: AsOf = None, actor: Actor = needs("market.read")
) -> StockReasonsOut:
    """Why a stock stands where it does on the served screen: what each feature adds, in numbers and words."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        head = _head(session, strategy, day, "served")
        rows = queries.screen_stocks(session, score_batch_id=head.ScoreBatch.score_batch_id)
        row = next((row for row in rows if row.symbol == symbol.upper()), None)
        if row is None:
            raise NotFound(f"stock on the screen of {strategy} of {head.ScoreBatch.session_on} called", symbol)
        return _reasons(head, row, len(rows))


@router.get("/{strategy}/stocks/{symbol}/history")
def show_rank_history(
    strategy: StrategyName,
    symbol: Symbol,
    from_on: FromOn = None,
    to_on: ToOn = None,
    lane: Lane = "served",
    actor: Actor = needs("market.read"),
) -> RankHistoryOut:
    """A stock's rank on each screen of the strategy. Without `from_on` one year; at most 25."""
    name = _strategy(strategy).name
    with desk(actor) as session:
        first, last = stretch(from_on, to_on or practice_date(session), usual_days=_USUAL_DAYS, years_max=_YEARS_MAX)
        instrument = instrument_of(session, symbol=symbol.upper())
        if instrument is None:
            raise NotFound("instrument", symbol)
        rows = queries.rank_history(
            session,
            strategy=name,
            lane=lane,
            instrument_id=instrument.instrument_id,
            first_on=first,
            last_on=last,
        )
        items = [RankOut.model_validate(row) for row in rows]
        return RankHistoryOut(strategy=name, symbol=instrument.symbol, from_on=first, to_on=last, items=items)


def _strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    return STRATEGIES[name]


def _heads(session: Session, as_of: date, lane: str) -> dict[str, Any]:
    screened_on = queries.newest_screened_on(session, as_of=as_of)
    if screened_on is None:
        return {}
    return {head.ScoreBatch.strategy: head for head in queries.screen_heads(session, session_on=screened_on, lane=lane)}


def _head(session: Session, strategy: str, as_of: date, lane: str) -> Any:
    head = _heads(session, as_of, lane).get(_strategy(strategy).name)
    if head is None:
        raise NotFound(f"screen of {strategy} in lane {lane} up to", as_of.isoformat())
    return head


def _screen(session: Session, strategy: str, as_of: date, lane: str) -> ScreenOut:
    head = _head(session, strategy, as_of, lane)
    batch = head.ScoreBatch
    rows = queries.screen_stocks(session, score_batch_id=batch.score_batch_id)
    before = queries.screen_before(session, strategy=strategy, lane=lane, session_on=batch.session_on)
    return ScreenOut.build(head, STRATEGIES[strategy].label, rows, before)


def _reasons(head: Any, row: Any, count: int) -> StockReasonsOut:
    batch = head.ScoreBatch
    reasons = [ReasonOut.model_validate(reason) for reason in row.reasons]
    return StockReasonsOut(
        session_on=batch.session_on,
        strategy=batch.strategy,
        source=batch.source,
        source_reason=batch.source_reason,
        model=head.model,
        version=head.version,
        symbol=row.symbol,
        name=row.name,
        sector=row.sector,
        rank=row.rank,
        of=count,
        score=row.score,
        base=row.base,
        margin=row.margin,
        reasons=sorted(reasons, key=lambda reason: -abs(reason.contribution)),
        remainder=row.margin - row.base - sum(reason.contribution for reason in reasons),
    )
