"""Index membership by date."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import text

from database.columnar import read_frame
from database.session import Session


def read_memberships(*, as_of: date, index_name: str = "SP500") -> pl.DataFrame:
    """Spells known on `as_of`: instrument_id, start_on, end_on; an end after `as_of` is not yet known: null."""
    return read_frame(
        "select instrument_id, start_on, case when end_on <= $1 then end_on end as end_on"
        " from index_memberships where index_name = $2 and start_on <= $1 order by 1, 2",
        [as_of, index_name],
    )


def merge_memberships(session: Session, rows: Sequence[tuple[Any, ...]], *, index_name: str) -> set[int]:
    """Bring (instrument_id, start_on, end_on or None) in; returns the years in which changed spells begin."""
    ids, starts, ends = zip(*rows, strict=True)
    years = session.scalars(
        text("""
            insert into index_memberships as old (index_name, instrument_id, start_on, end_on)
            select :index_name, id, start_on, end_on
            from unnest(cast(:ids as integer[]), cast(:starts as date[]), cast(:ends as date[]))
                as s (id, start_on, end_on)
            on conflict (index_name, instrument_id, start_on) do update set end_on = excluded.end_on
            where old.end_on is distinct from excluded.end_on
            returning extract(year from start_on)::integer
        """),
        {"ids": list(ids), "starts": list(starts), "ends": list(ends), "index_name": index_name},
    )
    return set(years)


def members_on(session: Session, *, as_of: date, index_name: str) -> dict[int, str]:
    """instrument_id -> symbol of the members on `as_of`."""
    rows = session.execute(
        text("""
            select distinct m.instrument_id, i.symbol from index_memberships as m join instruments as i
                using (instrument_id)
            where m.index_name = :index_name and m.start_on <= :as_of and (m.end_on is null or m.end_on > :as_of)
        """),
        {"index_name": index_name, "as_of": as_of},
    )
    return {row[0]: row[1] for row in rows}


def coverage_on(session: Session, *, days: Collection[date], index_name: str) -> dict[date, tuple[int, int]]:
    """Each of `days` with the number of members on it and how many of them have a bar on it."""
    rows = session.execute(
        text("""
            select d.day, count(m.instrument_id), count(b.instrument_id)
            from unnest(cast(:days as date[])) as d (day)
            left join lateral (
                select distinct instrument_id from index_memberships
                where index_name = :index_name and start_on <= d.day and (end_on is null or end_on > d.day)
            ) as m on true
            left join daily_bars as b on b.instrument_id = m.instrument_id and b.session_on = d.day
            group by 1
        """),
        {"index_name": index_name, "days": list(days)},
    )
    return {day: (members, with_bars) for day, members, with_bars in rows}
