"""Makes the shipped sample from the folder of source files: `python -m market_data.sample.make_sample FOLDER`.

What is taken from where, and why some of it is left out, stands in README.md beside this file.
"""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet

from core.errors import InputError
from market_data.sample.load import REPORT_LAG
from market_data.sample.split_basis import choose_bases, split_factor

SAMPLE_DIR = Path(__file__).parent
FIRST_ON = date(2006, 1, 3)
LAST_ON = date(2020, 4, 1)
# The hidden Markov regimes need bear markets to learn from before the bars begin.
MACRO_FIRST_ON = date(1990, 1, 2)
YEARS_BEFORE_MEMBERSHIP = 3
_BASIS_SESSIONS = 10
# The source's share counts are net income over EPS: with a rounded EPS near zero they can be anything.
SHARES_FACTOR_MAX = 2.0

# Symbols whose bars belong to another company than the index member of that name.
ANOTHER_COMPANY = ("CBH", "CCU", "GEN", "IGT", "JP", "LSI", "SUN", "TSG")
# Before these dates the bars belong to a shell or to an illiquid predecessor.
BARS_FROM = {"BHF": date(2017, 7, 17), "INVH": date(2017, 2, 1), "VST": date(2017, 5, 11)}

# Dividends of 40, 32 and 16 percent that the adjusted close allows for and that nobody paid: the price did not move.
# (DHR's is the spin-off of Fortive, for which `close` is adjusted already.)
FALSE_DIVIDENDS = {"DHR": date(2016, 7, 5), "ETN": date(2019, 8, 15), "FRC": date(2017, 3, 15)}

SECTOR_FUNDS = ("SPY", "XLB", "XLE", "XLF", "XLI", "XLK", "XLP", "XLU", "XLV", "XLY")
YIELDS = {"dgs3mo": "DGS3MO", "dgs2": "DGS2", "dgs10": "DGS10"}
# The list of 2025 has the sectors of 2018 and later; these three go back to where the list of 2017 has their peers.
SECTORS_OF_2017 = {
    "Interactive Home Entertainment": "Information Technology",
    "Movies & Entertainment": "Consumer Discretionary",
    "Wireless Telecommunication Services": "Telecommunications Services",
}


def _symbol(column: str = "ticker") -> pl.Expr:
    return pl.col(column).str.replace_all(".", "-", literal=True).alias("symbol")


def select_memberships(source: Path) -> pl.DataFrame:
    """Spells of the index that reach into the sample: symbol, start_on, end_on."""
    return (
        pl.read_parquet(source / "sp500_membership.parquet")
        .select(_symbol(), pl.col("start").alias("start_on"), pl.col("end").alias("end_on"))
        .filter(pl.col("start_on") <= LAST_ON, pl.col("end_on").is_null() | (pl.col("end_on") > FIRST_ON))
        .sort("symbol", "start_on")
    )


def _without_false_dividends(bars: pl.DataFrame) -> pl.DataFrame:
    kept = (pl.col("adj_close") / pl.col("close")).over("symbol")
    share_kept = (kept.shift(1) / kept).over("symbol")
    for symbol, ex_on in FALSE_DIVIDENDS.items():
        here = pl.col("symbol") == symbol
        false = bars.with_columns(share=share_kept).filter(here & (pl.col("session_on") == ex_on))["share"].item()
        before = here & (pl.col("session_on") < ex_on)
        bars = bars.with_columns(
            adj_close=pl.when(before).then(pl.col("adj_close") / pl.lit(false, pl.Float32)).otherwise("adj_close")
        )
    return bars


def read_source_bars(source: Path) -> pl.DataFrame:
    """All bars of the source but the excluded ones, in our columns, sorted by symbol and session."""
    bars = (
        pl.read_parquet(source / "daily_bars_sp500_2006_2020.parquet")
        .select(_symbol(), pl.col("date").alias("session_on"), "open", "high", "low", "close", "adj_close", "volume")
        .filter(~pl.col("symbol").is_in(ANOTHER_COMPANY))
        .filter(pl.col("session_on") >= pl.col("symbol").replace_strict(BARS_FROM, default=FIRST_ON))
        .sort("symbol", "session_on")
    )
    return _without_false_dividends(bars)


def select_bars(bars: pl.DataFrame, memberships: pl.DataFrame) -> pl.DataFrame:
    """Bars of index members from three years before their first spell on."""
    as_member = (
        bars.join(memberships, on="symbol")
        .filter(
            pl.col("session_on") >= pl.col("start_on"),
            pl.col("end_on").is_null() | (pl.col("session_on") < pl.col("end_on")),
        )
        .group_by("symbol")
        .agg(pl.col("start_on").min())
        .with_columns(pl.col("start_on").dt.offset_by(f"-{YEARS_BEFORE_MEMBERSHIP}y").alias("keep_from"))
    )
    return (
        bars.join(as_member, on="symbol", maintain_order="left")
        .filter(pl.col("session_on") >= pl.col("keep_from"))
        .drop("start_on", "keep_from")
    )


def select_instruments(source: Path, memberships: pl.DataFrame) -> pl.DataFrame:
    """All members of the span, with or without bars: symbol, name, sector, industry, cik."""
    lists = [
        pl.read_parquet(source / file).select(
            _symbol(),
            pl.col("security").alias("name"),
            pl.col("gics_sector").alias("sector"),
            pl.col("gics_sub_industry").alias("industry"),
            pl.col("cik").cast(pl.String).str.zfill(10),
        )
        for file in ("securities.parquet", "sp500_constituents_2025.parquet")
    ]
    lists[1] = lists[1].with_columns(
        sector=pl.col("industry").replace_strict(SECTORS_OF_2017, default=pl.col("sector"))
    )
    described = pl.concat(lists).unique("symbol", keep="first", maintain_order=True)
    return (
        memberships.select(pl.col("symbol").unique())
        .join(described, on="symbol", how="left")
        .with_columns(pl.col("name").fill_null(pl.col("symbol")))
        .sort("symbol")
    )


