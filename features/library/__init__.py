"""The visible list of all features, in the order of their columns."""

from features.feature import Feature
from features.library import (
    distribution,
    extremes,
    growth,
    liquidity,
    macro,
    market,
    market_relation,
    momentum,
    moving_averages,
    oscillators,
    payout,
    quality,
    reversal,
    seasonality,
    size,
    standing,
    value,
    volatility,
)

FEATURES: dict[str, Feature] = {
    feature.name: feature
    for family in (
        momentum,
        reversal,
        volatility,
        oscillators,
        moving_averages,
        liquidity,
        extremes,
        market_relation,
        distribution,
        seasonality,
        value,
        quality,
        growth,
        size,
        payout,
        macro,
        market,
        standing,
    )
    for feature in family.FEATURES
}
