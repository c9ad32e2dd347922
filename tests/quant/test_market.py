"""Prices laid out as sessions by instruments."""

from datetime import date

import numpy as np
import polars as pl

from quant.market import average_volume, lay_out_market

BARS = pl.DataFrame(
    {
        "instrument_id": [7, 7, 7, 3],
        "session_on": [date(2017, 1, 3), date(2017, 1, 4), date(2017, 1, 5), date(2017, 1, 4)],
        "open": [10.0, 11.0, 12.0, 50.0],
        "close": [10.5, 11.5, 12.5, 51.0],
        "volume": [100, 300, 500, 1000],
    }
)
DIVIDENDS = pl.DataFrame(
    {
        "instrument_id": [7, 7, 9, 3, 7],
        "ex_on": [date(2017, 1, 4), date(2017, 1, 4), date(2017, 1, 4), date(2017, 1, 7), date(2016, 12, 1)],
        "amount_usd": [0.25, 0.5, 1.0, 2.0, 3.0],
    }
)


class TestLayOutMarket:
    def test_each_bar_has_its_place(self) -> None:
        market = lay_out_market(BARS, DIVIDENDS)
        assert market.instrument_ids.tolist() == [3, 7]
        assert [str(day) for day in market.sessions] == ["2017-01-03", "2017-01-04", "2017-01-05"]
        np.testing.assert_array_equal(market.prices.close, [[np.nan, 10.5], [51.0, 11.5], [np.nan, 12.5]])
        np.testing.assert_array_equal(market.prices.open[:, 1], [10.0, 11.0, 12.0])

    def test_dividends_of_a_day_add_up_and_strangers_are_left_out(self) -> None:
        market = lay_out_market(BARS, DIVIDENDS)
        np.testing.assert_array_equal(market.prices.dividend, [[0.0, 0.0], [0.0, 0.75], [0.0, 0.0]])

    def test_since_keeps_what_volumes_know_of_before(self) -> None:
        market = lay_out_market(BARS, DIVIDENDS).since(np.datetime64("2017-01-05"))
        assert len(market.sessions) == len(market.prices.open) == 1
        # 7: the mean of 100, 300 and 500; 3: 1,000 in three sessions.
        np.testing.assert_allclose(market.prices.volume, [[1000 / 3, 300.0]])


class TestAverageVolume:
    def test_is_the_mean_of_the_last_21_sessions(self) -> None:
        volume = np.arange(1.0, 41.0)[:, None]
        np.testing.assert_allclose(average_volume(volume)[[0, 4, 20, 39], 0], [1.0, 3.0, 11.0, 30.0])
