"""The feature matrix beside pandas groupby-rolling and Polars expressions: 500 stocks x 1,750 sessions, made here.

Same features, same values: those that need prices, volumes, dividends and sectors alone. Our loops are compiled before
the clock starts (about five CPU seconds once a machine). All three hand back float32.
"""

import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from benchmarks.claim import Claim, at_least, at_most, side_by_side
from features.feature import CrossSectionFeature, Feature, StockFeature
from features.library import FEATURES
from features.matrix import compute_matrix
from features.panel import Panel

STOCKS, SESSIONS, SECTORS = 500, 1_750, 11
_COLUMNS = ("open", "high", "low", "close", "adj_close", "volume", "dividend")
_YEAR = 252
Columns = dict[str, npt.NDArray[np.float32]]
# The stubs of pandas call a ufunc of a Series an array.
Series = Any


def measured_features() -> dict[str, Feature]:
    """The features that need no reports and no macro series: of stocks, then of their cross-sections."""
    stock = {name: f for name, f in FEATURES.items() if isinstance(f, StockFeature) and f.lag_days == 0}
    return stock | {
        name: f for name, f in FEATURES.items() if isinstance(f, CrossSectionFeature) and set(f.inputs) <= set(stock)
    }


def make_columns(stocks: int, sessions: int, seed: int = 0) -> dict[str, npt.NDArray[np.float64]]:
    """A made-up market in long form, stock after stock: prices with a common factor, quarterly dividends for half."""
    random = np.random.default_rng(seed)
    shape = (stocks, sessions)
    market = random.normal(0.0003, 0.009, size=(1, sessions))
    returns = market * random.uniform(0.5, 1.6, size=(stocks, 1)) + random.normal(0.0, 0.018, size=shape)
    close = random.uniform(15.0, 180.0, size=(stocks, 1)) * np.exp(np.cumsum(returns, axis=1))
    dividend = np.zeros(shape)
    dividend[::2, 63::63] = 0.005 * close[::2, 62:-1:63]
    kept = np.ones(shape)
    kept[:, 1:] = 1.0 - dividend[:, 1:] / close[:, :-1]
    after = np.ones(shape)
    after[:, :-1] = np.cumprod(kept[:, :0:-1], axis=1)[:, ::-1]
    opened = close * np.exp(random.normal(0.0, 0.004, size=shape))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(np.abs(random.normal(0.0, 0.006, size=shape))),
        "low": np.minimum(opened, close) * np.exp(-np.abs(random.normal(0.0, 0.006, size=shape))),
        "close": close,
        "adj_close": close * after,
        "volume": np.floor(np.exp(random.normal(14.0, 0.5, size=shape))),
        "dividend": dividend,
    }
    return {name: np.ascontiguousarray(values.ravel()) for name, values in columns.items()}


def panel_of(columns: Mapping[str, npt.NDArray[np.float64]], stocks: int) -> Panel:
    """The market as our own inputs; every stock is a member every day."""
    rows = len(columns["close"])
    sessions = rows // stocks
    return Panel(
        days=np.arange(sessions) + 12_000,
        session=np.tile(np.arange(sessions), stocks),
        instrument_id=np.repeat(np.arange(stocks), sessions),
        bounds=np.arange(stocks + 1) * sessions,
        sector=np.arange(stocks) % SECTORS,
        sectors=tuple(f"sector {number}" for number in range(SECTORS)),
        member=np.ones(rows, dtype=np.bool_),
        columns=columns,
        facts={},
        series={},
    )


def by_stock(values: npt.NDArray[np.float32], stocks: int) -> npt.NDArray[np.float32]:
    """Our columns, which run day after day, in the peers' order, which runs stock after stock."""
    return np.ascontiguousarray(values.reshape(-1, stocks).T).ravel()


