"""Index membership by date."""

from datetime import date

import polars as pl

from database.columnar import read_frame


def read_memberships(*, as_of: date, index_name: str = "SP500") -> pl.DataFrame:
    """Spells known on `as_of`: instrument_id, start_on, end_on; an end after `as_of` is not yet known: null."""
    return read_frame(
        "select instrument_id, start_on, case when end_on <= $1 then end_on end as end_on"
        " from index_memberships where index_name = $2 and start_on <= $1 order by 1, 2",
        [as_of, index_name],
    )
