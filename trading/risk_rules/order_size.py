"""Fat finger: no order above a quarter of the account or a twentieth of a day's volume; no sale beyond what is held."""

from decimal import Decimal

from trading.risk_rule import Basket, Proposal, Verdict

VALUE_SHARE_MAX = Decimal("0.25")
VOLUME_SHARE_MAX = Decimal("0.05")


def judge(basket: Basket) -> list[Verdict]:
    """One verdict per proposal."""
    return [_verdict(basket, proposal) for proposal in basket.proposals]


def _verdict(basket: Basket, proposal: Proposal) -> Verdict:
    held = basket.holdings.get(proposal.instrument_id, Decimal(0))
    if proposal.side == "sell" and proposal.quantity > held:
        return Verdict(
            False, f"{proposal.quantity} shares", f"{held} shares", f"sells more of {proposal.symbol} than is held"
        )
    share = proposal.value_usd / basket.value_usd if basket.value_usd > 0 else Decimal("Infinity")
    if share > VALUE_SHARE_MAX:
        return Verdict(
            False,
            f"{share:.2%} of the account",
            f"{VALUE_SHARE_MAX:.0%} of the account",
            f"an order of {proposal.value_usd:,.2f} USD is too large for this account",
        )
    facts = basket.prices.get(proposal.instrument_id)
    volume = facts.average_volume if facts is not None else Decimal(0)
    if proposal.quantity > VOLUME_SHARE_MAX * volume:
        return Verdict(
            False,
            f"{proposal.quantity} shares",
            f"{VOLUME_SHARE_MAX:.0%} of {volume:.0f} shares a day",
            f"{proposal.symbol} trades too little for an order of {proposal.quantity} shares",
        )
    return Verdict(True, f"{share:.2%} of the account", f"{VALUE_SHARE_MAX:.0%} of the account", "of ordinary size")
