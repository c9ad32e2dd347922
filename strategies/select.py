"""Which strategy the platform follows: rules over regime, availability and recent realised performance.

worth = expected affinity under the regime's probabilities (0 to 1)
      + RECENT_WEIGHT * excess return of the last quarter over the universe, net of costs, capped at +-EXCESS_FULL

The strategy of the night before stays unless it is unavailable, or another is worth clearly more and either its time
has come or the market has turned dangerous: a change of strategy turns the whole portfolio over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import DataMissing
from strategies.performance import Realised
from strategies.strategy import Strategy

RECENT_WEIGHT = 0.5
EXCESS_FULL = 0.06
MARGIN = 0.10
DWELL_SESSIONS = 21
DANGER = ("bear", "high_volatility")


@dataclass(frozen=True)
class Candidate:
    """A strategy on one night. `refusal` says why it cannot be chosen; `realised` is None where nothing is known."""

    strategy: Strategy
    refusal: str | None
    realised: Realised | None


@dataclass(frozen=True)
class Incumbent:
    """The strategy followed so far: for how many nights in a row, and the regime of the night before."""

    strategy: str
    sessions: int
    regime: str


@dataclass(frozen=True)
class Selection:
    """The pick, why in words, and everything it rests on."""

    strategy: str
    reason: str
    evidence: dict[str, Any]


def select_strategy(
    candidates: Sequence[Candidate],
    *,
    regime: str,
    probabilities: Mapping[str, float],
    incumbent: Incumbent | None = None,
) -> Selection:
    """Pick one of the available candidates. DataMissing, with every refusal, when there is none."""
    worth = {candidate.strategy.name: _worth(candidate, probabilities) for candidate in candidates}
    available = {candidate.strategy.name: candidate for candidate in candidates if candidate.refusal is None}
    if not available:
        refusals = "; ".join(f"{candidate.strategy.name}: {candidate.refusal}" for candidate in candidates)
        raise DataMissing(f"no strategy can be followed: {refusals}")
    best = max(available, key=lambda name: (worth[name], name))
    chosen, story = _stay_or_change(best, available, worth, regime, incumbent)
    return Selection(
        strategy=chosen,
        reason=f"{available[chosen].strategy.label}: {_because(available[chosen], regime, probabilities)}; {story}.",
        evidence={
            "regime": regime,
            "probabilities": dict(probabilities),
            "incumbent": asdict(incumbent) if incumbent else None,
            "strategies": {
                candidate.strategy.name: {
                    "available": candidate.refusal is None,
                    "refusal": candidate.refusal,
                    "affinity": round(candidate.strategy.suits(probabilities), 6),
                    "realised": candidate.realised.as_dict() if candidate.realised else None,
                    "worth": round(worth[candidate.strategy.name], 6),
                }
                for candidate in candidates
            },
        },
    )


def _worth(candidate: Candidate, probabilities: Mapping[str, float]) -> float:
    affinity = candidate.strategy.suits(probabilities)
    if candidate.realised is None:
        return affinity
    return affinity + RECENT_WEIGHT * max(-1.0, min(1.0, candidate.realised.excess_return / EXCESS_FULL))


def _stay_or_change(
    best: str,
    available: Mapping[str, Candidate],
    worth: Mapping[str, float],
    regime: str,
    incumbent: Incumbent | None,
) -> tuple[str, str]:
    """The strategy to follow and the story of staying or changing."""
    if incumbent is None:
        return best, f"worth {worth[best]:.2f}, the most of those available"
    old = incumbent.strategy
    if old not in available:
        return best, f"worth {worth[best]:.2f}; {old} is not available any more"
    if best == old:
        return old, f"worth {worth[old]:.2f}, still the most of those available"
    lead = worth[best] - worth[old]
    if lead < MARGIN:
        return old, f"kept at worth {worth[old]:.2f}: {best} leads by {lead:.2f} only, less than {MARGIN:.2f}"
    if regime in DANGER and incumbent.regime not in DANGER:
        return best, f"worth {worth[best]:.2f}, replaces {old} ({worth[old]:.2f}) because the market turned dangerous"
    if incumbent.sessions < DWELL_SESSIONS:
        story = f"kept for at least {DWELL_SESSIONS} sessions (now {incumbent.sessions})"
        return old, f"{story}, although {best} leads by {lead:.2f}"
    return best, f"worth {worth[best]:.2f}, replaces {old} ({worth[old]:.2f})"


def _because(candidate: Candidate, regime: str, probabilities: Mapping[str, float]) -> str:
    market = f"the market is in a {regime.replace('_', ' ')} regime ({probabilities.get(regime, 0):.0%} likely)"
    suits = f"{market}, which suits it {candidate.strategy.affinity[regime]:.2f} of 1"
    if candidate.realised is None:
        return f"{suits}; its recent performance is not known"
    realised = candidate.realised
    return (
        f"{suits}; over the last {realised.sessions} sessions its best-ranked stocks returned"
        f" {realised.total_return:.1%} after costs, the universe {realised.universe_return:.1%}"
    )
