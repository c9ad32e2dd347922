"""Drift of made-up panels, 500 stocks whose days move together: false alarms, power and cost.

The peer of the alarms is SciPy's two-sample Kolmogorov-Smirnov test at p < 0.05 on the pooled values, as drift tools
apply it (Evidently's default for small samples). A month is read every day by ours, once by the peer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.claim import Claim, at_most, cost_of
from quant.drift import ALARM_P, count_days, fit_bins, judge_inputs, read_panel, refer, usual_alarms
from quant.placement import WINDOW_SESSIONS

STOCKS, FEATURES, REFERENCE, YEAR = 500, 127, 1260, 252
MONTHS, MONTHS_OF_POWER = 300, 150
SHIFT = 0.5
# Correlation of two stocks of a day, correlation of a day with the next.
CALM = ((0.1, 0.0), (0.3, 0.0), (0.3, 0.9), (0.3, 0.97))

Panel = npt.NDArray[np.float32]


def make_panel(
    random: np.random.Generator, *, days: int, correlation: float, persistence: float, stocks: int = STOCKS
) -> Panel:
    """(days, stocks) of unit variance: one factor a day, an AR(1), and each stock's own noise."""
    factor = np.empty(days)
    factor[0] = random.normal()
    for day in range(1, days):
        factor[day] = persistence * factor[day - 1] + np.sqrt(1.0 - persistence**2) * random.normal()
    own = random.standard_normal((days, stocks), dtype=np.float32)
    return np.asarray(np.sqrt(correlation) * factor[:, None] + np.sqrt(1.0 - correlation) * own, dtype=np.float32)


def alarms_in_month(seed: Sequence[int], *, correlation: float, persistence: float, shift: float) -> tuple[bool, bool]:
    """(ours on any day of a month, the peer on its last day), after five years of reference."""
    random = np.random.default_rng(seed)
    days = REFERENCE + 2 * WINDOW_SESSIONS
    panel = make_panel(random, days=days, correlation=correlation, persistence=persistence)
    panel[-WINDOW_SESSIONS:] += np.float32(shift)
    bins = fit_bins([panel[:REFERENCE:5].ravel()])
    counts = count_days(bins, [panel.ravel()], np.repeat(np.arange(days), STOCKS), days)
    readings = read_panel(refer(bins, counts[:REFERENCE]), counts[REFERENCE + 1 :])
    pooled = stats.ks_2samp(panel[:REFERENCE:5].ravel(), panel[-WINDOW_SESSIONS:].ravel())
    return bool((readings.p[-WINDOW_SESSIONS:] <= ALARM_P).any()), bool(pooled.pvalue < 0.05)


def rates(months: int, *, correlation: float, persistence: float, shift: float = 0.0) -> tuple[float, float]:
    """Share of the months that alarm: (ours, the peer)."""
    setting = (round(100 * correlation), round(100 * persistence))
    told = [
        alarms_in_month((*setting, month), correlation=correlation, persistence=persistence, shift=shift)
        for month in range(months)
    ]
    return float(np.mean([ours for ours, _ in told])), float(np.mean([peer for _, peer in told]))


def _absolute(claim: str, *, ours: float, peer: float, bar: float, ok: bool) -> Claim:
    """A claim about ours alone; the peer stands beside it."""
    return Claim(claim, ours, peer, ours / peer if peer > 0 else 0.0, bar, ok=ok, unit="share of months")


def measure() -> Iterator[Claim]:
    """False alarms on calm panels, power at half a deviation, and the cost of a year of 127 features."""
    for correlation, persistence in CALM:
        ours, peer = rates(MONTHS, correlation=correlation, persistence=persistence)
        # Two standard errors of MONTHS draws at 5 %.
        bar = ALARM_P + 2.0 * float(np.sqrt(ALARM_P * (1.0 - ALARM_P) / MONTHS))
        name = f"calm months, day correlation {correlation}, next day {persistence}"
        yield _absolute(f"{name}: false alarms, 0.05 + 2 SE", ours=ours, peer=peer, bar=bar, ok=ours <= bar)
    ours, peer = rates(MONTHS_OF_POWER, correlation=0.3, persistence=0.0, shift=SHIFT)
    name = f"months shifted by {SHIFT} deviations, day correlation 0.3: found within {WINDOW_SESSIONS} sessions"
    yield _absolute(name, ours=ours, peer=peer, bar=0.9, ok=ours >= 0.9)
    yield from _cost()


def _cost() -> Iterator[Claim]:
    """127 features x 500 stocks: two years of reference and a month, against SciPy's test of each feature."""
    random = np.random.default_rng(1)
    reference, days = 2 * YEAR, 2 * YEAR + WINDOW_SESSIONS
    columns = [make_panel(random, days=days, correlation=0.3, persistence=0.0).ravel() for _ in range(FEATURES)]
    day = np.repeat(np.arange(days), STOCKS)

    def ours() -> None:
        bins = fit_bins([column[: reference * STOCKS] for column in columns])
        counts = count_days(bins, columns, day, days)
        panel = read_panel(refer(bins, counts[:reference]), counts[reference:])
        judge_inputs(panel, usual_alarms(bins, counts[:reference]))

    def peer() -> None:
        for column in columns:
            stats.ks_2samp(column[: reference * STOCKS], column[reference * STOCKS :])

    yield at_most(
        f"read {FEATURES} features x {STOCKS} stocks x ({reference} + {WINDOW_SESSIONS}) days: CPU against SciPy",
        ours=cost_of(ours, best_of=1).cpu_s,
        peer=cost_of(peer, best_of=1).cpu_s,
        bar=1.5,
        unit="CPU s",
    )
