"""Nothing that the account must not hold is bought; selling it is welcome."""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal."""
    verdicts = []
    for proposal in basket.proposals:
        by = basket.restricted.get(proposal.instrument_id)
        if by is None:
            verdicts.append(Verdict(True, "not restricted", "not restricted", "no restriction names it"))
        elif proposal.side == "sell":
            verdicts.append(Verdict(True, by, "sales only", f"restricted by {by}, and this sells it"))
        else:
            verdicts.append(Verdict(False, by, "sales only", f"{proposal.symbol} is restricted by {by}"))
    return verdicts
