"""The daily market inputs that regimes are read from: fear, trend, breadth, rotation, yield curve.

Every row holds only what was known on the evening of its session: prices up to that close, memberships that had
begun, macro observations by the date on which they became known.
"""

from collections.abc import Sequence

import polars as pl

TREND_SESSIONS = 200
YEAR_SESSIONS = 252
QUARTER_SESSIONS = 63
MONTH_SESSIONS = 21
NEW_HIGH_SESSIONS = 10
# Newer bars without newer macro data must not be judged by stale fear: after a week the value counts as unknown.
_STALE_DAYS = 7
CYCLICAL_SECTORS = ("Consumer Discretionary", "Financials", "Industrials", "Information Technology", "Materials")
DEFENSIVE_SECTORS = ("Consumer Staples", "Health Care", "Utilities")

INPUTS = (
    "vix",
    "realised_volatility",
    "trend",
    "quarter_return",
    "drawdown",
    "breadth",
    "net_new_highs",
    "rotation",
    "slope_10y3m",
    "slope_10y2y",
)


def compute_inputs(
    *, bars: pl.DataFrame, memberships: pl.DataFrame, instruments: pl.DataFrame, macro: pl.DataFrame
) -> pl.DataFrame:
    """session_on and one f64 column for each of INPUTS, one row a session of the bars or the index; unknown is null.

    vix: index points. realised_volatility: of the index over 21 sessions, annualised percent. trend: index over its
    200-session average, less one. quarter_return: of the index over 63 sessions. drawdown: index below its 252-session
    high (0 or negative). breadth: share of the universe above its own 200-session average. net_new_highs: share at a
    252-session closing high less share at a low, mean of 10 sessions. rotation: 63-session return of the average
    cyclical stock less that of the average defensive one. slope_*: percent a year.

    `bars`: instrument_id, session_on, adj_close sorted by both; `memberships`: instrument_id, start_on, end_on;
    `instruments`: instrument_id, sector; `macro`: series, observed_on, known_on, value.
    """
    index_days = macro.filter(pl.col("series") == "SPX").select(pl.col("observed_on").alias("session_on"))
    sessions = pl.concat([bars.select("session_on"), index_days]).unique().sort("session_on")
    stocks = _universe(bars, memberships, instruments)
    wide = sessions
    for series in ("VIX", "SPX", "DGS10", "DGS3MO", "DGS2"):
        wide = _as_known(wide, macro, series)
    return (
        wide.join(_stock_inputs(stocks), on="session_on", how="left")
        .with_columns(*_index_inputs(), *_slopes())
        .select("session_on", pl.col("VIX").alias("vix"), *INPUTS[1:])
        .sort("session_on")
    )


def _universe(bars: pl.DataFrame, memberships: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """Each stock's day with its own averages and extremes, kept for the days on which it was a member."""
    own = pl.col("adj_close")
    stocks = bars.join(memberships.select("instrument_id").unique(), on="instrument_id", how="semi").with_columns(
        (own > own.rolling_mean(TREND_SESSIONS).over("instrument_id")).alias("above"),
        (own >= own.rolling_max(YEAR_SESSIONS).over("instrument_id")).alias("high"),
        (own <= own.rolling_min(YEAR_SESSIONS).over("instrument_id")).alias("low"),
        (own / own.shift(1).over("instrument_id") - 1).alias("return"),
    )
    spells = memberships.select("instrument_id", "start_on", "end_on").sort("start_on")
    return (
        stocks.sort("session_on")
        .join_asof(spells, left_on="session_on", right_on="start_on", by="instrument_id", check_sortedness=False)
        .filter(
            pl.col("start_on").is_not_null() & (pl.col("end_on").is_null() | (pl.col("session_on") < pl.col("end_on")))
        )
        .join(instruments.select("instrument_id", "sector"), on="instrument_id", how="left")
    )


def _stock_inputs(stocks: pl.DataFrame) -> pl.DataFrame:
    """Breadth, new highs and rotation, one row a session."""

    def group_return(sectors: Sequence[str]) -> pl.Expr:
        return pl.col("return").filter(pl.col("sector").is_in(list(sectors))).mean()

    def over_quarter(column: str) -> pl.Expr:
        return pl.col(column).log1p().rolling_sum(QUARTER_SESSIONS).exp() - 1

    return (
        stocks.group_by("session_on")
        .agg(
            pl.col("above").mean().alias("breadth"),
            (pl.col("high").mean() - pl.col("low").mean()).alias("net_highs"),
            group_return(CYCLICAL_SECTORS).alias("cyclical"),
            group_return(DEFENSIVE_SECTORS).alias("defensive"),
        )
        .sort("session_on")
        .select(
            "session_on",
            "breadth",
            pl.col("net_highs").rolling_mean(NEW_HIGH_SESSIONS).alias("net_new_highs"),
            (over_quarter("cyclical") - over_quarter("defensive")).alias("rotation"),
        )
    )


def _as_known(wide: pl.DataFrame, macro: pl.DataFrame, series: str) -> pl.DataFrame:
    """Adds the newest observation of `series` that was known on each session, null where it is a week old."""
    known = (
        macro.filter(pl.col("series") == series)
        .sort("known_on", "observed_on")
        # A late or revised old observation must not hide a newer one.
        .filter(pl.col("observed_on") >= pl.col("observed_on").cum_max())
        .select("known_on", "observed_on", pl.col("value").alias(series))
    )
    joined = wide.join_asof(known, left_on="session_on", right_on="known_on", tolerance=f"{_STALE_DAYS}d")
    return joined.drop("known_on", "observed_on")


def _index_inputs() -> list[pl.Expr]:
    index = pl.col("SPX")
    daily = index.log() - index.log().shift(1)
    return [
        (daily.rolling_std(MONTH_SESSIONS) * YEAR_SESSIONS**0.5 * 100).alias("realised_volatility"),
        (index / index.rolling_mean(TREND_SESSIONS) - 1).alias("trend"),
        (index / index.shift(QUARTER_SESSIONS) - 1).alias("quarter_return"),
        (index / index.rolling_max(YEAR_SESSIONS, min_samples=TREND_SESSIONS) - 1).alias("drawdown"),
    ]


def _slopes() -> list[pl.Expr]:
    return [
        (pl.col("DGS10") - pl.col("DGS3MO")).alias("slope_10y3m"),
        (pl.col("DGS10") - pl.col("DGS2")).alias("slope_10y2y"),
    ]
