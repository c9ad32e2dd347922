"""Reported facts as known on a date."""

from datetime import date

import polars as pl

from database.columnar import read_frame


def read_facts(*, as_of: date) -> pl.DataFrame:
    """instrument_id, item, period_end_on, known_on, value of all facts known on `as_of`."""
    return read_frame(
        "select instrument_id, item, period_end_on, known_on, value from fundamentals"
        " where known_on <= $1 order by instrument_id, item, period_end_on, known_on",
        [as_of],
    )
