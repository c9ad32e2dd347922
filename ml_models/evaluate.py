"""How good the scores were on sessions that their model had not seen.

AUC is the chance that a winner outscores a loser. Rank IC is the day's Spearman correlation of score and forward
return; its t-statistic uses the Newey-West (1987) variance, because labels of 21 sessions overlap from week to week.
The decile spread holds the best tenth against the worst, rebalanced once a label span, and pays for every change.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from quant.costs import STANDARD_COSTS

Floats = npt.NDArray[np.float64]

DECILE = 0.1
STOCKS_A_DAY_MIN = 20
# An order of one percent of a day's volume is what a mid-sized book trades in a large stock.
PARTICIPATION = 0.01
COST_PER_USD_TRADED = (STANDARD_COSTS.half_spread_bps + STANDARD_COSTS.impact_bps * math.sqrt(PARTICIPATION)) / 10_000.0


@dataclass(frozen=True)
class ScoredDay:
    """One session's eligible stocks with known forward returns; all arrays are parallel."""

    session_on: date
    instrument_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    forward: Floats
    labels: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Quality:
    """The measures of a set of sessions; None where there are too few to tell. Spreads are per label span."""

    sessions: int
    rows: int
    auc: float | None
    rank_ic: float | None
    rank_ic_t: float | None
    decile_spread_gross: float | None
    decile_spread_net: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def auc(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float | None:
    """Area under the ROC curve by the rank-sum identity, ties counted half; None with one class only."""
    positive = labels > 0.5
    winners, losers = int(positive.sum()), int((~positive).sum())
    if not winners or not losers:
        return None
    rank_sum = float(rankdata(scores)[positive].sum())
    return (rank_sum - winners * (winners + 1) / 2) / (winners * losers)


def rank_ic(scores: npt.NDArray[Any], forward: Floats) -> float | None:
    """Spearman correlation; None where one side does not vary."""
    return correlation(rankdata(scores), rankdata(forward))


def correlation(left: Floats, right: Floats) -> float | None:
    """Pearson correlation; None where one side does not vary."""
    a, b = left - left.mean(), right - right.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else None


def newey_west_t(values: Floats, lags: int) -> float | None:
    """t-statistic of the mean with Bartlett weights over `lags` autocovariances; None below three values."""
    size = len(values)
    if size < 3:
        return None
    deviations = values - values.mean()
    variance = float(deviations @ deviations) / size
    for lag in range(1, min(lags, size - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(deviations[lag:] @ deviations[:-lag]) / size
    return float(values.mean()) / math.sqrt(variance / size) if variance > 0 else None


def decile_spread(days: Iterable[ScoredDay], *, spans_apart: int) -> tuple[float | None, float | None]:
    """Mean forward return of the top decile minus the bottom one, (gross, net of costs), over every n-th day.

    Net pays COST_PER_USD_TRADED on each change of weight, the first purchase included, on both legs.
    """
    gross: list[float] = []
    costs: list[float] = []
    before: dict[int, float] = {}
    for day in list(days)[::spans_apart]:
        count = max(int(len(day.scores) * DECILE), 1)
        order = np.lexsort((day.instrument_ids, -day.scores))
        top, bottom = order[:count], order[-count:]
        gross.append(float(day.forward[top].mean() - day.forward[bottom].mean()))
        now = {int(i): 1.0 / count for i in day.instrument_ids[top]}
        now |= {int(i): -1.0 / count for i in day.instrument_ids[bottom]}
        traded = sum(abs(now.get(i, 0.0) - before.get(i, 0.0)) for i in sorted(now.keys() | before.keys()))
        costs.append(traded * COST_PER_USD_TRADED)
        before = now
    if not gross:
        return None, None
    return float(np.mean(gross)), float(np.mean(gross) - np.mean(costs))


def assess(days: Iterable[ScoredDay], *, every_sessions: int, label_sessions: int) -> Quality:
    """All measures over `days` (rising, `every_sessions` apart); days of fewer than 20 stocks say nothing."""
    kept = [day for day in days if len(day.scores) >= STOCKS_A_DAY_MIN]
    if not kept:
        return Quality(0, 0, None, None, None, None, None)
    overlap = math.ceil(label_sessions / every_sessions)
    correlations = np.array([ic for day in kept if (ic := rank_ic(day.scores, day.forward)) is not None])
    gross, net = decile_spread(kept, spans_apart=overlap)
    return Quality(
        sessions=len(kept),
        rows=sum(len(day.scores) for day in kept),
        auc=auc(np.concatenate([day.scores for day in kept]), np.concatenate([day.labels for day in kept])),
        rank_ic=float(correlations.mean()) if len(correlations) else None,
        rank_ic_t=newey_west_t(correlations, overlap - 1),
        decile_spread_gross=gross,
        decile_spread_net=net,
    )


def assess_by(
    days: Iterable[ScoredDay], groups: Mapping[date, str], *, every_sessions: int, label_sessions: int
) -> dict[str, Quality]:
    """The measures of each group of sessions (`groups`: session -> its group; others are left out)."""
    sorted_in: dict[str, list[ScoredDay]] = {}
    for day in days:
        if day.session_on in groups:
            sorted_in.setdefault(groups[day.session_on], []).append(day)
    return {
        name: assess(members, every_sessions=every_sessions, label_sessions=label_sessions)
        for name, members in sorted(sorted_in.items())
    }


def calibration(days: Iterable[ScoredDay], *, bins: int = 10) -> list[tuple[float, float, float]]:
    """(mean score, share that beat the median, mean forward return) of each tenth of the scores, lowest first."""
    kept = list(days)
    if not kept:
        return []
    scores = np.concatenate([day.scores for day in kept])
    labels = np.concatenate([day.labels for day in kept])
    forward = np.concatenate([day.forward for day in kept])
    parts = np.array_split(np.argsort(scores, kind="stable"), bins)
    return [
        (float(scores[part].mean()), float(labels[part].mean()), float(forward[part].mean()))
        for part in parts
        if len(part)
    ]
