"""What the night lays out for the allocator is what training laid out."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.tables.regimes import LABELS
from rl_trading.dataset import stock_columns
from rl_trading.night import lay_out
from rl_trading.observation import MARKET_FEATURES, STOCK_FEATURES
from rl_trading.prices import PastPrices
from rl_trading.windows import STOCKS

DAY = date(2017, 6, 30)
INSTRUMENTS = np.arange(1, 81)
PRICES = PastPrices(
    np.arange(np.datetime64(DAY) - 299, np.datetime64(DAY) + 1),
    INSTRUMENTS,
    50.0 * np.exp(np.random.default_rng(2).normal(0, 0.02, (300, len(INSTRUMENTS))).cumsum(axis=0)),
)
REGIME = dict(zip(LABELS, (0.5, 0.2, 0.1, 0.1, 0.1), strict=True))


def make_day(seed: int) -> pl.DataFrame:
    """A day's features, some unknown; the market's columns are the same for all."""
    source = np.random.default_rng(seed)
    stocks = source.normal(size=(len(STOCK_FEATURES), len(INSTRUMENTS))).astype(np.float32)
    stocks[source.random(stocks.shape) < 0.1] = np.nan
    market = source.normal(size=len(MARKET_FEATURES)).astype(np.float32)
    market[source.random(market.shape) < 0.2] = np.nan
    columns = dict(zip(STOCK_FEATURES, stocks, strict=True))
    columns |= {name: np.full(len(INSTRUMENTS), value) for name, value in zip(MARKET_FEATURES, market, strict=True)}
    keys = {"session_on": [DAY] * len(INSTRUMENTS), "instrument_id": INSTRUMENTS.astype(np.int32)}
    return pl.DataFrame(keys | {"close": 50.0 + source.random(len(INSTRUMENTS))} | columns)


class TestLayOut:
    @given(st.integers(0, 1_000), st.lists(st.integers(1, 100), unique=True, max_size=60))
    def test_is_what_training_sees(self, seed: int, chosen: list[int]) -> None:
        day = make_day(seed)
        scores = np.random.default_rng(seed).random(len(chosen)).astype(np.float32).tolist()
        seen = lay_out(list(zip(chosen, scores, strict=True)), day, REGIME, PRICES)
        ids, count = chosen[:STOCKS], min(len(chosen), STOCKS)
        listed = pl.DataFrame({"instrument_id": ids, "score": scores[:STOCKS], "slot": range(count)})
        table = listed.cast({"instrument_id": pl.Int32}).join(
            day, on="instrument_id", how="left", maintain_order="left"
        )
        if count:
            expected = stock_columns(table.with_columns(session_on=pl.lit(DAY)))
            np.testing.assert_array_equal(seen.stocks[:count], expected)
        assert np.isnan(seen.stocks[count:]).all()
        assert seen.instrument_ids == tuple(ids)
        assert seen.mask.tolist() == [i <= len(INSTRUMENTS) for i in ids] + [False] * (STOCKS - count)

    def test_context_is_the_market_then_the_regime(self) -> None:
        day = make_day(3)
        seen = lay_out([(5, 0.5)], day, REGIME, PRICES)
        np.testing.assert_array_equal(seen.context[: len(MARKET_FEATURES)], day.select(MARKET_FEATURES).row(0))
        assert seen.context[len(MARKET_FEATURES) :].tolist() == pytest.approx(list(REGIME.values()))

    def test_a_market_column_unknown_for_the_first_stock_is_taken_from_another(self) -> None:
        day = make_day(4).with_columns(pl.Series("vix_level", [np.nan] * 3 + [17.0] * 77, dtype=pl.Float32))
        assert lay_out([(5, 0.5)], day, REGIME, PRICES).context[0] == 17.0

    def test_past_returns_are_those_of_the_listed(self) -> None:
        seen = lay_out([(7, 0.9), (99, 0.8), (2, 0.7)], make_day(5), REGIME, PRICES)
        ratios = PRICES.closes[1:] / PRICES.closes[:-1] - 1.0
        np.testing.assert_allclose(seen.returns[-10:, 0], ratios[-10:, 6], rtol=1e-9)
        np.testing.assert_allclose(seen.returns[-10:, 2], ratios[-10:, 1], rtol=1e-9)
