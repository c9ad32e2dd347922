"""Trials: every configuration that was tried, and its daily out-of-sample returns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.trials import Trial, TrialReturns


@dataclass(frozen=True)
class ReturnSeries:
    """Daily simple returns; `sessions` rising, both arrays parallel."""

    sessions: npt.NDArray[np.datetime64]
    returns: npt.NDArray[np.float64]


def add_trial(
    session: Session,
    *,
    kind: str,
    strategy: str,
    source: str,
    configuration_hash: str,
    configuration: Mapping[str, Any],
) -> int:
    """Store the trial unless it is there already; returns its id."""
    session.execute(
        insert(Trial)
        .values(
            kind=kind,
            strategy=strategy,
            source=source,
            configuration_hash=configuration_hash,
            configuration=dict(configuration),
        )
        .on_conflict_do_nothing(index_elements=["kind", "strategy", "configuration_hash"])
    )
    return session.scalars(
        select(Trial.trial_id).where(
            Trial.kind == kind, Trial.strategy == strategy, Trial.configuration_hash == configuration_hash
        )
    ).one()


def put_returns(session: Session, *, trial_id: int, year: int, series: Mapping[str, ReturnSeries]) -> None:
    """Store the year's series of a trial; one that is there already is replaced: its year has grown."""
    rows = [
        {
            "trial_id": trial_id,
            "year": year,
            "series": name,
            "sessions": values.sessions.astype("datetime64[D]").tolist(),
            "returns": values.returns.tolist(),
        }
        for name, values in series.items()
        if len(values.sessions)
    ]
    if rows:
        added = insert(TrialReturns).values(rows)
        session.execute(
            added.on_conflict_do_update(
                index_elements=["trial_id", "year", "series"],
                set_={"sessions": added.excluded.sessions, "returns": added.excluded.returns},
            )
        )


def count_trials(session: Session, *, kind: str) -> int:
    """How many configurations of this kind were ever tried, for any strategy."""
    return session.scalar(select(func.count()).select_from(Trial).where(Trial.kind == kind)) or 0


def strategies_of_trials(session: Session, *, kind: str) -> dict[int, str]:
    """trial_id -> strategy, of every trial of the kind."""
    rows = session.execute(select(Trial.trial_id, Trial.strategy).where(Trial.kind == kind))
    return {row.trial_id: row.strategy for row in rows}


def read_returns(
    session: Session,
    *,
    kind: str,
    through_on: date,
    strategy: str | None = None,
    trial_ids: Collection[int] | None = None,
    series: Collection[str] | None = None,
) -> dict[int, dict[str, ReturnSeries]]:
    """trial_id -> series name -> the returns of all years up to `through_on`, joined in order.

    Of one strategy, of some trials, or only of the series named, where given.
    """
    # Many trials share their sessions; as text they are parsed once, twenty times as fast as date by date.
    query = (
        select(
            TrialReturns.trial_id,
            TrialReturns.series,
            cast(TrialReturns.sessions, Text).label("days"),
            TrialReturns.returns,
        )
        .join(Trial, Trial.trial_id == TrialReturns.trial_id)
        .where(Trial.kind == kind, TrialReturns.year <= through_on.year)
        .order_by(TrialReturns.trial_id, TrialReturns.series, TrialReturns.year)
    )
    if strategy is not None:
        query = query.where(Trial.strategy == strategy)
    if trial_ids is not None:
        query = query.where(Trial.trial_id.in_(list(trial_ids)))
    if series is not None:
        query = query.where(TrialReturns.series.in_(list(series)))
    parsed: dict[str, npt.NDArray[np.datetime64]] = {}
    parts: dict[int, dict[str, list[ReturnSeries]]] = {}
    for row in session.execute(query):
        if row.days not in parsed:
            parsed[row.days] = np.array(row.days.strip("{}").split(","), dtype="datetime64[D]")
        year = ReturnSeries(parsed[row.days], np.array(row.returns, dtype=np.float64))
        parts.setdefault(row.trial_id, {}).setdefault(row.series, []).append(year)
    return {
        trial_id: {name: _joined(years, through_on) for name, years in by_name.items()}
        for trial_id, by_name in parts.items()
    }


def _joined(years: list[ReturnSeries], through_on: date) -> ReturnSeries:
    sessions = np.concatenate([year.sessions for year in years])
    returns = np.concatenate([year.returns for year in years])
    known = sessions <= np.datetime64(through_on)
    return ReturnSeries(sessions[known], returns[known])
