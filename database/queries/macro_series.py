"""Market-wide series as known on a date."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import text

from database.columnar import read_frame
from database.session import Session


def read_macro(*, as_of: date) -> pl.DataFrame:
    """series, observed_on, known_on, value of everything known on `as_of`, sorted by series, observed_on."""
    return read_frame(
        "select series, observed_on, known_on, value from macro_observations where known_on <= $1 order by 1, 2",
        [as_of],
    )


def merge_series(session: Session, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Bring (series, title, unit, source) into the list of series."""
    series, titles, units, sources = zip(*rows, strict=True)
    session.execute(
        text("""
            insert into macro_series as old (series, title, unit, source)
            select * from unnest(cast(:series as text[]), cast(:titles as text[]), cast(:units as text[]),
                                 cast(:sources as text[]))
            on conflict (series) do update
            set title = excluded.title, unit = excluded.unit, source = excluded.source
            where (old.title, old.unit, old.source) is distinct from (excluded.title, excluded.unit, excluded.source)
        """),
        {"series": list(series), "titles": list(titles), "units": list(units), "sources": list(sources)},
    )


def merge_observations(session: Session, rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """Bring (series, observed_on, known_on, value) into the table; returns the years of new and changed rows."""
    series, observed, known, values = zip(*rows, strict=True)
    years = session.scalars(
        text("""
            insert into macro_observations as old (series, observed_on, known_on, value)
            select * from unnest(cast(:series as text[]), cast(:observed as date[]), cast(:known as date[]),
                                 cast(:values as float8[]))
            on conflict (series, observed_on) do update set known_on = excluded.known_on, value = excluded.value
            where (old.known_on, old.value) is distinct from (excluded.known_on, excluded.value)
            returning extract(year from known_on)::integer
        """),
        {"series": list(series), "observed": list(observed), "known": list(known), "values": list(values)},
    )
    return set(years)


def series_spans(session: Session, *, as_of: date) -> list[tuple[str, str, date, int]]:
    """Each series: name, title, last observation known on `as_of`, number of observations."""
    rows = session.execute(
        text("""
            select s.series, s.title, max(o.observed_on), count(*)
            from macro_series as s join macro_observations as o using (series)
            where o.known_on <= :as_of group by 1, 2 order by 1
        """),
        {"as_of": as_of},
    )
    return [(series, title, last_on, count) for series, title, last_on, count in rows]
