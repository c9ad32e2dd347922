"""Fear and interest rates, the same for all stocks of a day."""

from collections.abc import Callable

from features.arrays import Floats
from features.feature import MarketFeature, Unit
from features.history import MACRO_LAG_DAYS, YEAR_SESSIONS, MarketHistory
from features.windows import lagged, share_below


def _macro(
    name: str,
    inputs: tuple[str, ...],
    look_back: int,
    unit: Unit,
    description: str,
    compute: Callable[[MarketHistory], Floats],
) -> MarketFeature:
    return MarketFeature(
        name=name,
        group="macro",
        inputs=inputs,
        look_back=look_back,
        lag_days=max(MACRO_LAG_DAYS[series] for series in inputs),
        unit=unit,
        description=description,
        compute=compute,
    )


def _change(market: MarketHistory, series: str, sessions: int) -> Floats:
    return market.series[series] - lagged(market.series[series], sessions)


FEATURES = (
    _macro("vix_level", ("VIX",), 0, "points", "fear index VIX", lambda market: market.series["VIX"]),
    _macro("vix_change_5", ("VIX",), 5, "points", "rise of the VIX in a week", lambda m: _change(m, "VIX", 5)),
    _macro("vix_change_21", ("VIX",), 21, "points", "rise of the VIX in a month", lambda m: _change(m, "VIX", 21)),
    _macro(
        "vix_percentile_252",
        ("VIX",),
        251,
        "fraction",
        "VIX among its values of the last year",
        lambda market: share_below(market.series["VIX"], YEAR_SESSIONS),
    ),
    _macro(
        "yield_slope_10y_2y",
        ("DGS10", "DGS2"),
        0,
        "percent a year",
        "10-year Treasury yield above the 2-year",
        lambda market: market.series["DGS10"] - market.series["DGS2"],
    ),
    _macro(
        "yield_slope_10y_3m",
        ("DGS10", "DGS3MO"),
        0,
        "percent a year",
        "10-year Treasury yield above the 3-month",
        lambda market: market.series["DGS10"] - market.series["DGS3MO"],
    ),
    _macro(
        "yield_change_10y_21",
        ("DGS10",),
        21,
        "percent a year",
        "rise of the 10-year Treasury yield in a month",
        lambda market: _change(market, "DGS10", 21),
    ),
)
