"""A halted account trades nothing until a person has looked at it."""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """The same verdict for the whole basket."""
    active = basket.status == "active"
    reason = "the account is active" if active else f"the account is {basket.status}: {basket.status_reason}"
    return [Verdict(active, basket.status, "active", reason)] * len(basket.proposals)
