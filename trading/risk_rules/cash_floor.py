"""No buy takes cash under the floor: buys one after the other, from cash and from the sales that still stand."""

from core.money import ZERO
from trading.risk_rule import COST_RESERVE, Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal; sales only raise cash."""
    floor = basket.limits.cash_weight_min * basket.value_usd
    allowed = f"{floor:.2f} USD"
    cash = basket.cash_usd - basket.reserved_usd
    lost = ZERO
    for proposal in basket.proposals:
        if proposal.side == "sell":
            proceeds = proposal.value_usd * (1 - COST_RESERVE)
            if proposal.recommendation_id in basket.standing:
                cash += proceeds
            else:
                lost += proceeds
    verdicts = []
    for proposal in basket.proposals:
        if proposal.side == "sell":
            verdicts.append(Verdict(True, f"{cash:.2f} USD", allowed, "a sale raises cash"))
            continue
        after = cash - proposal.value_usd * (1 + COST_RESERVE)
        passed = after >= floor
        if passed and proposal.recommendation_id in basket.standing:
            cash = after
        reason = "cash stays above the floor"
        if not passed:
            reason = f"cash would be {after:,.2f} USD"
            if after + lost >= floor:
                reason += f"; it was to come from refused sales of {lost:,.2f} USD"
        verdicts.append(Verdict(passed, f"{after:.2f} USD", allowed, reason))
    return verdicts