@dataclass(frozen=True)
class PandasPeer:
    """The same features as a pandas user writes them: groupby-rolling over a long frame, shared parts computed once."""

    frame: pd.DataFrame
    stock: npt.NDArray[np.int64]
    session: npt.NDArray[np.int64]

    def compute(self) -> Columns:
        """All of `measured_features`, rows stock after stock."""
        out = {name: values.to_numpy(np.float32) for name, values in self._stock_features().items()}
        return out | self._cross_sections(out)

    def _roll(self, values: Series, window: int, what: str) -> Series:
        rolled = getattr(values.groupby(self.stock, sort=False).rolling(window), what)()
        return pd.Series(rolled.to_numpy(), index=values.index)

    def _shift(self, values: Series, sessions: int) -> Series:
        return values.groupby(self.stock, sort=False).shift(sessions)

    def _smooth(self, values: Series, weight: float, seed: int) -> Series:
        seen = values.notna().groupby(self.stock, sort=False).cumsum()
        begun = values.where(seen > seed).where(seen != seed, self._roll(values, seed, "mean"))
        smooth = begun.groupby(self.stock, sort=False).ewm(alpha=weight, adjust=False).mean()
        return pd.Series(smooth.to_numpy(), index=values.index)

    def _stock_features(self) -> dict[str, Series]:
        f, roll, shift, smooth = self.frame, self._roll, self._shift, self._smooth
        price, before = f["adj_close"], self._shift(f["adj_close"], 1)
        r = price / before - 1
        market = r.groupby(self.session).transform("mean")
        scale = price / f["close"]
        high, low = f["high"] * scale, f["low"] * scale
        variance = {n: roll(r, n, "var") for n in (10, 21, 63, 126, 252)}
        mean = {n: roll(r, n, "mean") for n in (63, 252)}
        average = {n: roll(price, n, "mean") for n in (20, 50, 200)}
        volume = {n: roll(f["volume"], n, "mean") for n in (5, 21, 63, 252)}
        out: dict[str, Series] = {}
        for n in (5, 10, 21, 63, 126, 252):
            out[f"momentum_{n}"] = price / shift(price, n) - 1
        out["momentum_252_21"] = shift(price, 21) / shift(price, 252) - 1
        out["momentum_change_63"] = out["momentum_63"] - shift(out["momentum_63"], 63)
        out["up_days_63"] = roll((r > 0).astype(float).where(r.notna()), 63, "mean")
        for n in (5, 21):
            out[f"reversal_{n}"] = -out[f"momentum_{n}"] / np.sqrt(variance[63] * n)
        for n in (10, 21, 63, 126, 252):
            out[f"volatility_{n}"] = np.sqrt(variance[n] * _YEAR)
        out["downside_volatility_63"] = np.sqrt(roll(np.minimum(r, 0) ** 2, 63, "mean") * _YEAR)
        spans = np.log(f["high"] / f["low"]) ** 2
        for n in (21, 63):
            out[f"parkinson_volatility_{n}"] = np.sqrt(roll(spans, n, "mean") / (4 * np.log(2)) * _YEAR)
        out["volatility_ratio_21_252"] = np.sqrt(variance[21] / variance[252])
        change = price - before
        rise, fall = smooth(change.clip(lower=0), 1 / 14, 14), smooth((-change).clip(lower=0), 1 / 14, 14)
        out["rsi_14"] = 100 - 100 / (1 + rise / fall)
        line = smooth(price, 2 / 13, 12) - smooth(price, 2 / 27, 26)
        out["macd_12_26"] = line / price
        out["macd_histogram_9"] = (line - smooth(line, 2 / 10, 9)) / price
        top, bottom = roll(high, 14, "max"), roll(low, 14, "min")
        out["stochastic_14"] = 100 * (price - bottom) / (top - bottom)
        band = roll(price, 20, "std") * np.sqrt(19 / 20)
        out["bollinger_position_20"] = (price - average[20]) / band
        out["bollinger_width_20"] = 4 * band / average[20]
        true_range = np.maximum(high - low, np.maximum((high - before).abs(), (low - before).abs())).where(
            before.notna()
        )
        out["atr_14"] = smooth(true_range, 1 / 14, 14) / price
        for n in (20, 50, 200):
            out[f"ma_distance_{n}"] = price / average[n] - 1
        out["ma_cross_50_200"] = average[50] / average[200] - 1
        out["volume_ratio_5_63"] = volume[5] / volume[63]
        out["volume_ratio_21_252"] = volume[21] / volume[252]
        out["volume_variation_63"] = roll(f["volume"], 63, "std") * np.sqrt(62 / 63) / volume[63]
        usd = f["close"] * f["volume"]
        out["log_usd_volume_21"] = np.log(roll(usd, 21, "mean"))
        out["amihud_21"] = roll(r.abs() / (usd / 1e6), 21, "mean")
        for n in (63, 252):
            out[f"drawdown_{n}"] = price / roll(price, n, "max") - 1
        out["high_distance_252"] = price / roll(high, 252, "max") - 1
        out["low_distance_252"] = price / roll(low, 252, "min") - 1
        for n in (63, 252):
            own, other = mean[n], roll(market, n, "mean")
            covariance = (roll(r * market, n, "mean") - own * other) * n / (n - 1)
            spread = roll(market, n, "var")
            out[f"beta_{n}"] = covariance / spread
            left = (variance[n] - covariance**2 / spread) * (n - 1) / (n - 2)
            out[f"idiosyncratic_volatility_{n}"] = np.sqrt(left * _YEAR)
        out["correlation_252"] = covariance / np.sqrt(variance[252] * spread)
        out["alpha_252"] = (own - out["beta_252"] * other) * _YEAR
        out["skewness_252"] = roll(r, 252, "skew")
        out["max_return_21"], out["min_return_21"] = roll(r, 21, "max"), roll(r, 21, "min")
        r_before = shift(r, 1)
        product = roll(r * r_before, 63, "mean") - mean[63] * shift(mean[63], 1)
        out["autocorrelation_63"] = product / (np.sqrt(variance[63] * shift(variance[63], 1)) * 62 / 63)
        out["overnight_return_21"] = roll(np.log(f["open"] * scale / before), 21, "sum")
        out["intraday_return_21"] = roll(np.log(f["close"] / f["open"]), 21, "sum")
        out["same_month_return_252"] = shift(price, 231) / shift(price, 252) - 1
        out["dividend_yield_252"] = roll(f["dividend"], 252, "sum") / f["close"]
        return out

    def _cross_sections(self, out: Columns) -> Columns:
        found: Columns = {}
        day, sector = self.session, self.session * SECTORS + self.stock % SECTORS
        for name in set(measured_features()) - set(out):
            source = name.rpartition("zscore_" if "zscore" in name else "rank_")[2]
            group = sector if name.startswith("sector") else day
            if name.startswith("breadth"):
                source_values = pd.Series(out[f"ma_distance_{name.split('_')[1]}"])
                above = (source_values > 0).astype(float).where(source_values.notna())
                values = above.groupby(day).transform("mean")
            elif name == "dispersion_21":
                values = pd.Series(out["momentum_21"], dtype=float).groupby(day).transform("std", ddof=0)
            else:
                grouped = pd.Series(out[source], dtype=float).groupby(group)
                if "zscore" in name:
                    values = pd.Series(out[source], dtype=float) - grouped.transform("mean")
                    values = (values / grouped.transform("std")).clip(-3, 3)
                else:
                    values = (grouped.rank() - 0.5) / grouped.transform("count")
            found[name] = values.to_numpy(np.float32)
        return found


