"""What makes a bar unfit, whoever sent it: rules on rows, and rules on a symbol's rows in order of sessions.

Pure functions on columns; `market_data.gate` runs them over the chunks of a file.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from market_data.vendor import NUMBERS, PRICES

OHLC_TOLERANCE = 1e-4
STALE_SESSIONS = 3
SYMBOL_LENGTH_MAX = 16
# How many rows around the ones at hand are looked at, and how long a run of wrong prices may be to be refused whole.
CONTEXT_SESSIONS = 10
# Within 15 percent of a power of ten counts as one: log10(1.15).
_TEN_TOLERANCE = 0.06
# Further apart than this, a tenfold price may be growth.
_JUMP_DAYS_MAX = 45
_OHLC = ("open", "high", "low", "close")
_Mask = npt.NDArray[np.bool_]
_Numbers = npt.NDArray[np.float64]


class Reason(StrEnum):
    """Why a row is refused."""

    MALFORMED_ROW = "malformed_row"
    UNREADABLE_VALUE = "unreadable_value"
    BAD_SYMBOL = "bad_symbol"
    MISSING_VALUE = "missing_value"
    FUTURE_DATE = "future_date"
    NOT_A_SESSION = "not_a_session"
    NONPOSITIVE_PRICE = "nonpositive_price"
    NEGATIVE_VOLUME = "negative_volume"
    INCONSISTENT_OHLC = "inconsistent_ohlc"
    DUPLICATE_IDENTICAL = "duplicate_identical"
    DUPLICATE_CONFLICTING = "duplicate_conflicting"
    POWER_OF_TEN_JUMP = "power_of_ten_jump"
    STALE_RUN = "stale_run"


REFUSED_SCHEMA: dict[str, type[pl.DataType]] = {
    "row_number": pl.Int64,
    "symbol": pl.String,
    "session_on": pl.Date,
    "reason": pl.String,
    "detail": pl.String,
}
BAR_SCHEMA: dict[str, type[pl.DataType]] = {
    "symbol": pl.String,
    "session_on": pl.Date,
    **dict.fromkeys(PRICES, pl.Float64),
    "volume": pl.Int64,
}


def row_rules(today: date) -> list[tuple[Reason, pl.Expr, pl.Expr]]:
    """(reason, when it holds, what to say) of the rules that need the row alone.

    They read the columns of `market_data.vendor.PARSED` and `session`, the number of the session, -1 on other days.
    """
    top = pl.max_horizontal("open", "close")
    bottom = pl.min_horizontal("open", "close")
    missing = ("session_on", *NUMBERS)
    return [
        (
            Reason.UNREADABLE_VALUE,
            pl.col("unreadable").is_not_null(),
            pl.format("{} is no {}", "unreadable", pl.lit("date or number")),
        ),
        (
            Reason.BAD_SYMBOL,
            pl.col("symbol").is_null() | ~pl.col("symbol").str.contains(rf"^[A-Z0-9^=_-]{{1,{SYMBOL_LENGTH_MAX}}}$"),
            pl.lit(f"a symbol has 1 to {SYMBOL_LENGTH_MAX} letters, digits, '-', '_', '^' or '='"),
        ),
        (
            Reason.MISSING_VALUE,
            pl.any_horizontal(pl.col(name).is_null() for name in missing),
            pl.concat_str(
                [pl.lit("no value for"), *[pl.when(pl.col(name).is_null()).then(pl.lit(name)) for name in missing]],
                separator=" ",
                ignore_nulls=True,
            ),
        ),
        (Reason.FUTURE_DATE, pl.col("session_on") > today, pl.lit(f"after {today}")),
        (
            Reason.NOT_A_SESSION,
            pl.col("session") < 0,
            pl.format("{} is no session of the exchange", pl.col("session_on").dt.strftime("%A %Y-%m-%d")),
        ),
        (
            Reason.NONPOSITIVE_PRICE,
            pl.min_horizontal(PRICES) <= 0,
            pl.format("lowest price {}", pl.min_horizontal(PRICES)),
        ),
        (Reason.NEGATIVE_VOLUME, pl.col("volume") < 0, pl.format("volume {}", "volume")),
        (
            Reason.INCONSISTENT_OHLC,
            (pl.col("high") < top * (1 - OHLC_TOLERANCE)) | (pl.col("low") > bottom * (1 + OHLC_TOLERANCE)),
            pl.format("open {}, high {}, low {}, close {} cannot all hold", *_OHLC),
        ),
    ]


def refuse(rows: pl.DataFrame, rules: Sequence[tuple[Reason, pl.Expr, pl.Expr]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without a reason, and REFUSED_SCHEMA of the others."""
    holds = pl.coalesce(
        pl.when(condition).then(pl.lit(number, pl.UInt8)) for number, (_, condition, _) in enumerate(rules)
    )
    marked = rows.with_columns(holds.alias("rule"))
    kept = marked.filter(pl.col("rule").is_null()).drop("rule")
    if len(kept) == len(rows):
        return kept, pl.DataFrame(schema=REFUSED_SCHEMA)
    refused = marked.filter(pl.col("rule").is_not_null()).select(
        "row_number",
        "symbol",
        "session_on",
        pl.col("rule").replace_strict({n: rule[0].value for n, rule in enumerate(rules)}).alias("reason"),
        pl.coalesce(pl.when(pl.col("rule") == n).then(text) for n, (_, _, text) in enumerate(rules)).alias("detail"),
    )
    return kept, refused


