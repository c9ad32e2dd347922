"""One night trades at most the mandate's turnover, both sides counted, in the basket's order.

Sales come first there, so what has to go goes before anything new is bought.
"""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal."""
    limit = basket.limits.turnover_max
    allowed = f"{limit:.2%}"
    traded = basket.traded_usd
    verdicts = []
    for proposal in basket.proposals:
        share = (traded + proposal.value_usd) / basket.value_usd
        passed = share <= limit
        if passed and proposal.recommendation_id in basket.standing:
            traded += proposal.value_usd
        reason = "within the limit" if passed else f"the night's trades would come to {share:.2%} of the account"
        verdicts.append(Verdict(passed, f"{share:.2%}", allowed, reason))
    return verdicts
