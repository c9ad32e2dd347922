"""The arithmetic of a back-test that a person asked for: decisions from ranks, weights, and what is told of the result.

Pure: scores, prices and regimes come in as arrays. The accounting is that of `quant.backtest`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.backtest import Backtest
from quant.bootstrap import ratio_interval
from quant.costs import STANDARD_COSTS, CostModel
from quant.optimisers import OPTIMISERS
from quant.sharpe import deflated_ratio, measure_moments
from quant.stats import SESSIONS_A_YEAR, YEAR_ENOUGH_SESSIONS, daily_returns, measure_performance

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CASH_WEIGHT_MIN = 0.02
LOOK_BACK_SESSIONS = 252
ROLLING_SESSIONS = 63
_ANNUALISED = ("annual_return", "annual_volatility", "sharpe", "excess_return", "information_ratio")
_PLACES_MIN = 2


@dataclass(frozen=True)
class Decided:
    """Decisions in order: `places` are sessions of the market, `columns` the stocks of each, best first."""

    places: Ints
    columns: tuple[Ints, ...]


def decide(
    ranks: Mapping[date, Sequence[int]],
    sessions: Sequence[date],
    instrument_ids: npt.NDArray[np.int32],
    close: Floats,
    *,
    stocks: int,
    every: int,
) -> Decided:
    """The best `stocks` of scored sessions that are `every` sessions or more apart; only what has a price counts.

    `ranks`: session -> instruments, best first. A decision on the last session would never be filled, and is none.
    """
    column = {int(key): place for place, key in enumerate(instrument_ids)}
    places: list[int] = []
    chosen: list[Ints] = []
    for place, session_on in enumerate(sessions[:-1]):
        if session_on not in ranks or (places and place - places[-1] < every):
            continue
        known = [column[key] for key in ranks[session_on] if key in column and close[place, column[key]] > 0]
        if known:
            places.append(place)
            chosen.append(np.array(known[:stocks], dtype=np.int64))
    return Decided(np.array(places, dtype=np.int64), tuple(chosen))


def weigh(
    decided: Decided,
    adj_close: Floats,
    *,
    optimiser: str,
    position_weight_max: float,
    tell: Callable[[int, int], None],
) -> Floats:
    """(decisions, stocks): shares of the portfolio, with the least cash left over.

    Equal weight holds every stock; the others those whose price was known throughout the look-back, and equal weight
    where fewer than two were. `tell` is told how far it is, and may end it.
    """
    weights = np.zeros((len(decided.places), adj_close.shape[1]))
    for row, (place, columns) in enumerate(zip(decided.places, decided.columns, strict=True)):
        tell(row, len(decided.places))
        window = adj_close[max(0, int(place) - LOOK_BACK_SESSIONS) : int(place) + 1][:, columns]
        returns = window[1:] / window[:-1] - 1.0
        known = np.isfinite(returns).all(axis=0) & (len(returns) > 1)
        if optimiser == "equal_weight" or known.sum() < _PLACES_MIN:
            weights[row, columns] = 1.0 / len(columns)
        else:
            cap = max(position_weight_max, 1.0 / int(known.sum()))
            weights[row, columns[known]] = OPTIMISERS[optimiser].weights(returns[:, known], weight_max=cap)
    tell(len(decided.places), len(decided.places))
    # A hair below one, so that rounding never asks for more than there is.
    return weights * (1.0 - CASH_WEIGHT_MIN - 1e-12)


def weigh_universe(decided: Decided, member: Bools) -> Floats:
    """Equal parts of everybody who could be bought on each decision, with the same least cash."""
    present = member[decided.places].astype(np.float64)
    weights: Floats = present / np.maximum(present.sum(axis=1, keepdims=True), 1.0)
    return weights * (1.0 - CASH_WEIGHT_MIN - 1e-12)


def costs_times(multiple: float) -> CostModel:
    """The standard costs, `multiple` times as dear."""
    standard = STANDARD_COSTS
    return replace(
        standard,
        half_spread_bps=multiple * standard.half_spread_bps,
        impact_bps=multiple * standard.impact_bps,
        commission_usd_per_share=multiple * standard.commission_usd_per_share,
        commission_usd_min=multiple * standard.commission_usd_min,
    )


def measures_of(values: Floats, index: Floats | None) -> dict[str, Any]:
    """Performance beside the index, as JSON; what is annualised is None for less than a year."""
    told = measure_performance(values, index).as_dict()
    return told if told["sessions"] >= YEAR_ENOUGH_SESSIONS else {**told, **dict.fromkeys(_ANNUALISED)}


def tell_result(
    own: Backtest, universe: Backtest, decided: Decided, sessions: Sequence[date], *, trials: int
) -> dict[str, Any]:
    """Measures from the first decision on, beside the universe bought the same way at the same costs.

    `trials`: how many looks at the past stand behind this one; what is deflated is the Sharpe ratio of the lead.
    """
    start = int(decided.places[0])
    values, others = own.values_usd[start:], universe.values_usd[start:]
    lead = daily_returns(values) - daily_returns(others)
    years = len(lead) / SESSIONS_A_YEAR
    return {
        "from_on": sessions[start].isoformat(),
        "to_on": sessions[-1].isoformat(),
        "decisions": len(decided.places),
        "value_start_usd": round(float(values[0]), 2),
        "value_end_usd": round(float(values[-1]), 2),
        "portfolio": measures_of(values, others),
        "universe": measures_of(others, None),
        "sharpe_interval": _interval(daily_returns(values)),
        "deflated_sharpe": _deflated(lead, trials),
        "turnover": float(own.turnover[start:].sum()),
        "turnover_a_year": float(own.turnover[start:].sum()) / years if years >= 1 else None,
        "costs_usd": round(float(own.costs_usd[start:].sum()), 2),
        "costs_share": float(own.costs_usd[start:].sum() / values[0]),
        "hit_rate": _hit_rate(values, others, decided.places - start),
        "months": monthly(values, others, sessions[start:]),
    }


def _interval(returns: Floats) -> list[float] | None:
    """Where nine tenths of the resampled Sharpe ratios lie, a year's."""
    found = ratio_interval(returns) if len(returns) >= YEAR_ENOUGH_SESSIONS else None
    root = math.sqrt(SESSIONS_A_YEAR)
    return None if found is None else [found.low * root, found.high * root]


