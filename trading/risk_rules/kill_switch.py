"""Nothing is traded under a kill switch: not for its client, not by its strategy, not at all."""

from trading.risk_rule import Basket, Verdict


def judge(basket: Basket) -> list[Verdict]:
    """The same verdict for the whole basket."""
    if basket.stopped_by is None:
        verdict = Verdict(True, "off", "off", "no kill switch is on")
    else:
        verdict = Verdict(False, "on", "off", basket.stopped_by)
    return [verdict] * len(basket.proposals)
