"""Drifts made by hand."""

from collections.abc import Mapping
from decimal import Decimal

from core.money import ZERO
from portfolios.drift import Drift, Gap, Trade


def make_drift(trades: Mapping[int, int] | None = None) -> Drift:
    """A drift that these signed shares, at 50 USD each, would remove."""
    gaps = tuple(
        Gap(
            instrument_id=key,
            symbol=f"S{key:02}",
            name=f"Stock {key}",
            weight=ZERO,
            target_weight=ZERO,
            difference=ZERO,
            is_off=True,
            trade=Trade(
                key, f"S{key:02}", "buy" if shares > 0 else "sell", Decimal(abs(shares)), Decimal(50) * abs(shares)
            ),
        )
        for key, shares in (trades or {}).items()
    )
    return Drift(
        account_id=1,
        account="one",
        value_usd=Decimal(1_000_000),
        target_on=None,
        strategy=None,
        threshold=None,
        total=ZERO,
        cash_weight=None,
        cash_target=None,
        cash_difference=None,
        off_count=len(gaps),
        gaps=gaps,
    )
