"""The six questions of the health score: each gives 0 to 100, says what was measured and where its bar is.

Within the bar a component is 100; beyond it falls in a straight line. ADR 0024 gives the reasons and the sources.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from portfolios.allocation import UNKNOWN_SECTOR
from portfolios.facts import HISTORY_SESSIONS_MIN, Facts, Floats
from quant.drawdown import find_drawdown
from quant.exposure import annual_volatility, beta, effective_number

HOLDINGS_ENOUGH = 15.0
SECTORS_ENOUGH = 5.0
DRIFT_WORST = 0.25
CASH_SPARE = 0.05
COVERAGE_MIN = 0.9


@dataclass(frozen=True)
class Band:
    """What a tolerance for risk bears: volatility a year, deepest fall and slope on the index."""

    volatility: float
    drawdown: float
    beta: float


# Volatility: upper ends of the risk classes 4, 5 and 6 of CESR/10-673 (UCITS risk indicator). The others are ours.
BANDS: Mapping[str, Band] = {
    "conservative": Band(volatility=0.10, drawdown=0.10, beta=0.8),
    "balanced": Band(volatility=0.15, drawdown=0.20, beta=1.0),
    "growth": Band(volatility=0.25, drawdown=0.30, beta=1.3),
}


@dataclass(frozen=True)
class Finding:
    """One component; `score` is None where the answer is not known, and the sentence says why."""

    score: float | None
    measured: str
    bar: str
    sentence: str


def diversification(facts: Facts) -> Finding:
    """Effective numbers of holdings and of sectors."""
    bar = f"at least {HOLDINGS_ENOUGH:.0f} equal holdings in {SECTORS_ENOUGH:.0f} equal sectors"
    held = effective_number(np.array(list(facts.values.values())))
    sectors = effective_number(np.array(list(facts.sector_weights().values())))
    if held is None or sectors is None:
        return Finding(None, "nothing", bar, "Nothing is held, so nothing can be spread.")
    score = 50.0 * _share(held, HOLDINGS_ENOUGH) + 50.0 * _share(sectors, SECTORS_ENOUGH)
    return Finding(
        score,
        f"{held:.1f} equal holdings, {sectors:.1f} equal sectors",
        bar,
        f"{len(facts.values)} holdings are spread as {held:.1f} equal ones would be, over {sectors:.1f} sectors.",
    )


def concentration(facts: Facts) -> Finding:
    """The largest position and sector against the mandate."""
    bar = f"position at most {facts.position_max:.1%}, sector at most {facts.sector_max:.1%} (mandate)"
    if facts.cash_min is None:
        return Finding(None, "no mandate", bar, "No mandate is in force, so there is no limit to compare with.")
    if not facts.values:
        return Finding(None, "nothing", bar, "Nothing is held, so nothing is concentrated.")
    largest = max(facts.values, key=lambda key: facts.values[key])
    sectors = facts.sector_weights()
    crowded = max(sectors, key=lambda name: sectors[name])
    score = min(
        _within(facts.weight(largest), facts.position_max),
        # Stocks without a sector have nothing in common that could fail together.
        100.0 if crowded == UNKNOWN_SECTOR else _within(sectors[crowded], facts.sector_max),
    )
    return Finding(
        score,
        f"{facts.symbols[largest]} {facts.weight(largest):.1%}, {crowded} {sectors[crowded]:.1%}",
        bar,
        f"The largest position is {facts.symbols[largest]} with {facts.weight(largest):.1%},"
        f" the largest sector {crowded} with {sectors[crowded]:.1%}.",
    )


def risk(facts: Facts) -> Finding:
    """What today's weights, cash included, would have gone through over the look-back."""
    band = BANDS[facts.tolerance]
    bar = (
        f"volatility at most {band.volatility:.0%} (CESR/10-673), fall at most {band.drawdown:.0%},"
        f" beta at most {band.beta:.1f} for a {facts.tolerance} client"
    )
    daily = past_returns(facts)
    if isinstance(daily, str):
        return Finding(None, "unknown", bar, daily)
    volatility = annual_volatility(daily)
    fall = -find_drawdown(np.concatenate([[1.0], np.cumprod(1.0 + daily)])).depth
    slope = beta(daily, facts.history.market) if facts.history.market is not None else None
    scores = [_within(volatility, band.volatility), _within(fall, band.drawdown)]
    if slope is not None:
        scores.append(_within(slope, band.beta))
    told = "" if slope is None else f", beta {slope:.2f}"
    return Finding(
        sum(scores) / len(scores),
        f"volatility {volatility:.1%}, deepest fall {fall:.1%}{told}",
        bar,
        f"Today's holdings would have swung by {volatility:.1%} a year over {len(daily)} sessions"
        f" and fallen by {fall:.1%} at worst.",
    )