def _smooth(values: pl.Expr, weight: float, seed: int) -> pl.Expr:
    seen = values.is_not_null().cum_sum()
    mean = values.rolling_mean(seed)
    begun = pl.when(seen > seed).then(values).when(seen == seed).then(mean).otherwise(None)
    return begun.ewm_mean(alpha=weight, adjust=False, ignore_nulls=True)


def _polars_bases() -> list[pl.Expr]:
    price, scale = pl.col("adj_close"), pl.col("adj_close") / pl.col("close")
    return [
        (price / price.shift(1) - 1).over("stock").alias("r"),
        price.shift(1).over("stock").alias("before"),
        (pl.col("high") * scale).alias("top"),
        (pl.col("low") * scale).alias("bottom"),
        (pl.col("open") * scale).alias("first"),
        (pl.col("close") * pl.col("volume")).alias("usd"),
    ]


def _polars_stock_features() -> dict[str, pl.Expr]:
    price, r, market, volume = pl.col("adj_close"), pl.col("r"), pl.col("market"), pl.col("volume")
    top, bottom, before = pl.col("top"), pl.col("bottom"), pl.col("before")
    out: dict[str, pl.Expr] = {}
    for n in (5, 10, 21, 63, 126, 252):
        out[f"momentum_{n}"] = price / price.shift(n) - 1
    out["momentum_252_21"] = price.shift(21) / price.shift(252) - 1
    out["momentum_change_63"] = out["momentum_63"] - out["momentum_63"].shift(63)
    out["up_days_63"] = (r > 0).cast(pl.Float64).rolling_mean(63)
    for n in (5, 21):
        out[f"reversal_{n}"] = -out[f"momentum_{n}"] / (r.rolling_var(63) * n).sqrt()
    for n in (10, 21, 63, 126, 252):
        out[f"volatility_{n}"] = (r.rolling_var(n) * _YEAR).sqrt()
    out["downside_volatility_63"] = (r.clip(upper_bound=0).pow(2).rolling_mean(63) * _YEAR).sqrt()
    spans = (pl.col("high") / pl.col("low")).log().pow(2)
    for n in (21, 63):
        out[f"parkinson_volatility_{n}"] = (spans.rolling_mean(n) / (4 * np.log(2)) * _YEAR).sqrt()
    out["volatility_ratio_21_252"] = (r.rolling_var(21) / r.rolling_var(252)).sqrt()
    change = price - before
    rise = _smooth(change.clip(lower_bound=0), 1 / 14, 14)
    fall = _smooth((-change).clip(lower_bound=0), 1 / 14, 14)
    out["rsi_14"] = 100 - 100 / (1 + rise / fall)
    line = _smooth(price, 2 / 13, 12) - _smooth(price, 2 / 27, 26)
    out["macd_12_26"] = line / price
    out["macd_histogram_9"] = (line - _smooth(line, 2 / 10, 9)) / price
    highest, lowest = top.rolling_max(14), bottom.rolling_min(14)
    out["stochastic_14"] = 100 * (price - lowest) / (highest - lowest)
    band = price.rolling_std(20, ddof=0)
    out["bollinger_position_20"] = (price - price.rolling_mean(20)) / band
    out["bollinger_width_20"] = 4 * band / price.rolling_mean(20)
    reach = pl.max_horizontal(top - bottom, (top - before).abs(), (bottom - before).abs())
    true_range = pl.when(before.is_not_null()).then(reach).otherwise(None)
    out["atr_14"] = _smooth(true_range, 1 / 14, 14) / price
    for n in (20, 50, 200):
        out[f"ma_distance_{n}"] = price / price.rolling_mean(n) - 1
    out["ma_cross_50_200"] = price.rolling_mean(50) / price.rolling_mean(200) - 1
    for short, long in ((5, 63), (21, 252)):
        out[f"volume_ratio_{short}_{long}"] = volume.rolling_mean(short) / volume.rolling_mean(long)
    out["volume_variation_63"] = volume.rolling_std(63, ddof=0) / volume.rolling_mean(63)
    out["log_usd_volume_21"] = pl.col("usd").rolling_mean(21).log()
    out["amihud_21"] = (r.abs() / (pl.col("usd") / 1e6)).rolling_mean(21)
    for n in (63, 252):
        out[f"drawdown_{n}"] = price / price.rolling_max(n) - 1
    out["high_distance_252"] = price / top.rolling_max(252) - 1
    out["low_distance_252"] = price / bottom.rolling_min(252) - 1
    for n in (63, 252):
        own, other, spread = r.rolling_mean(n), market.rolling_mean(n), market.rolling_var(n)
        covariance = ((r * market).rolling_mean(n) - own * other) * n / (n - 1)
        out[f"beta_{n}"] = covariance / spread
        left = (r.rolling_var(n) - covariance**2 / spread) * (n - 1) / (n - 2)
        out[f"idiosyncratic_volatility_{n}"] = (left * _YEAR).sqrt()
        if n == _YEAR:
            out["correlation_252"] = covariance / (r.rolling_var(n) * spread).sqrt()
            out["alpha_252"] = (own - covariance / spread * other) * _YEAR
    out["skewness_252"] = r.rolling_skew(252, bias=False)
    out["max_return_21"], out["min_return_21"] = r.rolling_max(21), r.rolling_min(21)
    mean, variance = r.rolling_mean(63), r.rolling_var(63)
    product = (r * r.shift(1)).rolling_mean(63) - mean * mean.shift(1)
    out["autocorrelation_63"] = product / ((variance * variance.shift(1)).sqrt() * 62 / 63)
    out["overnight_return_21"] = (pl.col("first") / before).log().rolling_sum(21)
    out["intraday_return_21"] = (pl.col("close") / pl.col("open")).log().rolling_sum(21)
    out["same_month_return_252"] = price.shift(231) / price.shift(252) - 1
    out["dividend_yield_252"] = pl.col("dividend").rolling_sum(252) / pl.col("close")
    return out


