"""Split factors read off the cent grid, against splits that happened."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data.sample.load import SAMPLE_DIR
from market_data.sample.split_basis import choose_bases, split_factor


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return pl.read_parquet(SAMPLE_DIR / "daily_bars.parquet")


class TestSplitFactor:
    @pytest.mark.parametrize(
        ("symbol", "ex_on", "before", "after"),
        [
            ("AAPL", date(2014, 6, 9), 7, 1),
            ("NFLX", date(2015, 7, 15), 7, 1),
            ("V", date(2015, 3, 19), 4, 1),
            ("SBUX", date(2015, 4, 9), 2, 1),
            ("NKE", date(2015, 12, 24), 2, 1),
            ("MA", date(2014, 1, 22), 10, 1),
            ("GILD", date(2013, 1, 28), 2, 1),
            ("CMCSA", date(2017, 2, 21), 2, 1),
            ("KO", date(2012, 8, 13), 2, 1),
            ("C", date(2011, 5, 9), 0.1, 1),
            ("AIG", date(2009, 7, 1), 0.05, 1),
        ],
    )
    def test_known_split(self, bars: pl.DataFrame, symbol: str, ex_on: date, before: float, after: float) -> None:
        own = bars.filter(pl.col("symbol") == symbol)
        for side, expected in (
            (own.filter(pl.col("session_on") < ex_on).tail(10), before),
            (own.filter(pl.col("session_on") >= ex_on).head(10), after),
        ):
            prices = side.select("open", "high", "low", "close").to_numpy().ravel().astype(np.float64)
            assert split_factor(prices) == expected

    @settings(max_examples=100, deadline=None)
    @given(
        factor=st.sampled_from([0.1, 0.25, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 10.0]),
        start=st.floats(12, 400),
        seed=st.integers(0, 10_000),
    )
    def test_factor_of_whole_cent_prices_comes_back(self, factor: float, start: float, seed: int) -> None:
        walk = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 40)))
        tape = np.round(start * walk, 2)
        assert split_factor((tape / factor).astype(np.float32).astype(np.float64)) == factor

    def test_too_few_prices_tell_nothing(self) -> None:
        assert np.isnan(split_factor(np.array([1.0, 2.0])))

    def test_prices_off_every_grid_tell_nothing(self) -> None:
        assert np.isnan(split_factor(np.random.default_rng(1).uniform(500, 600, 40)))


class TestChooseBases:
    def test_count_restated_between_period_end_and_filing(self) -> None:
        """Mastercard's report of 2013 came after the 10:1 split of 2014-01-22 and counts new shares."""
        chosen = choose_bases(np.array([121.2e6 * 10, 116.3e7]), np.array([10.0, 1.0]), np.array([1.0, 1.0]))
        assert chosen.tolist() == [1.0, 1.0]

    def test_count_as_of_the_period_end(self) -> None:
        """Comcast's report of 2016 came before the 2:1 split of 2017-02-21 and counts old shares."""
        chosen = choose_bases(np.array([2.44e9, 2.4e9]), np.array([2.0, 2.0]), np.array([2.0, 1.0]))
        assert chosen.tolist() == [2.0, 2.0]

    def test_unknown_stays_unknown(self) -> None:
        chosen = choose_bases(np.array([1e9, 1e9]), np.array([np.nan, 1.0]), np.array([1.0, 1.0]))
        assert np.isnan(chosen[0])


class TestShippedShares:
    def test_market_values_are_of_the_size_remembered(self) -> None:
        caps = pl.read_parquet(SAMPLE_DIR / "fundamentals.parquet")
        year = caps.filter(pl.col("period_end_on").is_between(date(2015, 6, 1), date(2016, 5, 31)))
        billions = {row["symbol"]: row["market_cap_usd"] / 1e9 for row in year.drop_nulls("market_cap_usd").to_dicts()}
        # Market values of late 2015 and early 2016 in billions of USD.
        for symbol, expected in (("AAPL", 600), ("XOM", 350), ("MSFT", 350), ("KO", 200), ("NFLX", 43), ("SBUX", 88)):
            assert billions[symbol] == pytest.approx(expected, rel=0.15)
