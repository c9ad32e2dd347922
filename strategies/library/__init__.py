"""The visible list of all strategies, by name."""

from strategies.library import dividend, growth, low_volatility, momentum, quality, value
from strategies.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    module.STRATEGY.name: module.STRATEGY for module in (growth, value, dividend, momentum, quality, low_volatility)
}
