"""Reported facts as known on a date."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import text

from database.columnar import read_frame
from database.session import Session


def read_facts(*, as_of: date) -> pl.DataFrame:
    """instrument_id, item, period_end_on, known_on, value of all facts known on `as_of`."""
    return read_frame(
        "select instrument_id, item, period_end_on, known_on, value from fundamentals"
        " where known_on <= $1 order by instrument_id, item, period_end_on, known_on",
        [as_of],
    )


def merge_facts(session: Session, rows: Sequence[tuple[Any, ...]], *, source: str) -> set[int]:
    """Bring (instrument_id, item, period_end_on, known_on, value) in; returns the years of new and changed rows."""
    ids, items, periods, known, values = zip(*rows, strict=True)
    years = session.scalars(
        text("""
            insert into fundamentals as old (instrument_id, item, period_end_on, known_on, value, source)
            select id, item, period_end_on, known_on, value, :source
            from unnest(cast(:ids as integer[]), cast(:items as text[]), cast(:periods as date[]),
                        cast(:known as date[]), cast(:values as float8[]))
                as s (id, item, period_end_on, known_on, value)
            on conflict (instrument_id, item, period_end_on, known_on) do update
            set value = excluded.value, source = excluded.source
            where (old.value, old.source) is distinct from (excluded.value, excluded.source)
            returning extract(year from known_on)::integer
        """),
        {
            "ids": list(ids),
            "items": list(items),
            "periods": list(periods),
            "known": list(known),
            "values": list(values),
            "source": source,
        },
    )
    return set(years)


def fact_counts(session: Session, *, as_of: date) -> list[tuple[int, int, int, date]]:
    """Per year of knowledge up to `as_of`: year, facts, companies, last period's end."""
    rows = session.execute(
        text("""
            select extract(year from known_on)::integer, count(*), count(distinct instrument_id), max(period_end_on)
            from fundamentals where known_on <= :as_of group by 1 order by 1
        """),
        {"as_of": as_of},
    )
    return [(year, facts, companies, last_on) for year, facts, companies, last_on in rows]
