"""What a trade costs beyond the price on the screen."""

from dataclasses import dataclass

VOLUME_SESSIONS = 21
"""Sessions, the night of the decision included, over which the average daily volume is taken."""


@dataclass(frozen=True)
class CostModel:
    """Costs of one order: commission, half the spread, and market impact by the square-root law.

    A buy pays open * (1 + half_spread + impact), a sale receives open * (1 - half_spread - impact), where
    impact = impact_bps * sqrt(shares / average daily volume): Almgren, Thum, Hauptmann and Li (2005),
    "Direct Estimation of Equity Market Impact"; the exponent 1/2 is the practitioners' rule. `impact_bps` is the
    impact of an order as large as a day's volume. Commission comes on top, per share with a floor per order.
    """

    half_spread_bps: float = 2.0
    impact_bps: float = 100.0
    commission_usd_per_share: float = 0.0035
    commission_usd_min: float = 0.35

    def doubled(self) -> "CostModel":
        """The same model twice as dear, for stress."""
        return CostModel(
            half_spread_bps=2 * self.half_spread_bps,
            impact_bps=2 * self.impact_bps,
            commission_usd_per_share=2 * self.commission_usd_per_share,
            commission_usd_min=2 * self.commission_usd_min,
        )


STANDARD_COSTS = CostModel()
FREE = CostModel(half_spread_bps=0.0, impact_bps=0.0, commission_usd_per_share=0.0, commission_usd_min=0.0)