def _deflated(lead: Floats, trials: int) -> float | None:
    moments = measure_moments(lead) if len(lead) >= YEAR_ENOUGH_SESSIONS else None
    if moments is None:
        return None
    return deflated_ratio(moments, trials=max(trials, 1), variance=1.0 / (moments.sessions - 1))


def _hit_rate(values: Floats, others: Floats, places: Ints) -> float | None:
    """Share of the stretches between two decisions in which the portfolio did better than the universe."""
    bounds = np.append(places, len(values) - 1)
    bounds = bounds[np.append(True, np.diff(bounds) > 0)]
    if len(bounds) < 2:
        return None
    own, theirs = values[bounds], others[bounds]
    return float((own[1:] / own[:-1] > theirs[1:] / theirs[:-1]).mean())


def monthly(values: Floats, others: Floats | None, sessions: Sequence[date]) -> list[dict[str, Any]]:
    """Return of each calendar month, and that of what it is held against; the first begins with the first value."""
    rows, begun = [], 0
    for (year, month), days in groupby(range(len(sessions)), key=lambda row: (sessions[row].year, sessions[row].month)):
        last = list(days)[-1]
        if last > begun:
            rows.append(
                {
                    "year": year,
                    "month": month,
                    "portfolio": float(values[last] / values[begun] - 1),
                    "benchmark": None if others is None else float(others[last] / others[begun] - 1),
                }
            )
        begun = last
    return rows


def tell_series(
    own: Backtest,
    universe: Backtest,
    start: int,
    sessions: Sequence[date],
    *,
    index: Mapping[date, float],
    regimes: Mapping[date, str],
) -> dict[str, list[Any]]:
    """Daily columns from the first decision on; portfolio, universe and index begin at one."""
    values, others = own.values_usd[start:], universe.values_usd[start:]
    days = list(sessions[start:])
    first = index.get(days[0])
    return {
        "sessions": [day.isoformat() for day in days],
        "portfolio": _rounded(values / values[0]),
        "universe": _rounded(others / others[0]),
        "index": [None if first is None or day not in index else round(index[day] / first, 6) for day in days],
        "drawdown": _rounded(values / np.maximum.accumulate(values) - 1),
        "rolling_sharpe": rolling_sharpe(daily_returns(values)),
        "turnover": _rounded(own.turnover[start:]),
        "costs_usd": [round(float(cost), 2) for cost in own.costs_usd[start:]],
        "regimes": [regimes.get(day) for day in days],
    }


def rolling_sharpe(returns: Floats, window: int = ROLLING_SESSIONS) -> list[float | None]:
    """Of the last `window` returns, a year's; one entry a value, None before there are enough or where none varies."""
    told: list[float | None] = [None] * min(window, len(returns) + 1)
    for stop in range(window, len(returns) + 1):
        part = returns[stop - window : stop]
        deviation = float(part.std(ddof=1))
        told.append(
            round(float(part.mean()) / deviation * math.sqrt(SESSIONS_A_YEAR), 4) if deviation > 1e-12 else None
        )
    return told


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 6) for value in values]


def changes(
    decided: Decided, weights: Floats, sessions: Sequence[date], symbols: Mapping[int, str], opens: Floats
) -> Iterator[tuple[date, date, str, float, float, float | None]]:
    """decided on, filled on, symbol, weight before and after, and the open that it was filled at, for every change.

    `symbols` is by column. Weights are those aimed at; between decisions they drift with prices.
    """
    before = np.zeros(weights.shape[1])
    for row, place in enumerate(decided.places.tolist()):
        for column in np.flatnonzero(np.abs(weights[row] - before) > 1e-6).tolist():
            price = float(opens[place + 1, column])
            yield (
                sessions[place],
                sessions[place + 1],
                symbols[column],
                float(before[column]),
                float(weights[row, column]),
                price if math.isfinite(price) else None,
            )
        before = weights[row]
