"""Where the price stands to its own averages. Brock, Lakonishok and LeBaron (1992), Journal of Finance 47(5)."""

from features.feature import StockFeature


def _distance(window: int) -> StockFeature:
    return StockFeature(
        name=f"ma_distance_{window}",
        group="trend",
        inputs=("adj_close",),
        look_back=window - 1,
        unit="fraction",
        description=f"price above its {window}-session average",
        compute=lambda stock: stock.adj_close / stock.means("adj_close", window) - 1.0,
    )


FEATURES = (
    *(_distance(window) for window in (20, 50, 200)),
    StockFeature(
        name="ma_cross_50_200",
        group="trend",
        inputs=("adj_close",),
        look_back=199,
        unit="fraction",
        description="50-session average above the 200-session average",
        compute=lambda stock: stock.means("adj_close", 50) / stock.means("adj_close", 200) - 1.0,
    ),
)
