"""A small synthetic market with decisions in it, for the allocator: shapes as in production, seeded."""

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_trading.observation import Scales
from rl_trading.windows import Decisions, Market, Recording, record, tradable


def make_market(
    *, sessions: int = 300, instruments: int = 20, seed: int = 1, signal: npt.NDArray[Any] | None = None
) -> Market:
    """Prices from random walks; `signal` (sessions, instruments) is added to the daily log returns."""
    generator = np.random.default_rng(seed)
    shocks = generator.normal(0.0003, 0.012, (sessions, instruments))
    shocks += generator.normal(0.0, 0.006, (sessions, 1))
    if signal is not None:
        shocks += signal
    close = 50.0 * np.exp(np.cumsum(shocks, axis=0))
    overnight = np.exp(generator.normal(0.0, 0.003, (sessions, instruments)))
    opened = np.vstack([close[:1], close[:-1]]) * overnight
    dividend = np.zeros((sessions, instruments))
    dividend[30::63] = 0.25
    return Market(
        sessions=np.arange(np.datetime64(date(2015, 1, 1)), np.datetime64(date(2015, 1, 1)) + sessions),
        instrument_ids=np.arange(1, instruments + 1),
        open=np.round(opened, 4),
        close=np.round(close, 4),
        adj_close=close * np.exp(np.cumsum(dividend / close, axis=0)),
        volume=np.round(generator.uniform(5e5, 5e6, (sessions, instruments))),
        dividend=dividend,
    )


def make_decisions(
    market: Market,
    *,
    stocks: int = 10,
    features: int = 4,
    context: int = 3,
    first: int = 30,
    every: int = 5,
    strategy: str = "momentum_largecap",
    seed: int = 2,
    informative: npt.NDArray[Any] | None = None,
) -> Decisions:
    """Every `every` sessions, a changing list of stocks; `informative` (sessions, instruments) is feature 0."""
    generator = np.random.default_rng(seed)
    index = np.arange(first, len(market.sessions), every)
    order = generator.normal(size=(len(index), len(market.instrument_ids))).argsort(axis=1)[:, :stocks]
    # Most of a list survives from week to week, as it does with real scores.
    slots = np.tile(np.arange(stocks), (len(index), 1))
    slots[:, stocks * 2 // 3 :] = -1
    for row in range(len(index)):
        newcomers = [k for k in order[row] if k not in slots[row]]
        slots[row, slots[row] < 0] = newcomers[: int((slots[row] < 0).sum())]
    values = generator.normal(size=(len(index), stocks, features)).astype(np.float32)
    if informative is not None:
        values[:, :, 0] = informative[index[:, None], slots]
    return Decisions(
        strategy=strategy,
        session_index=index,
        slots=slots.astype(np.int64),
        stocks=values,
        context=generator.normal(size=(len(index), context)).astype(np.float32),
    )


def fit_scales(market: Market, *decisions: Decisions) -> Scales:
    """Scales fitted on all rows of `decisions`."""
    return Scales.fit(
        np.concatenate([d.stocks for d in decisions]),
        np.concatenate([tradable(market, d) for d in decisions]),
        np.concatenate([d.context for d in decisions]),
    )


def make_recording(**options: Any) -> Recording:
    """One strategy on a small market; options go to `make_decisions`."""
    market = make_market()
    decisions = make_decisions(market, **options)
    return record(market, [decisions], fit_scales(market, decisions))
