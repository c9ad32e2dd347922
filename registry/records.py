"""What versions earned out of sample, and what their lanes earn in shadow: daily returns, and measures of them.

Everything is net of costs and hypothetical; nothing shorter than a year is annualised.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from database.queries.shadow import lane_days
from database.queries.trials import ReturnSeries, read_returns
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.shadow import START_CENTS
from quant.stats import SESSIONS_A_YEAR, daily_returns, measure_performance
from registry.evidence import OWN, REFERENCE

NOTE = "out of sample, net of costs, hypothetical"
_SEED = "seed-"


@dataclass(frozen=True)
class Record:
    """What one series of a trial earned over its sessions; fractions. None where a year is not reached."""

    series: str
    from_on: date
    to_on: date
    sessions: int
    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    drawdown_max: float


def trial_records(
    session: Session, models: Sequence[ModelVersion], *, as_of: date
) -> dict[int | None, tuple[Record, ...]]:
    """By trial of the models, which are all of one kind: its own series, then what it is held against, then the others
    by name; seeds are left out."""
    return {
        trial_id: tuple(_record(name, values) for name, values in series.items())
        for trial_id, series in trial_series(session, models, as_of=as_of).items()
    }


def trial_series(
    session: Session, models: Sequence[ModelVersion], *, as_of: date
) -> dict[int | None, dict[str, ReturnSeries]]:
    """The daily returns behind `trial_records`, in the same order."""
    wanted = {model.trial_id for model in models if model.trial_id is not None}
    if not wanted:
        return {}
    kind = models[0].kind
    first = (OWN, REFERENCE[kind])
    found = read_returns(session, kind=kind, trial_ids=wanted, through_on=as_of)
    return {
        trial_id: {
            name: series[name]
            for name in (*first, *sorted(name for name in series if name not in first and not name.startswith(_SEED)))
            if name in series and len(series[name].sessions)
        }
        for trial_id, series in found.items()
    }


def shadow_records(session: Session, model: ModelVersion, *, as_of: date) -> tuple[Record, ...]:
    """What each lane's book has made of itself since the version's service began; never annualised."""
    return tuple(
        replace(_record(lane, values), annual_return=None, annual_volatility=None, sharpe=None)
        for lane, values in shadow_series(session, model, as_of=as_of).items()
    )


def shadow_series(session: Session, model: ModelVersion, *, as_of: date) -> dict[str, ReturnSeries]:
    """By lane, the daily returns of the book that runs on without a break up to now; what began today has none."""
    lanes = lane_days(
        session,
        strategies=[model.strategy],
        first_on=model.valid_from_on,
        last_on=min(as_of, model.valid_to_on - timedelta(days=1)),
        start_cents=START_CENTS,
    )
    found = {}
    for (_, lane), days in sorted(lanes.items()):
        begun = max((place for place, day in enumerate(days) if day.is_start), default=0)
        book = days[begun:]
        if len(book) > 1:
            values = np.array([day.value_cents for day in book], dtype=np.float64)
            sessions = np.array([day.session_on for day in book[1:]], "datetime64[D]")
            found[lane] = ReturnSeries(sessions, daily_returns(values))
    return found


def _record(name: str, series: ReturnSeries) -> Record:
    values: npt.NDArray[np.float64] = np.concatenate([[1.0], np.cumprod(1.0 + series.returns)])
    measures = measure_performance(values)
    a_year = measures.sessions >= SESSIONS_A_YEAR
    return Record(
        series=name,
        from_on=series.sessions[0].astype(date),
        to_on=series.sessions[-1].astype(date),
        sessions=measures.sessions,
        total_return=measures.total_return,
        annual_return=measures.annual_return if a_year else None,
        annual_volatility=measures.annual_volatility if a_year else None,
        sharpe=measures.sharpe if a_year else None,
        drawdown_max=measures.drawdown_max,
    )
