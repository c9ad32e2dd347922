"""Allocations: the weights of each strategy and session, before any client's mandate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.allocations import Allocation, AllocationWeight
from database.tables.scores import Score, ScoreBatch

_GIVEN_BY_THE_DATABASE = frozenset({"allocation_id", "created_at"})


def allocations_on(session: Session, *, session_on: date, lane: str = "served") -> dict[str, Allocation]:
    """The allocations of one session and lane by strategy."""
    rows = session.scalars(select(Allocation).where(Allocation.session_on == session_on, Allocation.lane == lane))
    return {row.strategy: row for row in rows}


def weights_of(session: Session, *, allocation_ids: Sequence[int]) -> dict[int, dict[int, Decimal]]:
    """allocation_id -> instrument_id -> weight, largest first; an allocation that is all cash has none."""
    rows = session.execute(
        select(AllocationWeight.allocation_id, AllocationWeight.instrument_id, AllocationWeight.weight)
        .where(AllocationWeight.allocation_id.in_(list(allocation_ids)))
        .order_by(AllocationWeight.allocation_id, AllocationWeight.weight.desc(), AllocationWeight.instrument_id)
    )
    found: dict[int, dict[int, Decimal]] = {allocation_id: {} for allocation_id in allocation_ids}
    for allocation_id, instrument_id, weight in rows:
        found[allocation_id][instrument_id] = weight
    return found


@dataclass(frozen=True)
class Held:
    """A strategy's allocation of an earlier session; `decided_on` is the session whose scores it was made from.

    `screener_id` is the model version that gave those scores, None for the plain rule.
    """

    session_on: date
    decided_on: date
    score_batch_id: int
    screener_id: int | None
    model_version_id: int | None
    allocator: str
    cash_weight: Decimal
    weights: Mapping[int, Decimal]


def last_held(session: Session, *, before: date, since: date, lane: str = "served") -> dict[str, Held]:
    """By strategy, the lane's newest allocation of a session in [since, before)."""
    rows = session.execute(
        select(Allocation, ScoreBatch.session_on, ScoreBatch.model_version_id)
        .join(ScoreBatch, ScoreBatch.score_batch_id == Allocation.score_batch_id)
        .where(Allocation.session_on < before, Allocation.session_on >= since, Allocation.lane == lane)
        .order_by(Allocation.session_on)
    ).all()
    newest = {row.strategy: (row, decided_on, screener_id) for row, decided_on, screener_id in rows}
    weights = weights_of(session, allocation_ids=[row.allocation_id for row, _, _ in newest.values()])
    return {
        strategy: Held(
            session_on=row.session_on,
            decided_on=decided_on,
            score_batch_id=row.score_batch_id,
            screener_id=screener_id,
            model_version_id=row.model_version_id,
            allocator=row.allocator,
            cash_weight=row.cash_weight,
            weights=weights[row.allocation_id],
        )
        for strategy, (row, decided_on, screener_id) in newest.items()
    }


def add_allocations(
    session: Session, allocations: Sequence[Allocation], *, weights: Sequence[Mapping[int, Decimal]]
) -> dict[tuple[str, str], int]:
    """Store the allocations that their session and lane do not have yet; `weights` (instrument_id -> weight) in
    parallel.

    Returns allocation_id by strategy and lane of those stored now; what was decided once stands.
    """
    if not allocations:
        return {}
    names = [column.name for column in Allocation.__table__.columns if column.name not in _GIVEN_BY_THE_DATABASE]
    stored = {
        (row.strategy, row.lane): row.allocation_id
        for row in session.execute(
            insert(Allocation)
            .values([{name: getattr(row, name) for name in names} for row in allocations])
            .on_conflict_do_nothing(index_elements=["session_on", "strategy", "lane"])
            .returning(Allocation.strategy, Allocation.lane, Allocation.allocation_id)
        )
    }
    with (
        session.connection()
        .connection.cursor()
        .copy("copy allocation_weights (allocation_id, instrument_id, weight) from stdin") as copy
    ):
        for allocation, held in zip(allocations, weights, strict=True):
            key = (allocation.strategy, allocation.lane)
            if key in stored:
                for instrument_id, weight in held.items():
                    copy.write_row((stored[key], instrument_id, weight))
    return stored


def candidates(session: Session, *, score_batch_ids: Sequence[int], limit: int) -> dict[int, list[tuple[int, float]]]:
    """score_batch_id -> (instrument_id, score) of the `limit` best, best first: what an allocation may choose from."""
    rows = session.execute(
        select(Score.score_batch_id, Score.instrument_id, Score.score)
        .where(Score.score_batch_id.in_(list(score_batch_ids)), Score.rank <= limit)
        .order_by(Score.score_batch_id, Score.rank)
    )
    found: dict[int, list[tuple[int, float]]] = {batch: [] for batch in score_batch_ids}
    for batch, instrument_id, score in rows:
        found[batch].append((instrument_id, score))
    return found
