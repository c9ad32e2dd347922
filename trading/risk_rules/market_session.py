"""Orders are made after a session's close, for the next one; on any other day nobody would fill them."""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """The same verdict for the whole basket."""
    if basket.executes_on is None:
        verdict = Verdict(False, str(basket.as_of), "a session", f"the exchange was closed on {basket.as_of}")
    else:
        verdict = Verdict(
            True, str(basket.executes_on), "the next session", f"to be filled at the open of {basket.executes_on}"
        )
    return [verdict] * len(basket.proposals)