def _polars_cross_section(name: str) -> pl.Expr:
    group = ["session", "sector"] if name.startswith("sector") else ["session"]
    if name.startswith("breadth"):
        return (pl.col(f"ma_distance_{name.split('_')[1]}") > 0).mean().over(group)
    if name == "dispersion_21":
        return pl.col("momentum_21").cast(pl.Float64).std(ddof=0).over(group)
    source = pl.col(name.rpartition("zscore_" if "zscore" in name else "rank_")[2]).cast(pl.Float64)
    if "zscore" in name:
        return ((source - source.mean()) / source.std()).clip(-3, 3).over(group)
    return ((source.rank() - 0.5) / source.count()).over(group)


def polars_features(frame: pl.DataFrame) -> pl.DataFrame:
    """The same features as a Polars user writes them: expressions over groups of stocks, then windows of days."""
    stock = _polars_stock_features()
    found = (
        frame.lazy()
        .with_columns(_polars_bases())
        .with_columns(pl.col("r").mean().over("session").alias("market"))
        # One pass over the stocks: cheaper than a window expression for each feature.
        .group_by("stock", maintain_order=True)
        .agg("session", "sector", *(values.cast(pl.Float32).alias(name) for name, values in stock.items()))
        .explode("session", "sector", *stock)
        .with_columns(
            _polars_cross_section(name).cast(pl.Float32).alias(name)
            for name in measured_features()
            if name not in stock
        )
        .drop("stock", "session", "sector")
    )
    return found.collect()


