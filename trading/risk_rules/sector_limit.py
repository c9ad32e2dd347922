"""No buy takes a sector above the mandate's largest weight; buys count one after the other, after all sales."""

from collections import defaultdict
from decimal import Decimal

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal; sales only lower a sector. Stocks of unknown sector count as one sector."""
    limit = basket.limits.sector_weight_max
    allowed = f"{limit:.2%}"
    held: dict[str, Decimal] = defaultdict(Decimal)
    for key in basket.holdings:
        held[basket.sectors.get(key) or "unknown"] += basket.holding_usd(key)
    for proposal in basket.proposals:
        if proposal.side == "sell" and proposal.recommendation_id in basket.standing:
            held[proposal.sector or "unknown"] -= proposal.value_usd
    verdicts = []
    for proposal in basket.proposals:
        sector = proposal.sector or "unknown"
        after = held[sector] + (proposal.value_usd if proposal.side == "buy" else 0)
        share = after / basket.value_usd
        passed = proposal.side == "sell" or share <= limit
        if passed and proposal.side == "buy" and proposal.recommendation_id in basket.standing:
            held[sector] = after
        reason = "within the limit" if passed else f"sector {sector} would be {share:.2%} of the account"
        verdicts.append(Verdict(passed, f"{share:.2%}", allowed, reason))
    return verdicts
