"""A small synthetic market as frames, for features without a database: `assemble(**market_frames())`."""

from datetime import date, timedelta

import numpy as np
import polars as pl

FIRST_ON = date(2014, 1, 1)
SECTORS = ("Energy", "Financials", "Utilities")
ITEMS = (
    "total_revenue",
    "gross_profit",
    "operating_income",
    "earnings_before_interest_and_tax",
    "net_income",
    "net_cash_flow_operating",
    "capital_expenditures",
    "sale_and_purchase_of_stock",
    "total_assets",
    "total_liabilities",
    "total_equity",
    "long_term_debt",
    "short_term_debt_current_portion_of_long_term_debt",
    "cash_and_cash_equivalents",
)


def weekdays(count: int) -> list[date]:
    """The first `count` weekdays from FIRST_ON on."""
    days = (FIRST_ON + timedelta(days=number) for number in range(count * 2))
    return [day for day in days if day.weekday() < 5][:count]


def market_frames(*, stocks: int = 12, sessions: int = 640, seed: int = 3) -> dict[str, pl.DataFrame]:
    """Frames with the columns that `database.queries` reads.

    Stock 2 starts half-way, stock 3 has a halt of nine sessions, stock 4 is a member in the third quarter only, the
    last stock has no sector. Reports are yearly, known after 60 to 120 days, one of them restated; every other stock
    pays dividends.
    """
    random = np.random.default_rng(seed)
    days = weekdays(sessions)
    market = random.normal(0.0003, 0.009, sessions)
    bars = pl.concat([_bars(random, days, number, market) for number in range(1, stocks + 1)])
    spells: list[tuple[int, date, date | None]] = [(n, days[0], None) for n in range(1, stocks + 1)]
    spells[3:4] = [(4, days[sessions // 2], days[sessions * 3 // 4])][: len(spells[3:4])]
    return {
        "bars": bars,
        "instruments": pl.DataFrame(
            {
                "instrument_id": range(1, stocks + 1),
                "sector": [SECTORS[n % 3] for n in range(stocks - 1)] + [None],
            },
            schema_overrides={"instrument_id": pl.Int32},
        ),
        "memberships": pl.DataFrame(
            spells,
            schema={"instrument_id": pl.Int32, "start_on": pl.Date, "end_on": pl.Date},
            orient="row",
        ),
        "dividends": bars.filter(pl.col("paid") > 0).select(
            "instrument_id", pl.col("session_on").alias("ex_on"), pl.col("paid").alias("amount_usd")
        ),
        "facts": _facts(random, stocks),
        "shares": _shares(random, stocks),
        "macro": _macro(random, days),
    }


def _bars(random: np.random.Generator, days: list[date], number: int, market: np.ndarray) -> pl.DataFrame:
    count = len(days)
    returns = market * random.uniform(0.5, 1.6) + random.normal(0.0, 0.015, count)
    close = random.uniform(20.0, 150.0) * np.exp(np.cumsum(returns))
    paid = np.zeros(count)
    paid[20::63] = (number % 2) * 0.004 * close[19:-1:63]
    kept = np.append(1.0 - paid[1:] / close[:-1], 1.0)
    opened = close * np.exp(random.normal(0.0, 0.004, count))
    frame = pl.DataFrame(
        {
            "instrument_id": pl.Series([number] * count, dtype=pl.Int32),
            "session_on": days,
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(np.abs(random.normal(0.0, 0.006, count))),
            "low": np.minimum(opened, close) * np.exp(-np.abs(random.normal(0.0, 0.006, count))),
            "close": close,
            "adj_close": close * np.cumprod(kept[::-1])[::-1],
            "volume": np.exp(random.normal(14.0, 0.5, count)).astype(np.int64),
            "paid": paid,
        }
    )
    if number == 2:
        return frame[count // 2 :]
    if number == 3:
        return pl.concat([frame[: count // 2], frame[count // 2 + 9 :]])
    return frame


def _facts(random: np.random.Generator, stocks: int) -> pl.DataFrame:
    rows = []
    for number in range(1, stocks + 1):
        size = np.exp(random.normal(22.0, 1.0))
        for year in range(2011, 2017):
            period = date(year, 12, 31)
            known = period + timedelta(days=int(random.integers(60, 120)))
            rows += [(number, item, period, known, size * random.normal(1.0, 0.4)) for item in ITEMS]
        # The newest but one report is restated half a year later.
        rows.append((number, "net_income", date(2014, 12, 31), date(2015, 9, 30), size * random.normal(1.0, 0.4)))
    schema = {
        "instrument_id": pl.Int32,
        "item": pl.String,
        "period_end_on": pl.Date,
        "known_on": pl.Date,
        "value": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shares(random: np.random.Generator, stocks: int) -> pl.DataFrame:
    rows = [
        (number, date(year + 1, 3, 31), date(year, 12, 31), float(random.integers(50, 900)) * 1e6)
        for number in range(1, stocks + 1)
        for year in range(2012, 2017)
    ]
    schema = {
        "instrument_id": pl.Int32,
        "known_on": pl.Date,
        "period_end_on": pl.Date,
        "shares_outstanding": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _macro(random: np.random.Generator, days: list[date]) -> pl.DataFrame:
    walks = {
        "VIX": 15.0 * np.exp(np.cumsum(random.normal(0.0, 0.04, len(days)))),
        "DGS3MO": 1.0 + np.cumsum(random.normal(0.0, 0.01, len(days))),
        "DGS2": 1.5 + np.cumsum(random.normal(0.0, 0.02, len(days))),
        "DGS10": 2.5 + np.cumsum(random.normal(0.0, 0.02, len(days))),
    }
    following = [*days[1:], days[-1] + timedelta(days=1)]
    rows = [
        (name, day, day if name == "VIX" else later, float(value))
        for name, values in walks.items()
        for day, later, value in zip(days, following, values, strict=True)
    ]
    schema = {"series": pl.String, "observed_on": pl.Date, "known_on": pl.Date, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
