"""Back-tests and replays: ask, watch, read, compare, export. What comes of them is hypothetical and says so."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import JSONResponse, Response

from api.deps import Cursor, Limit, desk, needs
from api.names import StrategyFilter
from api.once import Once, do_once
from api.schemas.backtests import (
    BacktestOut,
    BacktestRequest,
    ChangeOut,
    ComparedOut,
    DailyOut,
    EstimateOut,
    OptionsOut,
    RegimeSpanOut,
    Request,
    StrategyOptionOut,
)
from api.schemas.page import Page
from api.sheets import csv_response
from api.word import Word
from auth.actor import Actor
from core.errors import InputError, NotAllowed, NotFound, Refused, UnknownName
from database.queries import backtests as queries
from database.session import Session
from registry import backtests
from strategies.library import STRATEGIES

router = Word("backtests", tags=["backtests"])

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
COMPARED_MAX = 4
_SCORES: tuple[Literal["out_of_fold", "served", "plain_rule"], ...] = ("out_of_fold", "served", "plain_rule")
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, "application/json": {}}, "description": "The file."}
}


@router.get("")
def list_backtests(
    strategy: StrategyFilter = None,
    kind: Literal["backtest", "replay"] | None = None,
    is_mine: Annotated[bool, Query(description="Only what I asked for.")] = False,
    is_archived: bool = False,
    sort: Literal["created_at", "-created_at", "title", "-title"] = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("backtests.read"),
) -> Page[BacktestOut]:
    """Back-tests and replays, newest first, with their measures."""
    with desk(actor) as session:
        found = queries.page_backtests(
            session,
            strategy=strategy,
            kind=kind,
            created_by=actor.email if is_mine else None,
            is_archived=is_archived,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return Page[BacktestOut].of(found, BacktestOut.of)


@router.post("", status_code=202, response_model=BacktestOut)
def request_backtest(body: Request, once: Once, actor: Actor = needs("backtests.run")) -> Response:
    """Ask for a back-test or replay. It runs as a job; `/jobs/{job_id}/events` tells how it goes."""
    _require_allowed(body, actor)

    def work(session: Session) -> BacktestOut:
        key = backtests.ask(session, body.job(), title=body.title, actor=actor.email, requested_by=actor.user_id)
        return BacktestOut.of(_row(session, key))

    return do_once(once, actor, work, status=202)


@router.post("/estimate")
def estimate_backtest(body: Request, actor: Actor = needs("backtests.run")) -> EstimateOut:
    """What a back-test would be, and whether it can be done; nothing is begun."""
    _require_allowed(body, actor)
    with desk(actor) as session:
        if isinstance(body, BacktestRequest):
            return EstimateOut.of(backtests.plan_backtest(session, body.job()))
        return EstimateOut.of(backtests.plan_replay(session, body.job()))


@router.get("/options")
def show_backtest_options(actor: Actor = needs("backtests.read")) -> OptionsOut:
    """What may be asked: strategies with the days that each kind of scores covers, optimisers, limits."""
    with desk(actor) as session:
        spans = backtests.data_spans(session, strategies=list(STRATEGIES))
    return OptionsOut(
        strategies=[
            StrategyOptionOut(
                strategy=name,
                label=strategy.label,
                spans=[
                    RegimeSpanOut(scores=kind, from_on=spans[name][kind].first_on, to_on=spans[name][kind].last_on)
                    for kind in _SCORES
                ],
            )
            for name, strategy in STRATEGIES.items()
        ],
        optimisers=list(backtests.OPTIMISERS),
        years_max=backtests.YEARS_MAX,
        sessions_min=backtests.SESSIONS_MIN,
        replay_sessions_max=backtests.REPLAY_SESSIONS_MAX,
    )


@router.get("/comparison")
def compare_backtests(
    ids: Annotated[
        list[Annotated[int, Query(ge=1, le=2**63 - 1)]],
        Query(min_length=2, max_length=COMPARED_MAX, description="Two to four of them: ?ids=1&ids=2"),
    ],
    actor: Actor = needs("backtests.read"),
) -> list[ComparedOut]:
    """Several back-tests side by side, with their daily series."""
    if len(set(ids)) != len(ids):
        raise InputError(f"ids are {', '.join(map(str, ids))}: name each back-test once")
    with desk(actor) as session:
        rows = queries.find_backtests(session, backtest_ids=ids)
        missing = [key for key in ids if key not in rows]
        if missing:
            raise NotFound("back-test", missing[0])
        series = queries.series_of_backtests(session, backtest_ids=ids)
    return [ComparedOut(backtest=BacktestOut.of(rows[key]), daily=_daily(key, series[key])) for key in ids]


@router.get("/{backtest_id}")
def show_backtest(backtest_id: Id, actor: Actor = needs("backtests.read")) -> BacktestOut:
    """One back-test with its measures and monthly table."""
    with desk(actor) as session:
        return BacktestOut.of(_row(session, backtest_id))


@router.get("/{backtest_id}/series")
def show_backtest_series(backtest_id: Id, actor: Actor = needs("backtests.read")) -> DailyOut:
    """Daily values, universe, index, drawdown, rolling Sharpe ratio, turnover, costs and regime."""
    with desk(actor) as session:
        found = queries.series_of_backtests(session, backtest_ids=[backtest_id])
    if backtest_id not in found:
        raise NotFound("back-test", backtest_id)
    daily = _daily(backtest_id, found[backtest_id])
    if daily is None:
        raise _not_done(backtest_id)
    return daily


@router.get("/{backtest_id}/trades")
def list_backtest_trades(
    backtest_id: Id,
    limit: Limit = 100,
    cursor: Annotated[
        str | None, Query(max_length=12, pattern="^[0-9]+$", description="`next` of the page before.")
    ] = None,
    symbol: Annotated[str | None, Query(max_length=16, pattern=r"^[A-Za-z0-9.^=-]+$")] = None,
    actor: Actor = needs("backtests.read"),
) -> Page[ChangeOut]:
    """What was changed when, in order; of one stock where named."""
    with desk(actor) as session:
        rows = _trades(session, backtest_id)
    if symbol is not None:
        rows = [row for row in rows if row["symbol"] == symbol.upper()]
    # What came of a back-test never changes, so a count of rows is as good as a key.
    start = int(cursor or 0)
    items = [ChangeOut.model_validate(row) for row in rows[start : start + limit]]
    end = start + len(items)
    return Page[ChangeOut](
        items=items, next=str(end) if end < len(rows) else None, total=len(rows) if cursor is None else None
    )


@router.get("/{backtest_id}/export", response_class=Response, responses=_EXPORT)
def export_backtest(
    backtest_id: Id,
    part: Annotated[Literal["series", "trades", "months"], Query()] = "series",
    format: Annotated[Literal["csv", "json"], Query()] = "csv",
    actor: Actor = needs("backtests.read"),
) -> Response:
    """The series, trades or monthly table as a file; each row says that it is hypothetical."""
    with desk(actor) as session:
        row = _row(session, backtest_id)
        if row.measures is None:
            raise _not_done(backtest_id)
        rows = _part(session, backtest_id, part, row.measures)
    name = f"backtest-{backtest_id}-{part}"
    if format == "json":
        content = {"hypothetical": True, "title": row.title, "parameters": row.parameters, part: rows}
        return JSONResponse(content, headers={"Content-Disposition": f'attachment; filename="{name}.json"'})
    columns = list(rows[0]) if rows else []
    return csv_response(
        f"{name}.csv", ["hypothetical", *columns], (["hypothetical", *(one[key] for key in columns)] for one in rows)
    )


@router.delete("/{backtest_id}", status_code=204)
def archive_backtest(backtest_id: Id, actor: Actor = needs("backtests.run")) -> None:
    """Take it off the list; it still counts among those ever asked for."""
    with desk(actor) as session:
        backtests.archive(session, backtest_id=backtest_id, actor=actor.email, is_admin=actor.role == "admin")


def _require_allowed(body: Any, actor: Actor) -> None:
    """A replay lives in copies of every client's account: it is for those who see the firm or no client at all."""
    if isinstance(body, BacktestRequest):
        if body.strategy not in STRATEGIES:
            raise UnknownName("strategy", body.strategy, list(STRATEGIES))
    elif not actor.may("models.train"):
        raise NotAllowed(f"the role {actor.role} may not replay the firm's nights: ask an analyst or admin")


