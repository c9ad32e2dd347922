"""Dividends and splits by ex-date."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import text

from database.columnar import read_frame
from database.session import Session


def read_dividends(*, as_of: date) -> pl.DataFrame:
    """instrument_id, ex_on, amount_usd (f64) of dividends gone ex not after `as_of`."""
    return read_frame(
        "select instrument_id, ex_on, amount_usd::float8 as amount_usd from corporate_actions"
        " where kind = 'dividend' and ex_on <= $1 order by 1, 2",
        [as_of],
    )


def replace_dividends(
    session: Session, rows: Sequence[tuple[Any, ...]], *, instrument_ids: Collection[int], source: str
) -> set[int]:
    """Make (instrument_id, ex_on, amount_usd) the only dividends of `source` for `instrument_ids`.

    Rows that are the same stay untouched. Returns the years of new, changed and removed rows.
    """
    ids, days, amounts = zip(*rows, strict=True) if rows else ((), (), ())
    given = {
        "ids": list(ids),
        "days": list(days),
        "amounts": list(amounts),
        "source": source,
        "all_ids": sorted(instrument_ids),
    }
    removed = session.scalars(
        text("""
            delete from corporate_actions as old
            where kind = 'dividend' and source = :source and instrument_id = any(cast(:all_ids as integer[]))
                and not exists (
                    select 1 from unnest(cast(:ids as integer[]), cast(:days as date[])) as s (id, ex_on)
                    where s.id = old.instrument_id and s.ex_on = old.ex_on
                )
            returning extract(year from ex_on)::integer
        """),
        given,
    ).all()
    written = session.scalars(
        text("""
            insert into corporate_actions as old (instrument_id, ex_on, kind, amount_usd, source)
            select id, ex_on, 'dividend', amount_usd, :source
            from unnest(cast(:ids as integer[]), cast(:days as date[]), cast(:amounts as numeric[]))
                as s (id, ex_on, amount_usd)
            on conflict (instrument_id, ex_on, kind) do update set amount_usd = excluded.amount_usd
            where old.source = excluded.source and old.amount_usd is distinct from excluded.amount_usd
            returning extract(year from ex_on)::integer
        """),
        given,
    ).all()
    return set(removed) | set(written)
