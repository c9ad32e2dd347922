"""Which strategy each night chose, and what each account should therefore hold."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from database.paging import Page, read_page
from database.session import Session
from database.tables.scores import Score, ScoreBatch
from database.tables.targets import StrategyChoice, Target, TargetWeight

_CHOICE_GIVEN = frozenset({"created_at"})
_TARGET_GIVEN = frozenset({"target_id", "created_at"})


def find_choice(session: Session, *, session_on: date) -> StrategyChoice | None:
    """The choice of one session."""
    return session.get(StrategyChoice, session_on)


def choices_before(session: Session, *, before: date, limit: int) -> list[StrategyChoice]:
    """The last choices of earlier sessions, newest first."""
    query = select(StrategyChoice).where(StrategyChoice.session_on < before)
    return list(session.scalars(query.order_by(StrategyChoice.session_on.desc()).limit(limit)))


def newest_choice(session: Session, *, as_of: date) -> StrategyChoice | None:
    """The choice of the newest session up to `as_of` that has one."""
    query = select(StrategyChoice).where(StrategyChoice.session_on <= as_of)
    return session.scalar(query.order_by(StrategyChoice.session_on.desc()).limit(1))


def chosen_between(session: Session, *, first_on: date, last_on: date) -> dict[date, str]:
    """Session -> strategy that was chosen."""
    rows = session.execute(
        select(StrategyChoice.session_on, StrategyChoice.strategy).where(
            StrategyChoice.session_on.between(first_on, last_on)
        )
    )
    return {row.session_on: row.strategy for row in rows}


def page_choices(
    session: Session,
    *,
    as_of: date,
    strategy: str | None,
    regime: str | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """A page of the choices of sessions up to `as_of`; of one strategy or regime where named."""
    query = select(StrategyChoice).where(StrategyChoice.session_on <= as_of)
    if strategy is not None:
        query = query.where(StrategyChoice.strategy == strategy)
    if regime is not None:
        query = query.where(StrategyChoice.regime == regime)
    return read_page(
        session,
        query,
        sorts={"session_on": StrategyChoice.session_on.expression},
        key=StrategyChoice.session_on.expression,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


def add_choice(session: Session, choice: StrategyChoice) -> StrategyChoice:
    """Store the session's choice unless it has one; returns the one that stands."""
    names = [column.name for column in StrategyChoice.__table__.columns if column.name not in _CHOICE_GIVEN]
    session.execute(
        insert(StrategyChoice).values({name: getattr(choice, name) for name in names}).on_conflict_do_nothing()
    )
    stored = find_choice(session, session_on=choice.session_on)
    assert stored is not None
    return stored


def targets_on(session: Session, *, session_on: date, account_ids: Collection[int]) -> dict[int, Target]:
    """The targets of one session by account."""
    rows = session.scalars(
        select(Target).where(Target.session_on == session_on, Target.account_id.in_(list(account_ids)))
    )
    return {row.account_id: row for row in rows}


def target_weights(session: Session, *, target_ids: Collection[int]) -> dict[int, dict[int, Decimal]]:
    """target_id -> instrument_id -> weight, largest first; a target that is all cash has none."""
    rows = session.execute(
        select(TargetWeight.target_id, TargetWeight.instrument_id, TargetWeight.weight)
        .where(TargetWeight.target_id.in_(list(target_ids)))
        .order_by(TargetWeight.target_id, TargetWeight.weight.desc(), TargetWeight.instrument_id)
    )
    found: dict[int, dict[int, Decimal]] = {target_id: {} for target_id in target_ids}
    for target_id, instrument_id, weight in rows:
        found[target_id][instrument_id] = weight
    return found


def add_targets(session: Session, targets: Sequence[Target], *, weights: Sequence[Mapping[int, Decimal]]) -> int:
    """Store the targets that their account does not have for the session yet, `weights` in parallel; returns how many.

    What was decided once stands.
    """
    if not targets:
        return 0
    names = [column.name for column in Target.__table__.columns if column.name not in _TARGET_GIVEN]
    stored: dict[int, int] = {
        row.account_id: row.target_id
        for row in session.execute(
            insert(Target)
            .on_conflict_do_nothing(index_elements=["account_id", "session_on"])
            .returning(Target.account_id, Target.target_id),
            [{name: getattr(target, name) for name in names} for target in targets],
        )
    }
    rows = [
        {"target_id": stored[target.account_id], "instrument_id": instrument_id, "weight": weight}
        for target, held in zip(targets, weights, strict=True)
        if target.account_id in stored
        for instrument_id, weight in held.items()
    ]
    if rows:
        session.execute(insert(TargetWeight), rows)
    return len(stored)


def read_night_ranks(
    session: Session, *, first_on: date, last_on: date, rank_max: int
) -> list[tuple[str, date, Sequence[int]]]:
    """Strategy, session and instruments of the nights' own screens, best first, between two sessions."""
    rows = session.execute(
        select(
            ScoreBatch.strategy,
            ScoreBatch.session_on,
            func.array_agg(aggregate_order_by(Score.instrument_id, Score.rank.asc())),
        )
        .join(Score, Score.score_batch_id == ScoreBatch.score_batch_id)
        .where(ScoreBatch.session_on.between(first_on, last_on), ScoreBatch.lane == "served", Score.rank <= rank_max)
        .group_by(ScoreBatch.strategy, ScoreBatch.session_on)
    )
    return [(strategy, session_on, instrument_ids) for strategy, session_on, instrument_ids in rows]
