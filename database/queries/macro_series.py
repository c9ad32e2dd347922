"""Market-wide series as known on a date."""

from datetime import date

import polars as pl

from database.columnar import read_frame


def read_macro(*, as_of: date) -> pl.DataFrame:
    """series, observed_on, known_on, value of everything known on `as_of`, sorted by series, observed_on."""
    return read_frame(
        "select series, observed_on, known_on, value from macro_observations where known_on <= $1 order by 1, 2",
        [as_of],
    )