def _row(session: Session, backtest_id: int) -> Any:
    row = queries.find_backtests(session, backtest_ids=[backtest_id]).get(backtest_id)
    if row is None:
        raise NotFound("back-test", backtest_id)
    return row


def _daily(backtest_id: int, series: Mapping[str, Any] | None) -> DailyOut | None:
    return None if not series else DailyOut.model_validate({"backtest_id": backtest_id, **series})


def _not_done(backtest_id: int) -> Refused:
    return Refused(f"back-test {backtest_id} has no results: watch its job, or ask for it again if that has failed")


def _trades(session: Session, backtest_id: int) -> list[dict[str, Any]]:
    if backtest_id not in queries.find_backtests(session, backtest_ids=[backtest_id]):
        raise NotFound("back-test", backtest_id)
    trades = queries.trades_of_backtest(session, backtest_id=backtest_id)
    if trades is None:
        raise _not_done(backtest_id)
    return _rows(trades)


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _part(session: Session, backtest_id: int, part: str, measures: Mapping[str, Any]) -> list[dict[str, Any]]:
    if part == "months":
        return list(measures.get("months", []))
    if part == "trades":
        return _trades(session, backtest_id)
    return _rows(queries.series_of_backtests(session, backtest_ids=[backtest_id])[backtest_id] or {})