def fingerprints(rows: pl.DataFrame) -> npt.NDArray[np.uint32]:
    """A number other than zero for each row's values; different values nearly always differ in it."""
    mixed = np.full(len(rows), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for name in NUMBERS:
        mixed = (mixed ^ rows[name].to_numpy().view(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(32)).astype(np.uint32) | np.uint32(1)


def _near_power_of_ten(ratio: _Numbers) -> npt.NDArray[np.int64]:
    """The power where a ratio is within the tolerance of 10, 100, 0.1 ...; else 0."""
    logs = np.log10(ratio)
    powers = np.rint(logs)
    return np.where(np.abs(logs - powers) <= _TEN_TOLERANCE, powers, 0).astype(np.int64)


def jump_rows(days: npt.NDArray[np.int64], close: _Numbers) -> _Mask:
    """Which rows of one symbol, in order of sessions, stand a power of ten off.

    The series is cut where the close leaps by a power of ten. The level of the longest stretch is right; other
    stretches are refused whole up to ten rows. A longer one may be an unadjusted split: only its first row is refused.
    """
    powers = np.zeros(len(close), dtype=np.int64)
    powers[1:] = _near_power_of_ten(close[1:] / close[:-1])
    powers[1:][np.diff(days) > _JUMP_DAYS_MAX] = 0
    level = np.cumsum(powers)
    starts = np.flatnonzero(np.concatenate([[True], powers[1:] != 0]))
    lengths = np.diff(np.append(starts, len(close)))
    right = level[starts[lengths.argmax()]]
    wrong = np.zeros(len(close), dtype=bool)
    for start, length in zip(starts, lengths, strict=True):
        if level[start] != right:
            wrong[start : start + (length if length <= CONTEXT_SESSIONS else 1)] = True
    return wrong


def jumps(codes: npt.NDArray[np.int64], days: npt.NDArray[np.int64], prices: Mapping[str, _Numbers]) -> _Mask:
    """Rows with a price a power of ten off; `codes` number the symbols, rows in order of symbol and session."""
    close = prices["close"]
    wrong: _Mask = np.zeros(len(close), dtype=bool)
    # Of the consistent prices of a row, high and low are the outermost: far apart, one of the four may be off.
    wide = np.flatnonzero(prices["high"] > prices["low"] * 5)
    for name in ("open", "high", "low"):
        wrong[wide] |= _near_power_of_ten(prices[name][wide] / close[wide]) != 0
    leaps = np.flatnonzero((codes[1:] == codes[:-1]) & (np.abs(np.log10(close[1:] / close[:-1])) > 0.9)) + 1
    for code in np.unique(codes[leaps]):
        own = np.flatnonzero((codes == code) & ~wrong)
        wrong[own] = jump_rows(days[own], close[own])
    return wrong


def stale_rows(codes: npt.NDArray[np.int64], values: Mapping[str, _Numbers]) -> _Mask:
    """Rows after the first of a run of sessions with the same prices and the same volume, not zero."""
    same = codes[1:] == codes[:-1]
    same &= values["volume"][1:] > 0
    for name in (*_OHLC, "volume"):
        same &= values[name][1:] == values[name][:-1]
    repeats: _Mask = np.concatenate([[False], same])
    if not repeats.any():
        return repeats
    run = np.cumsum(~repeats)
    stale: _Mask = repeats & (np.bincount(run)[run] >= STALE_SESSIONS)
    return stale