def select_macro(source: Path) -> pl.DataFrame:
    """series, observed_on, value of VIX, the index, three yields and the sector funds."""
    vix = pl.read_parquet(source / "vix_daily.parquet").select(
        pl.lit("VIX").alias("series"), pl.col("date").alias("observed_on"), pl.col("close").alias("value")
    )
    index = pl.read_parquet(source / "sp500_index_daily.parquet").select(
        pl.lit("SPX").alias("series"), pl.col("date").alias("observed_on"), pl.col("close").alias("value")
    )
    yields = (
        pl.read_parquet(source / "treasury_yields_daily.parquet")
        .rename({**YIELDS, "date": "observed_on"})
        .unpivot(on=list(YIELDS.values()), index="observed_on", variable_name="series", value_name="value")
        .select("series", "observed_on", "value")
    )
    funds = (
        pl.read_parquet(source / "daily_bars_etf_1999_2017.parquet")
        .filter(pl.col("ticker").is_in(SECTOR_FUNDS))
        .select(pl.col("ticker").alias("series"), pl.col("date").alias("observed_on"), pl.col("close").alias("value"))
    )
    return (
        pl.concat([vix, index, yields, funds])
        .filter(pl.col("observed_on").is_between(MACRO_FIRST_ON, LAST_ON))
        .drop_nulls()
        .sort("series", "observed_on")
    )


def _basis(bars: pl.DataFrame, day: date) -> float:
    window = bars.filter(pl.col("session_on") <= day).tail(_BASIS_SESSIONS)
    return split_factor(window.select("open", "high", "low", "close").to_numpy().ravel().astype(np.float64))


def _near_median(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    if not np.isfinite(counts).any():
        return np.zeros(len(counts), dtype=bool)
    near: npt.NDArray[np.bool_] = np.abs(np.log(counts / np.nanmedian(counts))) <= np.log(SHARES_FACTOR_MAX)
    return near


def _with_shares(reports: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """One company's reports with `split_factor` and `shares_outstanding` on the basis of the bars' close."""
    periods = reports["period_end_on"].to_list()
    counts = reports["estimated_shares_outstanding"].to_numpy()
    early = np.array([_basis(bars, day) for day in periods], dtype=np.float64)
    late = np.array([_basis(bars, day + REPORT_LAG) for day in periods], dtype=np.float64)
    counted = counts > 0
    early[counted] = choose_bases(counts[counted], early[counted], late[counted])
    shares = np.where(counted, counts * early, np.nan)
    plausible = _near_median(shares) | _near_median(np.where(counted, counts, np.nan))
    closes = [bars.filter(pl.col("session_on") <= day + REPORT_LAG)["close"].last() for day in periods]
    shares = np.where(plausible, shares, np.nan)
    return reports.with_columns(
        pl.Series("split_factor", early, nan_to_null=True),
        pl.Series("shares_outstanding", shares, nan_to_null=True).round(),
        pl.Series("market_cap_usd", shares * np.array(closes, dtype=np.float64), nan_to_null=True).round(2),
    )


def select_fundamentals(source: Path, bars: pl.DataFrame, memberships: pl.DataFrame) -> pl.DataFrame:
    """Annual facts of members with bars as reported, one row a period.

    `split_factor` puts them on the basis of the bars' close: share counts are to be multiplied, EPS divided by it.
    `shares_outstanding` is the count after that, missing where the source's estimate cannot be right, and
    `market_cap_usd` that times the close 90 days after the period's end.
    """
    reports = (
        pl.read_parquet(source / "fundamentals_annual.parquet")
        .with_columns(_symbol())
        .rename({"period_end": "period_end_on"})
        .drop("ticker", "for_year")
        .filter(pl.col("symbol").is_in(memberships["symbol"].implode()))
        .sort("symbol", "period_end_on")
    )
    own_bars = bars.partition_by("symbol", as_dict=True)
    parts = [
        _with_shares(part, own_bars[key])
        for key, part in reports.partition_by("symbol", as_dict=True, maintain_order=True).items()
        if key in own_bars
    ]
    first = ["symbol", "period_end_on", "split_factor", "shares_outstanding", "market_cap_usd"]
    return pl.concat(parts).select(*first, pl.exclude(first))


def write(frame: pl.DataFrame, name: str) -> None:
    """Write one Parquet file: Zstandard at its tightest, byte streams split where that is smaller."""
    split = {column: "BYTE_STREAM_SPLIT" for column in ("adj_close", "volume") if column in frame.columns}
    texts = [column for column, kind in frame.schema.items() if kind == pl.String]
    pyarrow.parquet.write_table(
        frame.to_arrow(compat_level=pl.CompatLevel.oldest()),
        SAMPLE_DIR / f"{name}.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=texts,
        column_encoding=split or None,
        row_group_size=262_144,
    )


def make_sample(source: Path) -> None:
    """Read the source files in `source` and write the sample's files beside this module."""
    memberships = select_memberships(source)
    bars = read_source_bars(source)
    write(memberships, "index_memberships")
    write(select_bars(bars, memberships), "daily_bars")
    write(select_instruments(source, memberships), "instruments")
    write(select_macro(source), "macro_observations")
    write(select_fundamentals(source, bars, memberships), "fundamentals")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise InputError("usage: python -m market_data.sample.make_sample FOLDER_OF_SOURCE_FILES")
    make_sample(Path(sys.argv[1]))
