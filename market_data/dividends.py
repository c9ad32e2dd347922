"""Cash dividends implied by the two closes of a bar.

With f = adj_close / close, a dividend of D going ex on session t lowers all earlier adjusted closes by the share
1 - D / close[t-1], so D = close[t-1] * (1 - f[t-1] / f[t]): the vendors' own adjustment (CRSP's) turned round.
"""

import polars as pl

# Prices in single precision leave jumps of 5e-7 in f; the smallest dividends of large companies are 3e-4 of the price.
SHARE_MIN = 5e-5
# Where adjusted closes are rounded to the cent, the usual jump tells the noise of the instrument.
_NOISE_FACTOR = 6.0


def implied_dividends(bars: pl.DataFrame) -> pl.DataFrame:
    """instrument_id, ex_on, amount_usd of bars (instrument_id, session_on, close, adj_close) sorted by both.

    Amounts are a share on the split basis of `close`, rounded to 0.0001 USD. Noise of rounding is left out.
    """
    kept = (pl.col("adj_close") / pl.col("close")).alias("kept")
    share = (1 - pl.col("kept").shift(1) / pl.col("kept")).over("instrument_id").alias("share")
    return (
        bars.with_columns(kept)
        .with_columns(share, pl.col("close").shift(1).over("instrument_id").alias("close_before"))
        .with_columns(noise=_NOISE_FACTOR * pl.col("share").abs().median().over("instrument_id"))
        .filter(pl.col("share") > pl.max_horizontal(pl.lit(SHARE_MIN), "noise"))
        .select(
            "instrument_id",
            pl.col("session_on").alias("ex_on"),
            (pl.col("close_before") * pl.col("share")).round(4).alias("amount_usd"),
        )
        .filter(pl.col("amount_usd") > 0)
    )
