"""The register of feature snapshots, and the newest cross-section for SQL users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert

from database.columnar import copy_rows
from database.session import Session
from database.tables.features import FeatureSnapshot


@dataclass(frozen=True)
class Snapshot:
    """One registered year of the feature matrix; `data_vintage` is data set -> year -> version."""

    snapshot_id: int
    year: int
    content_hash: str
    input_hash: str
    data_vintage: Mapping[str, Mapping[str, int]]
    first_on: date
    last_on: date
    columns: tuple[str, ...]
    file_name: str


def current_snapshots(session: Session, *, year: int | None = None) -> dict[int, Snapshot]:
    """The current snapshot of each year, or of `year` alone."""
    query = (
        select(FeatureSnapshot)
        .ext(distinct_on(FeatureSnapshot.year))
        .order_by(FeatureSnapshot.year, FeatureSnapshot.created_at.desc(), FeatureSnapshot.snapshot_id.desc())
    )
    if year is not None:
        query = query.where(FeatureSnapshot.year == year)
    return {
        row.year: Snapshot(
            snapshot_id=row.snapshot_id,
            year=row.year,
            content_hash=row.content_hash,
            input_hash=row.input_hash,
            data_vintage=row.data_vintage,
            first_on=row.first_on,
            last_on=row.last_on,
            columns=tuple(row.columns),
            file_name=row.file_name,
        )
        for row in session.scalars(query)
    }


def register_snapshot(
    session: Session,
    *,
    year: int,
    content_hash: str,
    input_hash: str,
    data_vintage: Mapping[str, Mapping[str, int]],
    first_on: date,
    last_on: date,
    rows: int,
    columns: Sequence[str],
    file_name: str,
) -> int:
    """Make this the year's current snapshot; content that was registered before keeps its id."""
    values: dict[str, Any] = {
        "year": year,
        "content_hash": content_hash,
        "input_hash": input_hash,
        "data_vintage": dict(data_vintage),
        "first_on": first_on,
        "last_on": last_on,
        "rows": rows,
        "columns": list(columns),
        "file_name": file_name,
    }
    renewed = {name: values[name] for name in ("input_hash", "data_vintage", "file_name")}
    statement = (
        insert(FeatureSnapshot)
        .values(**values, created_at=func.clock_timestamp())
        .on_conflict_do_update(
            index_elements=[FeatureSnapshot.content_hash], set_={**renewed, "created_at": func.clock_timestamp()}
        )
        .returning(FeatureSnapshot.snapshot_id)
    )
    return session.scalars(statement).one()


def newest_files(session: Session, *, year: int, count: int) -> list[str]:
    """File names of the year's `count` newest snapshots, the current one first."""
    newest = FeatureSnapshot.created_at.desc(), FeatureSnapshot.snapshot_id.desc()
    query = select(FeatureSnapshot.file_name).where(FeatureSnapshot.year == year).order_by(*newest).limit(count)
    return list(session.scalars(query))


def replace_latest_values(
    session: Session,
    *,
    session_on: date,
    features: Sequence[str],
    instrument_ids: npt.NDArray[np.integer[Any]],
    values: npt.NDArray[np.float32],
) -> int:
    """Make `values` (features x instruments) the newest cross-section; returns how many rows changed.

    NaN has no row, and rows that say the same already stay as they are.
    """
    place, column = np.nonzero(~np.isnan(values))
    session.execute(
        text("""
            create temporary table if not exists staged_feature_values
                (place integer not null, instrument_id integer not null, value real not null) on commit delete rows
        """)
    )
    session.execute(text("truncate staged_feature_values"))
    copy_rows(
        session,
        "staged_feature_values",
        {
            "place": ("int4", place.astype("i4")),
            "instrument_id": ("int4", instrument_ids[column].astype("i4")),
            "value": ("float4", values[place, column]),
        },
    )
    changed = session.scalar(
        text("""
            with named as (
                select n.feature, s.instrument_id, s.value
                from staged_feature_values s
                join unnest(cast(:features as text[])) with ordinality as n (feature, place) on n.place = s.place + 1
            ), removed as (
                delete from feature_values old where not exists (
                    select 1 from named where feature = old.feature and instrument_id = old.instrument_id
                )
                returning 1
            ), written as (
                insert into feature_values as old (feature, instrument_id, session_on, value)
                select feature, instrument_id, :session_on, value from named
                on conflict (feature, instrument_id) do update
                set session_on = excluded.session_on, value = excluded.value
                where (old.session_on, old.value) is distinct from (excluded.session_on, excluded.value)
                returning 1
            )
            select (select count(*) from removed) + (select count(*) from written)
        """),
        {"features": list(features), "session_on": session_on},
    )
    assert isinstance(changed, int)
    return changed
