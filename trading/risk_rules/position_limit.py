"""No buy takes a position above the mandate's largest weight."""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal; sales only lower a weight."""
    limit = basket.limits.position_weight_max
    allowed = f"{limit:.2%}"
    verdicts = []
    for proposal in basket.proposals:
        signed = proposal.value_usd if proposal.side == "buy" else -proposal.value_usd
        after = (basket.holding_usd(proposal.instrument_id) + signed) / basket.value_usd
        passed = proposal.side == "sell" or after <= limit
        reason = "within the limit" if passed else f"{proposal.symbol} would be {after:.2%} of the account"
        verdicts.append(Verdict(passed, f"{after:.2%}", allowed, reason))
    return verdicts
