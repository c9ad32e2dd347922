"""Alpha Vantage: CSV of TIME_SERIES_DAILY and TIME_SERIES_DAILY_ADJUSTED, one symbol a file, newest row first.

Prices and volumes are as traded; only `adjusted_close` is adjusted, for splits and dividends. The split coefficients
put the others on today's basis: a row is divided by the product of all coefficients after it.
"""

import polars as pl

from market_data.vendor import Capabilities, Vendor


def _on_split_basis(bars: pl.DataFrame) -> pl.DataFrame:
    if "split_coefficient" not in bars.columns:
        return bars
    newest_first = bars.sort("session_on", descending=True, nulls_last=True)
    coefficient = pl.col("split_coefficient").fill_null(1.0)
    later = coefficient.cum_prod().shift(1, fill_value=1.0)
    return newest_first.with_columns(
        *[(pl.col(name) / later).alias(name) for name in ("open", "high", "low", "close")],
        (pl.col("volume") * later).alias("volume"),
    ).sort("row_number")


ALPHA_VANTAGE = Vendor(
    name="alpha_vantage",
    title="Alpha Vantage",
    capabilities=Capabilities(split_adjusted=False, dividend_adjusted_close=True, symbol_column=False, whole_file=True),
    columns={
        "session_on": ("timestamp",),
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "adj_close": ("adjusted_close",),
        "volume": ("volume",),
        "split_coefficient": ("split_coefficient",),
    },
    optional=frozenset({"adj_close", "split_coefficient"}),
    finish=_on_split_basis,
)
