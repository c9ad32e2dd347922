"""What would improve an account's health: concrete trades, each judged by assessing the account after it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from portfolios.facts import Facts
from portfolios.health_rules import BANDS, past_returns
from quant.exposure import annual_volatility

STEPS_A_COMPONENT = 3


@dataclass(frozen=True)
class Idea:
    """Signed shares by instrument, in words, for the component that asks for it."""

    component: str
    text: str
    shares: Mapping[int, float]


def find_ideas(facts: Facts) -> list[Idea]:
    """Everything that a component would have changed; whether it helps is for the caller to find out."""
    return [
        *_shrink_positions(facts),
        *_shrink_sectors(facts),
        *_calm(facts),
        *_raise_cash(facts),
        *_follow_target(facts),
        *_drop_restricted(facts),
    ]


def _shrink_positions(facts: Facts) -> list[Idea]:
    over = sorted(
        (key for key in facts.values if facts.weight(key) > facts.position_max), key=lambda key: -facts.values[key]
    )
    ideas = []
    for key in over[:STEPS_A_COMPONENT]:
        shares = _ceil((facts.values[key] - facts.position_max * facts.total) / facts.prices[key])
        text = (
            f"Sell about {shares:,} shares of {facts.symbols[key]}: {facts.weight(key):.1%} of the account,"
            f" at most {facts.position_max:.1%} by the mandate"
        )
        ideas.append(Idea("concentration", text, {key: -float(shares)}))
    return ideas


def _shrink_sectors(facts: Facts) -> list[Idea]:
    ideas = []
    for name, share in sorted(facts.sector_weights().items(), key=lambda item: -item[1]):
        if share > facts.sector_max:
            own = {key: value for key, value in facts.values.items() if facts.sectors[key] == name}
            part = 1.0 - facts.sector_max / share
            text = (
                f"Sell about {part:.0%} of each of the {len(own)} holdings in {name}"
                f" ({part * share * facts.total:,.0f} USD): {share:.1%} of the account, at most {facts.sector_max:.1%}"
            )
            ideas.append(Idea("concentration", text, _part_of(facts, own, part)))
    return ideas[:STEPS_A_COMPONENT]


def _calm(facts: Facts) -> list[Idea]:
    daily = past_returns(facts)
    if isinstance(daily, str):
        return []
    limit, volatility = BANDS[facts.tolerance].volatility, annual_volatility(daily)
    if volatility <= limit:
        return []
    part = 1.0 - limit / volatility
    amount = part * sum(facts.values.values())
    text = (
        f"Keep about {amount:,.0f} USD more in cash by selling {part:.0%} of each holding: that brings"
        f" volatility from {volatility:.1%} to {limit:.0%}"
    )
    return [Idea("risk", text, _part_of(facts, facts.values, part))]


def _raise_cash(facts: Facts) -> list[Idea]:
    missing = (facts.cash_min or 0.0) * facts.total - facts.cash
    if missing <= 0 or not facts.values:
        return []
    plan = facts.plan or {}
    key = max(facts.values, key=lambda one: facts.weight(one) - plan.get(one, 0.0))
    shares = min(_ceil(missing / facts.prices[key]), math.floor(facts.values[key] / facts.prices[key] + 1e-9))
    if shares <= 0:
        return []
    text = f"Sell about {shares:,} shares of {facts.symbols[key]} to bring cash to its floor of {facts.cash_min:.1%}"
    return [Idea("cash", text, {key: -float(shares)})]


def _follow_target(facts: Facts) -> list[Idea]:
    trades = facts.drift.trades
    if not trades:
        return []
    shares = {trade.instrument_id: float(trade.quantity) * (1 if trade.side == "buy" else -1) for trade in trades}
    amount = sum(trade.value_usd for trade in trades)
    text = f"Carry out the {len(trades)} trades that lead to the target (about {amount:,.0f} USD in all)"
    return [Idea("drift", text, shares)]


def _drop_restricted(facts: Facts) -> list[Idea]:
    worst = sorted(facts.restricted, key=lambda key: -facts.values[key])[:STEPS_A_COMPONENT]
    return [
        Idea(
            "quality",
            f"Sell all {facts.values[key] / facts.prices[key]:,.0f} shares of {facts.symbols[key]}:"
            f" the account must not hold it ({facts.restricted[key]})",
            {key: -facts.values[key] / facts.prices[key]},
        )
        for key in worst
    ]


def _part_of(facts: Facts, values: Mapping[int, float], part: float) -> dict[int, float]:
    return {key: -float(_ceil(part * value / facts.prices[key])) for key, value in values.items()}


def _ceil(shares: float) -> int:
    # What binary fractions add to a whole number is no share more.
    return math.ceil(shares - 1e-6)
