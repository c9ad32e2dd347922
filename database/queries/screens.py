"""Screens as people read them: a night's batches with who scored and weighed, their stocks by name, ranks over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, func, select, text

from database.session import Session
from database.tables.allocations import Allocation
from database.tables.instruments import Instrument
from database.tables.models import ModelVersion
from database.tables.scores import Score, ScoreBatch


def newest_screened_on(session: Session, *, as_of: date) -> date | None:
    """The newest session up to `as_of` that was screened."""
    return session.scalar(select(func.max(ScoreBatch.session_on)).where(ScoreBatch.session_on <= as_of))


def screen_heads(session: Session, *, session_on: date, lane: str = "served") -> list[Any]:
    """ScoreBatch, model (name), version, allocator and allocation_reason of each strategy's screen of a session."""
    return list(
        session.execute(
            select(
                ScoreBatch,
                ModelVersion.name.label("model"),
                ModelVersion.version.label("version"),
                Allocation.allocator.label("allocator"),
                Allocation.reason.label("allocation_reason"),
            )
            .outerjoin(ModelVersion, ModelVersion.model_version_id == ScoreBatch.model_version_id)
            .outerjoin(
                Allocation,
                and_(Allocation.score_batch_id == ScoreBatch.score_batch_id, Allocation.lane == ScoreBatch.lane),
            )
            .where(ScoreBatch.session_on == session_on, ScoreBatch.lane == lane)
            .order_by(ScoreBatch.strategy)
        )
    )


def screen_stocks(session: Session, *, score_batch_id: int) -> list[Any]:
    """rank, instrument_id, symbol, name, sector, score, margin, base, reasons of a batch, best first."""
    return list(
        session.execute(
            select(
                Score.rank,
                Score.instrument_id,
                Instrument.symbol,
                Instrument.name,
                Instrument.sector,
                Score.score,
                Score.margin,
                Score.base,
                Score.reasons,
            )
            .join(Instrument, Instrument.instrument_id == Score.instrument_id)
            .where(Score.score_batch_id == score_batch_id)
            .order_by(Score.rank)
        )
    )


@dataclass(frozen=True)
class Before:
    """The screen of the night before: its session, and rank and symbol by instrument."""

    session_on: date
    ranks: dict[int, tuple[int, str]]


def screen_before(session: Session, *, strategy: str, lane: str, session_on: date) -> Before | None:
    """The last scored screen of earlier sessions; None where there is none."""
    before = (
        select(ScoreBatch.score_batch_id)
        .where(
            ScoreBatch.strategy == strategy,
            ScoreBatch.lane == lane,
            ScoreBatch.status == "scored",
            ScoreBatch.session_on < session_on,
        )
        .order_by(ScoreBatch.session_on.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(ScoreBatch.session_on, Score.instrument_id, Score.rank, Instrument.symbol)
        .join(Score, Score.score_batch_id == ScoreBatch.score_batch_id)
        .join(Instrument, Instrument.instrument_id == Score.instrument_id)
        .where(ScoreBatch.score_batch_id == before)
        .order_by(Score.rank)
    ).all()
    if not rows:
        return None
    return Before(rows[0].session_on, {row.instrument_id: (row.rank, row.symbol) for row in rows})


def rank_history(
    session: Session, *, strategy: str, lane: str, instrument_id: int, first_on: date, last_on: date
) -> Sequence[Any]:
    """session_on, status, rank and score of one stock on each session that the strategy screened, by session.

    rank is None where the stock was not among the best hundred.
    """
    return session.execute(
        select(ScoreBatch.session_on, ScoreBatch.status, Score.rank, Score.score)
        .outerjoin(Score, and_(Score.score_batch_id == ScoreBatch.score_batch_id, Score.instrument_id == instrument_id))
        .where(
            ScoreBatch.strategy == strategy, ScoreBatch.lane == lane, ScoreBatch.session_on.between(first_on, last_on)
        )
        .order_by(ScoreBatch.session_on)
    ).all()


def placements(session: Session, *, instrument_id: int, session_on: date) -> Sequence[Any]:
    """strategy, rank and score of one stock in the served screens of a session."""
    return session.execute(
        select(ScoreBatch.strategy, Score.rank, Score.score)
        .join(Score, Score.score_batch_id == ScoreBatch.score_batch_id)
        .where(ScoreBatch.session_on == session_on, ScoreBatch.lane == "served", Score.instrument_id == instrument_id)
        .order_by(Score.rank, ScoreBatch.strategy)
    ).all()


def rule_features(session: Session, *, as_of: date) -> dict[str, list[str]]:
    """Strategy -> the features that its plain rule ranks by, as its newest screen up to `as_of` names them."""
    rows = session.execute(
        text("""
            select b.strategy, array_agg(distinct r.reason ->> 'feature' order by r.reason ->> 'feature')
            from (
                select distinct on (strategy) strategy, score_batch_id from score_batches
                where lane = 'served' and source = 'rule' and status = 'scored' and session_on <= :as_of
                order by strategy, session_on desc
            ) as b join scores as s using (score_batch_id)
            cross join lateral jsonb_array_elements(s.reasons) as r (reason)
            group by 1
        """),
        {"as_of": as_of},
    )
    return {row[0]: row[1] for row in rows}
