"""Dividends and splits by ex-date."""

from datetime import date

import polars as pl

from database.columnar import read_frame


def read_dividends(*, as_of: date) -> pl.DataFrame:
    """instrument_id, ex_on, amount_usd (f64) of dividends gone ex not after `as_of`."""
    return read_frame(
        "select instrument_id, ex_on, amount_usd::float8 as amount_usd from corporate_actions"
        " where kind = 'dividend' and ex_on <= $1 order by 1, 2",
        [as_of],
    )
