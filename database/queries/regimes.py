"""Regimes: what each detector said about each session."""

from collections.abc import Sequence
from datetime import date

import polars as pl
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from database.columnar import read_frame
from database.session import Session
from database.tables.regimes import LABELS, Regime

_GIVEN_BY_THE_DATABASE = frozenset({"created_at"})


def regimes_on(session: Session, *, session_on: date) -> dict[str, Regime]:
    """The readings of one session by detector."""
    rows = session.scalars(select(Regime).where(Regime.session_on == session_on))
    return {row.detector: row for row in rows}


def find_regime(session: Session, *, session_on: date, detector: str) -> Regime | None:
    """One detector's reading of one session."""
    return session.get(Regime, (session_on, detector))


def sessions_read(session: Session, *, first_on: date, last_on: date) -> dict[str, set[date]]:
    """By detector, the sessions between two days that have a reading."""
    rows = session.execute(
        select(Regime.detector, func.array_agg(Regime.session_on))
        .where(Regime.session_on.between(first_on, last_on))
        .group_by(Regime.detector)
    )
    return {detector: set(days) for detector, days in rows}


def newest_read_on(session: Session, *, detector: str, as_of: date) -> date | None:
    """The newest session up to `as_of` of which the detector said something."""
    return session.scalar(
        select(func.max(Regime.session_on)).where(Regime.detector == detector, Regime.session_on <= as_of)
    )


def label_since(session: Session, *, reading: Regime) -> tuple[date, int]:
    """The first session of the stretch on which the detector has said the same without a break, and its sessions."""
    same = [Regime.detector == reading.detector, Regime.session_on <= reading.session_on]
    other = (
        select(func.coalesce(func.max(Regime.session_on), date.min))
        .where(*same, Regime.label != reading.label)
        .scalar_subquery()
    )
    found = session.execute(
        select(func.min(Regime.session_on), func.count()).where(*same, Regime.session_on > other)
    ).one()
    return found[0], found[1]


def readings_between(
    session: Session, *, detector: str, first_on: date, last_on: date
) -> list[tuple[date, str, dict[str, float]]]:
    """Session, label and probabilities of what one detector said, by session."""
    rows = session.execute(
        select(Regime.session_on, Regime.label, Regime.probabilities)
        .where(Regime.detector == detector, Regime.session_on.between(first_on, last_on))
        .order_by(Regime.session_on)
    )
    return [(row.session_on, row.label, row.probabilities) for row in rows]


def add_regimes(session: Session, regimes: Sequence[Regime]) -> int:
    """Store the readings that are not there yet; what was said once stands. Returns how many were new."""
    if not regimes:
        return 0
    names = [column.name for column in Regime.__table__.columns if column.name not in _GIVEN_BY_THE_DATABASE]
    stored = session.scalars(
        insert(Regime).on_conflict_do_nothing().returning(Regime.session_on),
        [{name: getattr(regime, name) for name in names} for regime in regimes],
    )
    return len(stored.all())


def read_regimes(*, as_of: date, detector: str, first_on: date | None = None) -> pl.DataFrame:
    """One detector's readings with `first_on` <= session_on <= `as_of`, by session.

    Columns: session_on, label, raw_label, and the smoothed probability (f64) of each label under the label's name.
    Reads committed rows only.
    """
    probabilities = ", ".join(f"(probabilities->>'{label}')::float8 as {label}" for label in LABELS)
    return read_frame(
        f"select session_on, label, raw_label, {probabilities} from regimes"  # noqa: S608 names are ours
        " where detector = $1 and session_on between $2 and $3 order by session_on",
        [detector, first_on or date(1900, 1, 1), as_of],
    )
