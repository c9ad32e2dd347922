"""Dividends implied by adjusted closes, against what companies paid."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data.calendars import sessions_between
from market_data.dividends import DividendStream, implied_dividends
from market_data.sample.load import SAMPLE_DIR


@pytest.fixture(scope="module")
def sample_dividends() -> pl.DataFrame:
    bars = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet").select("symbol", "session_on", "close", "adj_close")
    frame = bars.with_columns(pl.col("close", "adj_close").cast(pl.Float64)).collect()
    return implied_dividends(frame.rename({"symbol": "instrument_id"}))


class TestSample:
    @pytest.mark.parametrize(
        ("symbol", "ex_on", "paid"),
        [
            ("AAPL", date(2017, 5, 11), 0.63),
            ("AAPL", date(2012, 8, 9), 2.65 / 7),  # before the 7:1 split
            ("KO", date(2017, 6, 13), 0.37),
            ("GE", date(2009, 6, 18), 0.10),
            ("MSFT", date(2016, 11, 15), 0.39),
            ("MSFT", date(2008, 2, 19), 0.11),
            ("XOM", date(2017, 5, 10), 0.77),
            ("JNJ", date(2019, 5, 24), 0.95),
            ("KLAC", date(2014, 11, 26), 16.50),  # a special one
        ],
    )
    def test_known_payment(self, sample_dividends: pl.DataFrame, symbol: str, ex_on: date, paid: float) -> None:
        found = sample_dividends.filter((pl.col("instrument_id") == symbol) & (pl.col("ex_on") == ex_on))
        assert found["amount_usd"].item() == pytest.approx(paid, abs=0.001)

    def test_non_payer_pays_nothing(self, sample_dividends: pl.DataFrame) -> None:
        assert not set(sample_dividends["instrument_id"]) & {"AMZN", "GOOGL", "NFLX", "BRK-B"}

    def test_quarterly_payer_pays_four_times_a_year(self, sample_dividends: pl.DataFrame) -> None:
        payer = sample_dividends.filter(pl.col("instrument_id") == "JNJ")
        years = payer.group_by(pl.col("ex_on").dt.year().alias("year")).len().filter(pl.col("year") < 2020)
        assert set(years["len"]) == {4}

    def test_false_dividends_of_the_source_are_gone(self, sample_dividends: pl.DataFrame) -> None:
        large = sample_dividends.filter(pl.col("instrument_id").is_in(["DHR", "ETN", "FRC"]))
        assert (large["amount_usd"] < 2).all()


class TestImpliedDividends:
    @settings(max_examples=60, deadline=None)
    @given(
        paid=st.dictionaries(st.integers(1, 99), st.floats(0.001, 0.2), max_size=8),
        seed=st.integers(0, 1000),
        digits=st.sampled_from([None, 6]),
    )
    def test_what_was_paid_comes_back(self, paid: dict[int, float], seed: int, digits: int | None) -> None:
        days = sessions_between(date(2016, 1, 1), date(2017, 1, 1))[:100]
        close = np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 100))), 2)
        kept = np.ones(100)
        for row, share in paid.items():
            kept[row] = 1 - share
        after = np.append(np.cumprod(kept[::-1])[::-1][1:], 1.0)
        adjusted = close * after if digits is None else np.round(close * after, digits)
        bars = pl.DataFrame({"instrument_id": 1, "session_on": days, "close": close, "adj_close": adjusted})
        found = dict(implied_dividends(bars).select("ex_on", "amount_usd").iter_rows())
        expected = {days[row]: share * close[row - 1] for row, share in paid.items()}
        assert found == pytest.approx(expected, abs=2e-4)

    def test_one_instrument_does_not_see_the_other(self) -> None:
        days = [date(2016, 1, 4), date(2016, 1, 5)]
        bars = pl.DataFrame(
            {
                "instrument_id": [1, 1, 2, 2],
                "session_on": days * 2,
                "close": [10.0, 10.0, 20.0, 20.0],
                "adj_close": [5.0, 5.0, 20.0, 20.0],
            }
        )
        assert implied_dividends(bars).is_empty()

    def test_adjusted_closes_in_whole_cents_imply_no_dividends_of_rounding(self) -> None:
        days = sessions_between(date(2016, 1, 1), date(2017, 1, 1))
        close = np.round(40 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, len(days)))), 2)
        bars = pl.DataFrame(
            {"instrument_id": 1, "session_on": days, "close": close, "adj_close": np.round(close * 0.8713, 2)}
        )
        assert implied_dividends(bars).is_empty()


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    bars = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet").filter(pl.col("symbol").is_in(["AAPL", "KO", "XOM"]))
    return bars.with_columns(pl.col("close", "adj_close").cast(pl.Float64)).collect()


class TestDividendStream:
    @pytest.mark.parametrize("by", [["symbol", "session_on"], ["session_on", "symbol"]])
    @pytest.mark.parametrize("size", [97, 1000, 100_000])
    def test_chunks_give_what_the_whole_gives(self, bars: pl.DataFrame, by: list[str], size: int) -> None:
        stream, ordered = DividendStream(), bars.sort(by)
        for start in range(0, len(bars), size):
            stream.take(ordered[start : start + size].sort("symbol", "session_on"))
        whole = implied_dividends(bars.select("symbol", "session_on", "close", "adj_close"))
        assert len(whole) > 100
        assert stream.dividends().sort("symbol", "ex_on").equals(whole.sort("symbol", "ex_on"))

    def test_symbols_out_of_order_are_set_aside(self, bars: pl.DataFrame) -> None:
        stream, coke = DividendStream(), bars.filter(pl.col("symbol") == "KO")
        stream.take(bars.filter(pl.col("symbol") != "KO"))
        stream.take(coke[1000:])
        stream.take(coke[:1000])
        assert stream.set_aside == {"KO"}
        assert set(stream.dividends()["symbol"]) == {"AAPL", "XOM"}
        assert stream.symbols() == {"AAPL", "KO", "XOM"}
