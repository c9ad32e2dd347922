"""No trade on an old, missing or unbelievable price.

A close that halves or doubles within a session is more often a data fault (a split missed, a lost digit) than news;
a person may look and trade by hand.
"""

from decimal import Decimal

from trading.risk_rule import Basket, Proposal, Verdict

RATIO_MAX = Decimal(2)


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal."""
    return [_verdict(basket, proposal) for proposal in basket.proposals]


def _verdict(basket: Basket, proposal: Proposal) -> Verdict:
    facts = basket.prices.get(proposal.instrument_id)
    allowed = f"a close of {basket.as_of}"
    if facts is None:
        return Verdict(False, "no price", allowed, f"{proposal.symbol} has no price")
    if facts.price_on != basket.as_of:
        return Verdict(
            False, str(facts.price_on), allowed, f"the last price of {proposal.symbol} is of {facts.price_on}"
        )
    if facts.previous_close is not None and facts.previous_close > 0:
        ratio = facts.close / facts.previous_close
        if not 1 / RATIO_MAX < ratio < RATIO_MAX:
            return Verdict(
                False,
                f"{ratio:.4f} of the close before",
                f"between {1 / RATIO_MAX} and {RATIO_MAX}",
                f"{proposal.symbol} went from {facts.previous_close} to {facts.close} in one session: not believed",
            )
    return Verdict(True, str(facts.price_on), allowed, "the price is of this session")
