"""Standings of accounts, and the returns of the equally weighted universe: both follow from other rows."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from core.clock import now
from database.session import Session
from database.tables.standings import AccountStanding


class Place(NamedTuple):
    """How many other clients of the firm have a score, and which share of them stands below, to five percent."""

    peers: int
    below: float


def write_standings(session: Session, *, standings: Sequence[Mapping[str, Any]]) -> int:
    """Replace the standings of some accounts; returns how many."""
    if not standings:
        return 0
    query = insert(AccountStanding)
    columns = [column.name for column in AccountStanding.__table__.columns if column.name != "account_id"]
    session.execute(
        query.on_conflict_do_update(
            index_elements=["account_id"], set_={name: query.excluded[name] for name in columns}
        ),
        [{**row, "changed_at": now()} for row in standings],
    )
    return len(standings)


def add_universe_days(session: Session, *, first_on: date, last_on: date) -> int:
    """Work out the mean return of the index's members on the sessions of [first_on, last_on]; returns how many.

    A member counts on a session if it belonged on that day and has a bar there and on the session before.
    """
    written = session.execute(
        text("""
            insert into universe_days (session_on, members, mean_return)
            select session_on, count(*), avg(adj_close / before - 1) from (
                select b.session_on, b.instrument_id, b.adj_close,
                       lag(b.adj_close) over (partition by b.instrument_id order by b.session_on) as before
                from daily_bars b
                where b.session_on between cast(:first_on as date) - 7 and :last_on
            ) as moved
            where before > 0 and session_on >= :first_on and exists (
                select from index_memberships i where i.instrument_id = moved.instrument_id
                and i.start_on <= moved.session_on and (i.end_on is null or i.end_on > moved.session_on))
            group by 1
            on conflict (session_on) do update set members = excluded.members, mean_return = excluded.mean_return
            returning session_on
        """),
        {"first_on": first_on, "last_on": last_on},
    )
    return len(written.all())


def newest_universe_day(session: Session) -> date | None:
    """The last session that is worked out."""
    found: date | None = session.scalar(text("select max(session_on) from universe_days"))
    return found


def universe_days(session: Session, *, after_on: date, until_on: date) -> list[tuple[date, float]]:
    """Sessions and mean returns with `after_on` < session_on <= `until_on`, oldest first."""
    rows = session.execute(
        text("""
            select session_on, mean_return from universe_days
            where session_on > :after_on and session_on <= :until_on order by 1
        """),
        {"after_on": after_on, "until_on": until_on},
    )
    return [(row[0], row[1]) for row in rows]


def first_valued_on(session: Session) -> date | None:
    """The first session on which an account of the firm was valued."""
    found: date | None = session.scalar(
        text("""
            select min(v.session_on) from accounts a cross join lateral (
                select session_on from account_valuations where account_id = a.account_id order by session_on limit 1
            ) as v where a.book = 'paper'
        """)
    )
    return found


def health_place(session: Session, *, client_id: int, peers_min: int) -> Place | None:
    """Where a client's health stands among the firm's; None where it has none or too few have."""
    row = session.execute(
        text("select peers, below from acis_health_place(:client_id, :peers_min)"),
        {"client_id": client_id, "peers_min": peers_min},
    ).first()
    return None if row is None else Place(row[0], float(row[1]))


def standings_of(session: Session, *, account_ids: Sequence[int]) -> dict[int, AccountStanding]:
    """The stored standings by account."""
    rows = session.scalars(select(AccountStanding).where(AccountStanding.account_id.in_(account_ids)))
    return {row.account_id: row for row in rows}
