"""The shadow ledger: each lane's book by session, what was decided for it, and the bars that carry it on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert

from database.queries.allocations import weights_of
from database.session import Session
from database.tables.allocations import Allocation
from database.tables.scores import ScoreBatch
from database.tables.shadow import ShadowDay

Key = tuple[str, str]
"""Strategy and lane."""
_GIVEN_BY_THE_DATABASE = frozenset({"created_at"})


@dataclass(frozen=True)
class Decision:
    """Weights that a lane decided anew on a session, by instrument_id."""

    allocation_id: int
    weights: dict[int, Decimal]


class BookBar(NamedTuple):
    """Open and close of one instrument on one session."""

    instrument_id: int
    session_on: date
    open: float
    close: float


class LaneDay(NamedTuple):
    """A lane's worth at a close, whether its book began there, and which models decided for it then."""

    session_on: date
    value_cents: int
    is_start: bool
    screener_id: int | None
    allocator_id: int | None


def newest_days(session: Session, *, before: date, since: date) -> list[ShadowDay]:
    """The newest row of each lane's book of a session in [since, before)."""
    return list(
        session.scalars(
            select(ShadowDay)
            .ext(distinct_on(ShadowDay.strategy, ShadowDay.lane))
            .where(ShadowDay.session_on < before, ShadowDay.session_on >= since)
            .order_by(ShadowDay.strategy, ShadowDay.lane, ShadowDay.session_on.desc())
        )
    )


def kept_on(session: Session, *, session_on: date) -> set[Key]:
    """The lanes whose book of the session is kept already."""
    rows = session.execute(select(ShadowDay.strategy, ShadowDay.lane).where(ShadowDay.session_on == session_on))
    return {(row.strategy, row.lane) for row in rows}


def allocated_lanes(session: Session, *, first_on: date, last_on: date) -> set[Key]:
    """The lanes that have an allocation of a session in [first_on, last_on]."""
    rows = session.execute(
        select(Allocation.strategy, Allocation.lane).where(Allocation.session_on.between(first_on, last_on)).distinct()
    )
    return {(row.strategy, row.lane) for row in rows}


def fresh_decisions(session: Session, *, first_on: date, last_on: date) -> dict[date, dict[Key, Decision]]:
    """By session in [first_on, last_on] and lane, what was decided anew then; what was merely held on is left out."""
    rows = session.execute(
        select(Allocation.allocation_id, Allocation.session_on, Allocation.strategy, Allocation.lane)
        .join(ScoreBatch, ScoreBatch.score_batch_id == Allocation.score_batch_id)
        .where(Allocation.session_on.between(first_on, last_on), ScoreBatch.session_on == Allocation.session_on)
    ).all()
    weights = weights_of(session, allocation_ids=[row.allocation_id for row in rows])
    found: dict[date, dict[Key, Decision]] = {}
    for row in rows:
        decision = Decision(row.allocation_id, weights[row.allocation_id])
        found.setdefault(row.session_on, {})[row.strategy, row.lane] = decision
    return found


def bars_between(session: Session, *, instrument_ids: Collection[int], first_on: date, last_on: date) -> list[BookBar]:
    """Opens and closes of some instruments from `first_on` to `last_on`."""
    rows = session.execute(
        text("""
            select instrument_id, session_on, open, close from daily_bars
            where session_on between :first_on and :last_on and instrument_id = any(:ids)
        """),
        {"ids": sorted(instrument_ids), "first_on": first_on, "last_on": last_on},
    )
    return [BookBar._make(row) for row in rows]


def dividends_between(
    session: Session, *, instrument_ids: Collection[int], after_on: date, until_on: date
) -> list[tuple[int, date, float]]:
    """instrument_id, ex_on, USD a share, with `after_on` < ex_on <= `until_on`."""
    return _actions(session, "dividend", "amount_usd::float8", instrument_ids, after_on, until_on)


def splits_between(
    session: Session, *, instrument_ids: Collection[int], after_on: date, until_on: date
) -> list[tuple[int, date, Decimal]]:
    """instrument_id, ex_on, new shares for old, with `after_on` < ex_on <= `until_on`."""
    return _actions(session, "split", "ratio", instrument_ids, after_on, until_on)


def _actions(
    session: Session, kind: str, value: str, instrument_ids: Collection[int], after_on: date, until_on: date
) -> list[tuple[int, date, Any]]:
    rows = session.execute(
        text(f"""
            select instrument_id, ex_on, {value} from corporate_actions
            where kind = :kind and ex_on > :after_on and ex_on <= :until_on and instrument_id = any(:ids)
            order by ex_on
        """),  # noqa: S608 the value is ours
        {"kind": kind, "ids": sorted(instrument_ids), "after_on": after_on, "until_on": until_on},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def add_days(session: Session, days: Sequence[ShadowDay]) -> int:
    """Store the rows that their lane and session do not have yet; returns how many."""
    if not days:
        return 0
    names = [column.name for column in ShadowDay.__table__.columns if column.name not in _GIVEN_BY_THE_DATABASE]
    stored = session.scalars(
        insert(ShadowDay)
        .values([{name: getattr(day, name) for name in names} for day in days])
        .on_conflict_do_nothing(index_elements=["strategy", "lane", "session_on"])
        .returning(ShadowDay.session_on)
    )
    return len(stored.all())


def lane_days(
    session: Session, *, strategies: Collection[str], first_on: date, last_on: date, start_cents: int
) -> dict[Key, list[LaneDay]]:
    """The ledger of every lane of some strategies, by session; a book begins where it is all cash, `start_cents`."""
    rows = session.execute(
        text("""
            select d.strategy, d.lane, d.session_on, d.value_cents,
                   d.value_cents = :start_cents and d.traded_cents = 0 and d.holdings = '{}'::jsonb,
                   b.model_version_id, a.model_version_id
            from shadow_days d
            left join allocations a using (session_on, strategy, lane)
            left join score_batches b using (score_batch_id)
            where d.strategy = any(:strategies) and d.session_on between :first_on and :last_on
            order by d.session_on
        """),
        {
            "strategies": sorted(strategies),
            "first_on": first_on,
            "last_on": last_on,
            "start_cents": start_cents,
        },
    )
    found: dict[Key, list[LaneDay]] = {}
    for strategy, lane, *day in rows:
        found.setdefault((strategy, lane), []).append(LaneDay._make(day))
    return found
