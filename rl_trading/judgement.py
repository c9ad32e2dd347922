"""How all allocators of a strategy stand out of sample: every judged year side by side, net of costs.

Read from the daily returns that the folds' test years left behind, of the configuration that trained last.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from core.config import get_settings
from database.queries.models import newest_folds
from database.queries.regimes import read_regimes
from database.queries.trials import ReturnSeries, read_returns
from database.session import Session
from quant.bootstrap import Interval, mean_interval
from quant.stats import SESSIONS_A_YEAR, YEAR_ENOUGH_SESSIONS, measure_performance
from rl_trading.baselines import SIMPLE
from rl_trading.evaluate import INDEX, REFERENCE, by_regime

Floats = npt.NDArray[np.float64]
_MODEL, _DOUBLED = "model", "model_costs_doubled"


@dataclass(frozen=True)
class Line:
    """One allocator over all judged sessions; fractions, None where there is less than a year.

    `lead` is the mean daily return less that of equal weight, a year, with the middle 90 % of the block bootstrap.
    `years` has the total return of each year.
    """

    allocator: str
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    drawdown_max: float
    lead: Interval | None
    years: Mapping[int, float]


@dataclass(frozen=True)
class StrategyTable:
    """All allocators of one strategy; `seeds_sharpe` are the seeds by themselves, in their order.

    `regimes` has by label the sessions and each allocator's mean return a session in basis points.
    """

    strategy: str
    trial_id: int
    from_on: date
    to_on: date
    sessions: int
    lines: tuple[Line, ...]
    seeds_sharpe: tuple[float, ...]
    regimes: Mapping[str, Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def judge_allocators(session: Session, *, as_of: date) -> list[StrategyTable]:
    """One table for each strategy whose newest fold has judged years up to `as_of`."""
    newest = {model.strategy: model for model in newest_folds(session, kind="allocator")}
    regimes = read_regimes(as_of=as_of, detector=get_settings().regime_detector)
    read_on = regimes["session_on"].to_numpy().astype("datetime64[D]")
    labels = np.array(regimes["label"].to_list(), dtype=np.str_)
    tables = []
    for strategy, model in newest.items():
        tried = read_returns(session, kind="allocator", strategy=strategy, through_on=as_of)
        series = tried.get(model.trial_id or 0, {})
        if _MODEL in series and len(series[_MODEL].sessions) > 1:
            tables.append(_table(strategy, model.trial_id or 0, series, read_on, labels))
    return tables


def _table(
    strategy: str,
    trial_id: int,
    series: Mapping[str, ReturnSeries],
    read_on: npt.NDArray[np.datetime64],
    labels: npt.NDArray[np.str_],
) -> StrategyTable:
    sessions = series[_MODEL].sessions
    # The index has no levels for some years: what does not cover every session is not shown beside what does.
    whole = {name: s.returns for name, s in series.items() if np.array_equal(s.sessions, sessions)}
    names = [name for name in (_MODEL, _DOUBLED, *SIMPLE, INDEX) if name in whole]
    seeds = sorted((name for name in whole if name.startswith("seed-")), key=lambda name: int(name[5:]))
    at = np.searchsorted(read_on, sessions) - 1
    known = np.where(at >= 0, labels[np.maximum(at, 0)], "") if len(labels) else np.full(len(sessions), "")
    return StrategyTable(
        strategy=strategy,
        trial_id=trial_id,
        from_on=sessions[0].astype(date),
        to_on=sessions[-1].astype(date),
        sessions=len(sessions),
        lines=tuple(_line(name, whole[name], whole.get(REFERENCE), sessions) for name in names),
        seeds_sharpe=tuple(round(_sharpe(whole[name]), 4) for name in seeds),
        regimes=by_regime({name: whole[name] for name in names}, known),
    )


def _line(name: str, returns: Floats, reference: Floats | None, sessions: npt.NDArray[np.datetime64]) -> Line:
    performance = measure_performance(np.concatenate([[1.0], np.cumprod(1.0 + returns)]))
    whole_year = performance.sessions >= YEAR_ENOUGH_SESSIONS
    lead = None
    if reference is not None and name != REFERENCE and whole_year:
        daily = mean_interval(returns - reference)
        lead = Interval(*(value * SESSIONS_A_YEAR for value in (daily.observed, daily.low, daily.high)))
    years = sessions.astype("datetime64[Y]").astype(np.int64) + 1970
    return Line(
        allocator=name,
        annual_return=performance.annual_return if whole_year else None,
        annual_volatility=performance.annual_volatility if whole_year else None,
        sharpe=performance.sharpe if whole_year else None,
        drawdown_max=performance.drawdown_max,
        lead=lead,
        years={int(year): float(np.prod(1.0 + returns[years == year]) - 1.0) for year in np.unique(years)},
    )


def _sharpe(returns: Floats) -> float:
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation * SESSIONS_A_YEAR**0.5 if deviation > 0 else 0.0
