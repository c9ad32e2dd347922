"""Distance from highs and lows. George and Hwang (2004), Journal of Finance 59(5): the 52-week high."""

from features.feature import StockFeature
from features.windows import rolling_max


def _drawdown(window: int) -> StockFeature:
    return StockFeature(
        name=f"drawdown_{window}",
        group="risk",
        inputs=("adj_close",),
        look_back=window - 1,
        unit="fraction",
        description=f"return since the highest close of {window} sessions",
        compute=lambda stock: stock.adj_close / rolling_max(stock.adj_close, window) - 1.0,
    )


FEATURES = (
    *(_drawdown(window) for window in (63, 252)),
    StockFeature(
        name="high_distance_252",
        group="momentum",
        inputs=("adj_close", "close", "high"),
        look_back=251,
        unit="fraction",
        description="price against the 52-week high",
        compute=lambda stock: stock.adj_close / stock.highest(252) - 1.0,
    ),
    StockFeature(
        name="low_distance_252",
        group="momentum",
        inputs=("adj_close", "close", "low"),
        look_back=251,
        unit="fraction",
        description="price against the 52-week low",
        compute=lambda stock: stock.adj_close / stock.lowest(252) - 1.0,
    ),
)
