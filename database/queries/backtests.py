"""Back-tests that people asked for, and from when to when there is something to test on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, case, func, literal, select, text, update

from database.paging import Page, read_page
from database.queries.models import STANDARD_SCREENER
from database.session import Session
from database.tables.backtests import Backtest
from database.tables.jobs import QueuedJob

# A job that is another's own business is not seen; what it left behind is.
_STATUS = case(
    (QueuedJob.status.is_not(None), QueuedJob.status),
    (Backtest.measures.is_not(None), literal("succeeded")),
    else_=literal("queued"),
)
_HEAD = (
    Backtest.backtest_id,
    Backtest.job_id,
    Backtest.title,
    Backtest.parameters,
    Backtest.measures,
    Backtest.created_by,
    Backtest.created_at,
    Backtest.archived_at,
    _STATUS.label("status"),
    QueuedJob.percent,
    QueuedJob.step,
    QueuedJob.error,
)


@dataclass(frozen=True)
class Span:
    """First and last day on which there is something; None where there is nothing."""

    first_on: date | None
    last_on: date | None


NOTHING = Span(None, None)


def add_backtest(session: Session, *, job_id: int, title: str, parameters: dict[str, Any], created_by: str) -> Backtest:
    """Note what was asked for, beside its job."""
    row = Backtest(job_id=job_id, title=title, parameters=parameters, created_by=created_by)
    session.add(row)
    session.flush()
    return row


def keep_result(
    session: Session, *, job_id: int, measures: dict[str, Any], series: dict[str, Any], trades: dict[str, Any]
) -> bool:
    """Fill in what came of the back-test of a job; False where no back-test belongs to it."""
    kept = session.scalars(
        update(Backtest)
        .where(Backtest.job_id == job_id)
        .values(measures=measures, series=series, trades=trades)
        .returning(Backtest.backtest_id)
    )
    return kept.first() is not None


def archive(session: Session, *, backtest_id: int, at: datetime) -> None:
    """Take it off the list; what was archived stays archived since then."""
    session.execute(
        update(Backtest)
        .where(Backtest.backtest_id == backtest_id, Backtest.archived_at.is_(None))
        .values(archived_at=at)
    )


def page_backtests(
    session: Session,
    *,
    strategy: str | None,
    kind: str | None,
    created_by: str | None,
    is_archived: bool,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """A page of back-tests with their measures and the state of their jobs."""
    query = select(*_HEAD).outerjoin(QueuedJob, QueuedJob.job_id == Backtest.job_id)
    query = query.where(Backtest.archived_at.is_not(None) if is_archived else Backtest.archived_at.is_(None))
    if strategy is not None:
        query = query.where(Backtest.parameters["strategy"].as_string() == strategy)
    if kind is not None:
        query = query.where(Backtest.parameters["kind"].as_string() == kind)
    if created_by is not None:
        query = query.where(Backtest.created_by == created_by)
    return read_page(
        session,
        query,
        sorts={
            "created_at": Backtest.created_at.expression,
            "title": Backtest.title.expression,
        },
        key=Backtest.backtest_id.expression,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


def find_backtests(session: Session, *, backtest_ids: Collection[int]) -> dict[int, Row[Any]]:
    """By id, the same columns as a page has."""
    query = select(*_HEAD).outerjoin(QueuedJob, QueuedJob.job_id == Backtest.job_id)
    rows = session.execute(query.where(Backtest.backtest_id.in_(list(backtest_ids))))
    return {row.backtest_id: row for row in rows}


def series_of_backtests(session: Session, *, backtest_ids: Collection[int]) -> dict[int, dict[str, Any] | None]:
    """By id, the daily series; None while there are none."""
    rows = session.execute(
        select(Backtest.backtest_id, Backtest.series).where(Backtest.backtest_id.in_(list(backtest_ids)))
    )
    return {row.backtest_id: row.series for row in rows}


def trades_of_backtest(session: Session, *, backtest_id: int) -> dict[str, Any] | None:
    """The trades in columns; None while there are none."""
    return session.scalar(select(Backtest.trades).where(Backtest.backtest_id == backtest_id))


def count_backtests(session: Session, *, strategy: str) -> int:
    """How many back-tests of a strategy were ever asked for, archived ones too: looking often finds something."""
    counted = select(func.count()).where(Backtest.parameters["strategy"].as_string() == strategy)
    return session.scalar(counted) or 0


def out_of_fold_spans(session: Session) -> dict[str, Span]:
    """By strategy, from when to when the standard screener's yearly folds were judged on weeks that they had not
    seen."""
    rows = session.execute(
        text("""
            select strategy, min(valid_from_on), max(least(valid_to_on - 1, (metrics ->> 'judged_to_on')::date))
            from model_versions
            where kind = 'screener' and algorithm = :algorithm
                and not coalesce((manifest ->> 'tuned')::boolean, false)
                and valid_from_on = date_trunc('year', valid_from_on) and metrics ? 'judged_to_on'
            group by 1
        """),
        {"algorithm": STANDARD_SCREENER},
    )
    return {row[0]: Span(row[1], row[2]) for row in rows}


def served_spans(session: Session) -> dict[str, Span]:
    """By strategy, from when to when the nights screened it."""
    rows = session.execute(
        text("""
            select strategy, min(session_on), max(session_on) from score_batches
            where lane = 'served' and status = 'scored' group by 1
        """)
    )
    return {row[0]: Span(row[1], row[2]) for row in rows}


def features_span(session: Session) -> Span:
    """From when to when features are built."""
    return _span(session, "select min(first_on), max(last_on) from feature_snapshots")


def bars_span(session: Session) -> Span:
    """From the first to the last bar, by the year of the first: what a replay can live through."""
    return _span(
        session,
        "select (select min(session_on) from daily_bars where session_on < make_date(min(year) + 1, 1, 1)),"
        " (select max(session_on) from daily_bars where session_on >= make_date(max(year), 1, 1))"
        " from data_vintages where dataset = 'daily_bars'",
    )


def _span(session: Session, query: str) -> Span:
    row = session.execute(text(query)).one()
    return Span(row[0], row[1])


def book_values(session: Session, *, book: str) -> Sequence[Any]:
    """session_on and value_usd of all accounts of a book together, by session."""
    return session.execute(
        text("""
            select session_on, sum(cash_usd + securities_usd) as value_usd
            from account_valuations join accounts using (account_id)
            where book = :book group by 1 order by 1
        """),
        {"book": book},
    ).all()


def book_trades(session: Session, *, book: str) -> Sequence[Any]:
    """decided_on, filled_on, symbol, side and mean price_usd of a book's executions, by stock and day.

    Accounts are added up: none can be told from it.
    """
    return session.execute(
        text("""
            select o.session_on as decided_on, f.session_on as filled_on, i.symbol, o.side,
                   round(sum(f.quantity * f.price) / sum(f.quantity), 4) as price_usd
            from fills as f join orders as o using (order_id) join accounts as a using (account_id)
            join instruments as i using (instrument_id)
            where a.book = :book group by 1, 2, 3, 4 order by 2, 3, 4
        """),
        {"book": book},
    ).all()
