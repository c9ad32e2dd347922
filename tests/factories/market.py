"""A small synthetic market: instruments with sectors, bars, dividends, index spells, macro series and facts."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from core.clock import now
from database.queries.bars import finish_batch, merge_bars, raise_vintages, take_batch
from database.queries.corporate_actions import replace_dividends
from database.queries.fundamentals import merge_facts
from database.queries.index_memberships import merge_memberships
from database.queries.instruments import ids_by_symbol, merge_instruments, merge_market_caps
from database.queries.macro_series import merge_observations, merge_series
from database.session import Session
from market_data.calendars import sessions_between

SECTORS = (
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Real Estate",
    "Telecommunications Services",
    "Utilities",
)
SECTOR_FUNDS = ("SPY", "XLB", "XLE", "XLF", "XLI", "XLK", "XLP", "XLU", "XLV", "XLY")
SOURCE = "synthetic"


@dataclass(frozen=True)
class Market:
    """What `create_market` made. Prices are (session, instrument); `symbols` are S000, S001, ..."""

    instrument_ids: list[int]
    symbols: list[str]
    sessions: list[date]
    close: npt.NDArray[np.float64]
    adj_close: npt.NDArray[np.float64]

    @property
    def last_on(self) -> date:
        """The newest session with bars."""
        return self.sessions[-1]


def _closes(random: np.random.Generator, sessions: int, instruments: int) -> npt.NDArray[np.float64]:
    market = random.normal(0.0004, 0.009, size=(sessions, 1))
    betas = random.uniform(0.5, 1.6, size=instruments)
    own = random.normal(0.0, random.uniform(0.006, 0.02, size=instruments), size=(sessions, instruments))
    closes: npt.NDArray[np.float64] = random.uniform(15, 180, size=instruments) * np.exp(
        np.cumsum(market * betas + own, axis=0)
    )
    return np.round(closes, 2)


def _dividends(closes: npt.NDArray[np.float64], sessions: list[date]) -> npt.NDArray[np.float64]:
    """Amounts a share: every other instrument pays half a percent on the first session of each third month."""
    amounts = np.zeros_like(closes)
    for row in range(1, len(sessions)):
        if sessions[row].month != sessions[row - 1].month and sessions[row].month % 3 == 0:
            amounts[row, ::2] = np.round(closes[row - 1, ::2] * 0.005, 4)
    return amounts


def _write_bars(session: Session, market: Market, random: np.random.Generator) -> None:
    shape = market.close.shape
    opens = np.vstack([market.close[:1], market.close[:-1]]) * np.exp(random.normal(0, 0.003, size=shape))
    opens = np.round(opens, 2)
    reach = np.abs(random.normal(0, 0.005, size=(2, *shape)))
    highs = np.round(np.maximum(opens, market.close) * (1 + reach[0]), 2)
    lows = np.round(np.minimum(opens, market.close) * (1 - reach[1]), 2)
    volumes = np.round(np.exp(random.normal(14, 0.5, size=shape))).astype("i8")
    batch = take_batch(session, source=SOURCE, file_name="synthetic", content_sha256="0" * 64)
    days = np.array(market.sessions, dtype="datetime64[D]")
    merge_bars(
        session,
        {
            "instrument_id": np.repeat(np.array(market.instrument_ids, dtype="i4"), len(days)),
            "session_on": np.tile(days, len(market.instrument_ids)),
            "open": opens.T.ravel(),
            "high": np.maximum(highs, np.maximum(opens, market.close)).T.ravel(),
            "low": np.minimum(lows, np.minimum(opens, market.close)).T.ravel(),
            "close": market.close.T.ravel(),
            "adj_close": market.adj_close.T.ravel(),
            "volume": volumes.T.ravel(),
        },
        batch_id=batch.batch_id,
    )
    finish_batch(session, batch, at=now())


def _write_macro(session: Session, market: Market, random: np.random.Generator) -> None:
    count = len(market.sessions)
    index = 1500 * market.close.mean(axis=1) / market.close[0].mean()
    returns = np.diff(np.log(index), prepend=np.log(index[0]))
    swing = np.array([returns[max(0, row - 21) : row + 1].std() for row in range(count)]) * np.sqrt(252) * 100
    values = {
        "VIX": np.round(np.clip(swing * 1.1 + 4, 9, 80), 2),
        "SPX": np.round(index, 2),
        "DGS3MO": np.full(count, 1.0),
        "DGS2": np.round(1.5 + np.cumsum(random.normal(0, 0.01, count)), 2),
        "DGS10": np.round(2.5 + np.cumsum(random.normal(0, 0.01, count)), 2),
        **{name: np.round(index / 10 * (1 + 0.01 * n), 4) for n, name in enumerate(SECTOR_FUNDS)},
    }
    merge_series(session, [(name, name, "synthetic", SOURCE) for name in values])
    following = [*market.sessions[1:], market.sessions[-1] + timedelta(days=1)]
    rows = [
        (name, day, later if name.startswith("DGS") else day, value)
        for name, series in values.items()
        for day, later, value in zip(market.sessions, following, series.tolist(), strict=True)
    ]
    raise_vintages(session, dataset="macro_series", years=merge_observations(session, rows))


def _write_facts(session: Session, market: Market, random: np.random.Generator) -> None:
    first, last = market.sessions[0].year - 2, market.sessions[-1].year
    facts, caps = [], []
    for column, instrument_id in enumerate(market.instrument_ids):
        shares = int(random.integers(100, 900)) * 1_000_000
        revenue = shares * market.close[0, column] * random.uniform(0.3, 1.2)
        for year in range(first, last + 1):
            period = date(year, 12, 31)
            known = period + timedelta(days=90)
            revenue *= random.uniform(0.95, 1.2)
            income = revenue * random.uniform(0.02, 0.2)
            items = {
                "total_revenue": revenue,
                "gross_profit": revenue * 0.4,
                "operating_income": income * 1.4,
                "net_income": income,
                "net_cash_flow_operating": income * 1.2,
                "capital_expenditures": -income * 0.3,
                "total_assets": revenue * 1.5,
                "total_liabilities": revenue * 0.8,
                "total_equity": revenue * 0.7,
                "long_term_debt": revenue * 0.3,
                "cash_and_cash_equivalents": revenue * 0.1,
                "earnings_per_share": income / shares,
                "shares_outstanding": shares,
            }
            facts += [(instrument_id, item, period, known, round(float(value), 4)) for item, value in items.items()]
            caps.append((instrument_id, known, period, Decimal(shares), None))
    raise_vintages(session, dataset="fundamentals", years=merge_facts(session, facts, source=SOURCE))
    raise_vintages(session, dataset="market_caps", years=merge_market_caps(session, caps))


def create_market(
    session: Session,
    *,
    instruments: int = 60,
    sessions: int = 600,
    seed: int = 7,
    last_on: date = date(2017, 6, 30),
    index_name: str = "SP500",
) -> Market:
    """Write a market of `instruments` over the last `sessions` sessions up to `last_on`; same seed, same market.

    All are index members from the first session on, but the last one, which joins half-way. Every other one pays
    a quarterly dividend. Facts are annual, known 90 days after the year's end. Works in a transaction that is
    rolled back and in one that is committed; `read_frame` sees it only after the commit.
    """
    random = np.random.default_rng(seed)
    days = sessions_between(last_on - timedelta(days=sessions * 2), last_on)[-sessions:]
    symbols = [f"S{number:03}" for number in range(instruments)]
    merge_instruments(
        session,
        [
            (symbol, f"Company {symbol}", SECTORS[n % len(SECTORS)], f"Industry {n % 20}", None)
            for n, symbol in enumerate(symbols)
        ],
        kind="stock",
    )
    known = ids_by_symbol(session, symbols=symbols)
    ids = [known[symbol] for symbol in symbols]
    close = _closes(random, len(days), instruments)
    amounts = _dividends(close, days)
    kept = np.ones_like(close)
    kept[1:] = 1 - amounts[1:] / close[:-1]
    # A dividend lowers all earlier adjusted closes: the product of what was kept after each session.
    after = np.vstack([np.cumprod(kept[::-1], axis=0)[::-1][1:], np.ones((1, instruments))])
    market = Market(ids, symbols, days, close, close * after)
    _write_bars(session, market, random)
    paid = [
        (ids[column], days[row], Decimal(str(round(amounts[row, column], 6))))
        for row, column in np.argwhere(amounts > 0)
    ]
    years = replace_dividends(session, paid, instrument_ids=ids, source=SOURCE)
    raise_vintages(session, dataset="corporate_actions", years=years)
    spells = [(number, days[0], None) for number in ids[:-1]] + [(ids[-1], days[len(days) // 2], None)]
    years = merge_memberships(session, spells, index_name=index_name)
    raise_vintages(session, dataset="index_memberships", years=years)
    _write_macro(session, market, random)
    _write_facts(session, market, random)
    return market