def pandas_peer(columns: Mapping[str, npt.NDArray[np.float64]], stocks: int) -> PandasPeer:
    """The market as pandas has it."""
    sessions = len(columns["close"]) // stocks
    return PandasPeer(
        frame=pd.DataFrame(dict(columns)),
        stock=np.repeat(np.arange(stocks), sessions),
        session=np.tile(np.arange(sessions), stocks),
    )


def polars_frame(columns: Mapping[str, npt.NDArray[np.float64]], stocks: int) -> pl.DataFrame:
    """The market as Polars has it."""
    sessions = len(columns["close"]) // stocks
    stock = np.repeat(np.arange(stocks), sessions)
    return pl.DataFrame(dict(columns)).with_columns(
        pl.Series("stock", stock),
        pl.Series("session", np.tile(np.arange(sessions), stocks)),
        pl.Series("sector", stock % SECTORS),
    )


def share_of_equal_cells(ours: Columns, peer: Columns) -> float:
    """Share of cells that are missing on both sides or differ by at most 1e-6, relative or absolute."""
    equal = total = 0
    for name, values in ours.items():
        other = peer[name].astype(np.float64)
        near = np.abs(values - other) <= 1e-6 * np.maximum(1.0, np.abs(other))
        equal += int((near | (np.isnan(values) & np.isnan(other))).sum())
        total += len(values)
    return equal / total


def _memory_bytes(what: str) -> int:
    """VmRSS (now) or VmHWM (the most so far) of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {what}")


def _measure_memory(folder: str) -> tuple[int, int]:
    """In a process of its own: bytes needed beyond the inputs while computing, and bytes of the output."""
    features = measured_features()
    compute_matrix(panel_of(make_columns(3, 300), 3), features)
    columns = {name: np.load(Path(folder) / f"{name}.npy") for name in _COLUMNS}
    panel = panel_of(columns, STOCKS)
    before = _memory_bytes("VmRSS")
    matrix = compute_matrix(panel, features)
    return _memory_bytes("VmHWM") - before, matrix.values.nbytes


def measure() -> Iterator[Claim]:
    """CPU beside pandas and Polars, equality of the values, and memory beside the output's own size."""
    columns, features = make_columns(STOCKS, SESSIONS), measured_features()
    panel, pandas, frame = panel_of(columns, STOCKS), pandas_peer(columns, STOCKS), polars_frame(columns, STOCKS)
    matrix = compute_matrix(panel, features)
    ours = {name: by_stock(matrix.values[place], STOCKS) for place, name in enumerate(matrix.names)}
    rows = f"{len(features)} features of {len(matrix.day):,} rows"
    share = share_of_equal_cells(ours, pandas.compute())
    yield at_least(f"{rows}: cells equal to pandas (1e-6)", ours=share, peer=1.0, bar=0.9999, unit="share")
    found = {name: values.to_numpy() for name, values in polars_features(frame).to_dict().items()}
    share = share_of_equal_cells(ours, found)
    yield at_least(f"{rows}: cells equal to Polars (1e-6)", ours=share, peer=1.0, bar=0.9999, unit="share")
    del matrix, ours, found

    own, peer = side_by_side(lambda: compute_matrix(panel, features), pandas.compute, best_of=2)
    yield at_most(f"{rows}: CPU beside pandas groupby-rolling", ours=own.cpu_s, peer=peer.cpu_s, bar=0.20, unit="CPU s")
    own, peer = side_by_side(lambda: compute_matrix(panel, features), lambda: polars_features(frame), best_of=2)
    yield at_most(f"{rows}: CPU beside Polars", ours=own.cpu_s, peer=peer.cpu_s, bar=0.40, unit="CPU s")

    with tempfile.TemporaryDirectory() as folder:
        for name in _COLUMNS:
            np.save(Path(folder) / f"{name}.npy", columns[name])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak, output = pool.apply(_measure_memory, (folder,))
    yield at_most(
        f"{rows}: memory beyond the inputs for the output's size", ours=peak, peer=output, bar=1.4, unit="bytes"
    )
