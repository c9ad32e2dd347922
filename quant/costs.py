"""What a trade costs beyond the price on the screen."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats = npt.NDArray[np.float64]
VOLUME_SESSIONS = 21
"""Sessions, the night of the decision included, over which the average daily volume is taken."""
DAILY_VOLATILITY_USUAL = 0.01
"""Deviation of daily returns at which an impact scaled by volatility is `impact_bps`."""


@dataclass(frozen=True)
class CostModel:
    """Costs of one order: commission, half the spread, and market impact by the square-root law.

    A buy pays open * (1 + half_spread + impact), a sale receives open * (1 - half_spread - impact), where
    impact = impact_bps * sqrt(shares / average daily volume): Almgren, Thum, Hauptmann and Li (2005),
    "Direct Estimation of Equity Market Impact"; the exponent 1/2 is the practitioners' rule. `impact_bps` is the
    impact of an order as large as a day's volume. Commission comes on top, per share with a floor per order.

    `impact_by_volatility` multiplies the impact by the stock's daily volatility over 1 %, so that 100 bps is the law
    impact = volatility * sqrt(shares / volume): Grinold and Kahn (1999), "Active Portfolio Management", chapter 16;
    Toth et al. (2011), "Anomalous Price Impact and the Critical Nature of Liquidity in Financial Markets".
    """

    half_spread_bps: float = 2.0
    impact_bps: float = 100.0
    commission_usd_per_share: float = 0.0035
    commission_usd_min: float = 0.35
    impact_by_volatility: bool = False

    def doubled(self) -> "CostModel":
        """The same model twice as dear, for stress."""
        return replace(
            self,
            half_spread_bps=2 * self.half_spread_bps,
            impact_bps=2 * self.impact_bps,
            commission_usd_per_share=2 * self.commission_usd_per_share,
            commission_usd_min=2 * self.commission_usd_min,
        )

    def depth(self, volumes: Floats, volatilities: Floats | None) -> Floats:
        """Shares that the simulator takes for a day's volume: impact is impact_bps * sqrt(shares / depth).

        `volumes` are average daily shares, `volatilities` (same shape) deviations of daily returns; a stock whose
        volatility is not known counts as one of 1 % a day. InputError where the model needs volatilities and has none.
        """
        if not self.impact_by_volatility:
            return volumes
        if volatilities is None:
            raise InputError("impact_by_volatility needs the stocks' daily volatilities, none were given")
        # sqrt(shares / (volume / v^2)) = v * sqrt(shares / volume): one law in one kernel for both models.
        multiple = np.where(np.isfinite(volatilities), volatilities, DAILY_VOLATILITY_USUAL) / DAILY_VOLATILITY_USUAL
        with np.errstate(divide="ignore"):
            return np.where(volumes > 0, volumes / multiple**2, 0.0)


STANDARD_COSTS = CostModel()
FREE = CostModel(half_spread_bps=0.0, impact_bps=0.0, commission_usd_per_share=0.0, commission_usd_min=0.0)