def past_returns(facts: Facts) -> Floats | str:
    """Daily returns of today's weights over the look-back, or why they are not known."""
    if not facts.values:
        return "Nothing is held, so nothing is at risk."
    if facts.history.sessions < HISTORY_SESSIONS_MIN:
        return f"Only {facts.history.sessions} sessions of prices are known; {HISTORY_SESSIONS_MIN} are needed."
    known = {key: value for key, value in facts.values.items() if key in facts.history.returns}
    invested = sum(facts.values.values())
    covered = sum(known.values())
    if covered < COVERAGE_MIN * invested:
        return f"Only {covered / invested:.0%} of the holdings have prices for the whole look-back."
    # The few without a past are taken to have moved as the others did.
    scale = invested / covered / facts.total
    daily: Floats = np.stack([facts.history.returns[key] for key in known], axis=1) @ (
        np.array(list(known.values())) * scale
    )
    return daily


def cash(facts: Facts) -> Finding:
    """Not under the mandate's floor, not far above what the target leaves."""
    if facts.cash_min is None or facts.total <= 0:
        return Finding(None, "unknown", "the mandate's floor", "No mandate is in force, or the account is empty.")
    share = facts.cash / facts.total
    if facts.plan_cash is None:
        bar = f"at least {facts.cash_min:.1%} (mandate)"
        ceiling = 1.0
    else:
        ceiling = max(facts.plan_cash, facts.cash_min) + CASH_SPARE
        bar = f"{facts.cash_min:.1%} (mandate) to {ceiling:.1%} (target and {CASH_SPARE:.0%})"
    if share < facts.cash_min:
        score, word = 100.0 * max(share, 0.0) / facts.cash_min, "under its floor"
    elif share > ceiling:
        score, word = 100.0 * (1.0 - share) / (1.0 - ceiling), "more than the target leaves"
    else:
        score, word = 100.0, "within its bounds"
    return Finding(score, f"{share:.1%}", bar, f"Cash is {share:.1%} of the account, {word}.")


def drift(facts: Facts) -> Finding:
    """The share of the account that is in the wrong place, beyond what the threshold lets stand."""
    bar = f"each holding within {facts.threshold:.2%} of its target (mandate)"
    if facts.plan is None or facts.cash_min is None or facts.total <= 0:
        return Finding(None, "unknown", bar, "No target or no mandate is known for this account yet.")
    gaps = {key: facts.weight(key) - facts.plan.get(key, 0.0) for key in {*facts.values, *facts.plan}}
    cash_gap = facts.cash / facts.total - (facts.plan_cash or 0.0)
    total = (sum(abs(gap) for gap in gaps.values()) + abs(cash_gap)) / 2
    off = [key for key, gap in gaps.items() if abs(gap) >= facts.threshold]
    excess = min(total, sum(abs(gaps[key]) for key in off))
    return Finding(
        100.0 * (1.0 - min(excess / DRIFT_WORST, 1.0)),
        f"{total:.1%} in all, {len(off)} of {len(gaps)} holdings off",
        bar,
        f"{total:.1%} of the account would have to change hands to meet the target; {len(off)} holdings are off.",
    )


def quality(facts: Facts) -> Finding:
    """Whether what is held is wanted: in the target, well ranked, freshly priced, allowed."""
    bar = "every holding in the target or tonight's screen, freshly priced and allowed"
    if not facts.values:
        return Finding(None, "nothing", bar, "Nothing is held, so nothing can be judged.")
    invested = sum(facts.values.values())
    score = sum(value * _mark(facts, key) for key, value in facts.values.items()) / invested
    outside = sum(1 for key in facts.values if facts.plan is not None and key not in facts.plan)
    measured = f"{len(facts.restricted)} restricted, {len(facts.stale)} stale, {outside} outside the target"
    return Finding(score, measured, bar, f"Of {len(facts.values)} holdings: {measured}.")


def _mark(facts: Facts, key: int) -> float:
    if key in facts.restricted and key in facts.values:
        return 0.0
    if key in facts.stale:
        return 30.0
    if facts.plan is None or key in facts.plan:
        return 100.0
    return 100.0 - 50.0 * facts.ranks[key] if key in facts.ranks else 40.0


def _share(number: float, enough: float) -> float:
    return min(max(number - 1.0, 0.0) / (enough - 1.0), 1.0)


def _within(value: float, limit: float) -> float:
    """100 up to the limit, 0 at twice the limit."""
    if value <= limit or math.isclose(value, limit, rel_tol=1e-9):
        return 100.0
    return 100.0 * max(0.0, 2.0 - value / limit)


Rule = Callable[[Facts], Finding]
RULES: Mapping[str, tuple[int, Rule]] = {
    "diversification": (20, diversification),
    "concentration": (20, concentration),
    "risk": (20, risk),
    "cash": (10, cash),
    "drift": (20, drift),
    "quality": (10, quality),
}
