"""A small made-up market to try the decision path on: four years of real sessions, the same to the bit each time.

It holds what leaks hide behind: stocks that leave the index and the exchange, others that join, late reports and
restated ones, yields that are published days later, dividends, halts, and sudden moves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from features.library import FEATURES
from market_data.calendars import sessions_between
from quant.guards import Dated, Frames
from quant.regime_inputs import CYCLICAL_SECTORS, DEFENSIVE_SECTORS

FIRST_ON, LAST_ON = date(2011, 1, 3), date(2014, 9, 30)
# The year whose decisions are looked at: its models learn from the sessions before it.
FOLD_YEAR = 2014
STOCKS = 30
_SECTORS = (*CYCLICAL_SECTORS, *DEFENSIVE_SECTORS)
_NEVER_REPORTED = {"open", "high", "low", "close", "adj_close", "volume", "dividend", "market_returns"}
# Sessions from the day that a Treasury yield is of to the day it is published.
_YIELD_LAG_SESSIONS = 2
# A move of the index in one session that anybody would have liked to know of the day before.
_SUDDEN = 0.035

TABLES: Mapping[str, Dated] = {
    "bars": Dated("session_on", ("open", "high", "low", "close", "adj_close", "volume")),
    "instruments": Dated("listed_on"),
    "memberships": Dated("start_on", ends_on="end_on"),
    "dividends": Dated("ex_on", ("amount_usd",)),
    "facts": Dated("known_on", ("value",)),
    "shares": Dated("known_on", ("shares_outstanding",)),
    "macro": Dated("known_on", ("value",)),
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MadeMarket:
    """`frames` have the columns that `database.queries` reads under the same names; `shares` are the market caps.

    `events` are the days around which a leak is likeliest to show, by kind.
    """

    frames: Frames
    sessions: tuple[date, ...]
    events: Mapping[str, tuple[date, ...]]


def make_market(*, stocks: int = STOCKS, first_on: date = FIRST_ON, last_on: date = LAST_ON) -> MadeMarket:
    """The market; the same arguments give the same bits."""
    random = np.random.default_rng(20140102)
    sessions = sessions_between(first_on, last_on)
    index = _index_returns(random, len(sessions))
    bars = pl.concat([_bars(random, sessions, number, index) for number in range(1, stocks + 1)])
    spells = list(_spells(sessions, stocks))
    frames = {
        "bars": bars.drop("paid"),
        "instruments": bars.group_by("instrument_id")
        .agg(pl.col("session_on").min().alias("listed_on"))
        .sort("instrument_id")
        .with_columns(pl.Series("sector", [_SECTORS[n % len(_SECTORS)] for n in range(stocks - 1)] + [None])),
        "memberships": pl.DataFrame(
            spells, schema={"instrument_id": pl.Int32, "start_on": pl.Date, "end_on": pl.Date}, orient="row"
        ),
        "dividends": bars.filter(pl.col("paid") > 0).select(
            "instrument_id", pl.col("session_on").alias("ex_on"), pl.col("paid").alias("amount_usd")
        ),
        "facts": _facts(random, sessions, stocks),
        "shares": _shares(random, sessions, stocks),
        "macro": _macro(random, sessions, index),
    }
    return MadeMarket(frames, tuple(sessions), _events(frames, sessions, index))


def _index_returns(random: np.random.Generator, count: int) -> Floats:
    """Calm and wild stretches, and a sudden move now and then."""
    wild = (np.arange(count) // 90) % 3 == 2
    returns = random.normal(np.where(wild, -0.0006, 0.0008), np.where(wild, 0.016, 0.007))
    returns[37::83] = random.choice([-0.045, 0.04], len(returns[37::83]))
    return np.asarray(returns)


def _bars(random: np.random.Generator, sessions: list[date], number: int, index: Floats) -> pl.DataFrame:
    count = len(sessions)
    returns = index * random.uniform(0.6, 1.5) + random.normal(0.0, random.uniform(0.008, 0.02), count)
    close = random.uniform(20.0, 150.0) * np.exp(np.cumsum(returns))
    paid = np.zeros(count)
    paid[19 + number :: 63] = (number % 2) * 0.004 * close[18 + number : -1 : 63]
    kept = np.append(1.0 - paid[1:] / close[:-1], 1.0)
    opened = close * np.exp(-returns * random.uniform(0.2, 0.8, count))
    frame = pl.DataFrame(
        {
            "instrument_id": pl.Series([number] * count, dtype=pl.Int32),
            "session_on": sessions,
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(np.abs(random.normal(0.0, 0.006, count))),
            "low": np.minimum(opened, close) * np.exp(-np.abs(random.normal(0.0, 0.006, count))),
            "close": close,
            "adj_close": close * np.cumprod(kept[::-1])[::-1],
            "volume": np.round(np.exp(random.normal(14.0, 0.5, count))),
            "paid": paid,
        }
    )
    if number % 12 == 5:
        return frame[: count * 11 // 12]  # leaves the exchange inside the year that is looked at
    if number % 12 == 6:
        return frame[count * 5 // 6 :]  # comes to it
    if number % 12 == 7:
        return pl.concat([frame[: count // 2], frame[count // 2 + 9 :]])  # a halt
    return frame


def _spells(sessions: list[date], stocks: int) -> Iterator[tuple[int, date, date | None]]:
    """Most stay; every fifth leaves or joins, one after the other, and some come back."""
    count = len(sessions)
    for number in range(1, stocks + 1):
        turn = sessions[count // 2 + (number * 397) % (count // 2 - 30)]
        if number % 5 == 0:
            yield number, sessions[0], turn
            if number % 10 == 0:
                yield number, min(turn + timedelta(days=70), sessions[-5]), None
        elif number % 5 == 1:
            yield number, turn, None
        else:
            yield number, sessions[0], None


def _facts(random: np.random.Generator, sessions: list[date], stocks: int) -> pl.DataFrame:
    items = sorted({name for feature in FEATURES.values() for name in feature.inputs} - FEATURES.keys())
    items = [name for name in items if name not in _NEVER_REPORTED and not name.isupper() and "shares" not in name]
    rows = []
    for number in range(1, stocks + 1):
        size = np.exp(random.normal(23.0, 0.6))
        for year in range(sessions[0].year - 2, sessions[-1].year):
            period = date(year, 12, 31) - timedelta(days=int(30 * (number % 4)))
            known = period + timedelta(days=int(random.integers(40, 110)))
            rows += [(number, item, period, known, size * random.normal(1.0, 0.4)) for item in items]
            # Half a year later, every third company tells another figure for the same year.
            if number % 3 == 0:
                restated_on = known + timedelta(days=150)
                rows += [(number, item, period, restated_on, size * random.normal(1.0, 0.4)) for item in items[:4]]
    schema = {
        "instrument_id": pl.Int32,
        "item": pl.String,
        "period_end_on": pl.Date,
        "known_on": pl.Date,
        "value": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shares(random: np.random.Generator, sessions: list[date], stocks: int) -> pl.DataFrame:
    rows = [
        (
            number,
            date(year + 1, 3, 1) + timedelta(days=number),
            date(year, 12, 31),
            float(random.integers(400, 900)) * 1e6,
        )
        for number in range(1, stocks + 1)
        for year in range(sessions[0].year - 2, sessions[-1].year)
    ]
    schema = {
        "instrument_id": pl.Int32,
        "known_on": pl.Date,
        "period_end_on": pl.Date,
        "shares_outstanding": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _macro(random: np.random.Generator, sessions: list[date], index: Floats) -> pl.DataFrame:
    count = len(sessions)
    level = 1500.0 * np.exp(np.cumsum(index))
    swing = np.array([index[max(0, row - 21) : row + 1].std() for row in range(count)]) * np.sqrt(252) * 100.0
    series = {
        "VIX": np.clip(swing * 1.1 + 4.0 + random.normal(0.0, 0.8, count), 9.0, 80.0),
        "SPX": level,
        "SPY": level / 10.0,
        "DGS3MO": 1.0 + np.cumsum(random.normal(0.0, 0.01, count)),
        "DGS2": 1.5 + np.cumsum(random.normal(0.0, 0.02, count)),
        "DGS10": 2.5 + np.cumsum(random.normal(0.0, 0.02, count)),
    }
    published = [
        *sessions[_YIELD_LAG_SESSIONS:],
        *(sessions[-1] + timedelta(days=n + 1) for n in range(_YIELD_LAG_SESSIONS)),
    ]
    rows = [
        (name, day, later if name.startswith("DGS") else day, float(value))
        for name, values in series.items()
        for day, later, value in zip(sessions, published, values, strict=True)
    ]
    schema = {"series": pl.String, "observed_on": pl.Date, "known_on": pl.Date, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("series", "observed_on")


def _events(frames: Frames, sessions: list[date], index: Floats) -> dict[str, tuple[date, ...]]:
    """Sudden moves up and down, firsts of weeks, months and quarters, and everything else that happens on a day."""
    pairs = list(pairwise(sessions))
    listed = set(sessions)

    def days(table: str, column: str) -> tuple[date, ...]:
        return tuple(sorted(set(frames[table][column].drop_nulls()) & listed))

    return {
        "falls": tuple(sessions[row] for row in np.flatnonzero(index < -_SUDDEN)),
        "rises": tuple(sessions[row] for row in np.flatnonzero(index > _SUDDEN)),
        "first sessions of a week": tuple(day for before, day in pairs if day.weekday() < before.weekday()),
        "first sessions of a month": tuple(day for before, day in pairs if day.month != before.month),
        "first sessions of a quarter": tuple(
            day for before, day in pairs if day.month != before.month and day.month % 3 == 1
        ),
        "joiners": days("memberships", "start_on"),
        "leavers": days("memberships", "end_on"),
        "dividends": days("dividends", "ex_on"),
        "reports": days("facts", "known_on"),
    }
