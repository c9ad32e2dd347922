"""What the screeners said out of sample, beside what came of it."""

from collections.abc import Collection
from datetime import date

import numpy as np
import polars as pl

from database.queries.bars import read_bars
from database.queries.scores import read_out_of_fold
from ml_models.dataset import Dataset
from ml_models.folds import universe_year
from ml_models.labels import HORIZON_SESSIONS, price_panel
from ml_models.training import SCORED_EVERY_SESSIONS

# How far back drift of a ranking is looked for.
_HISTORY_YEARS = 5


def outcomes(*, as_of: date, strategies: Collection[str] | None = None) -> pl.DataFrame:
    """strategy, session_on, instrument_id, score, forward, label, known_on of the last five years up to `as_of`.

    known_on is the session whose close ends the label's span. forward (total return) and label (1 beats the
    universe's median, 0 does not) are NaN, and known_on null, where that lies behind `as_of`.
    """
    first_on = date(as_of.year - _HISTORY_YEARS, 1, 1)
    said = read_out_of_fold(as_of=as_of, strategies=strategies, first_on=first_on)
    if said.is_empty():
        return said.with_columns(forward=pl.lit(0.0), label=pl.lit(0.0), known_on=pl.lit(None, pl.Date))
    rows = Dataset(
        # Sessions are sampled from the first of each year on.
        panel=price_panel(read_bars(as_of=as_of, first_on=first_on, columns=("adj_close",))),
        features=(),
        read_year=lambda year: universe_year(year, columns=()),
        every_sessions=SCORED_EVERY_SESSIONS,
        label_sessions=HORIZON_SESSIONS,
        years_kept=1,
    )
    sessions = np.array(rows.panel.sessions, dtype="datetime64[D]")
    came = pl.concat([_of_year(rows, year, sessions) for year in sorted(set(said["session_on"].dt.year().to_list()))])
    return said.join(came, on=["session_on", "instrument_id"], how="left", maintain_order="left").with_columns(
        pl.col("forward", "label").fill_null(float("nan"))
    )


def _of_year(rows: Dataset, year: int, sessions: np.ndarray) -> pl.DataFrame:
    of_year = rows.year(year)
    ends = of_year.session_of_row + HORIZON_SESSIONS
    known_on = sessions[np.minimum(ends, len(sessions) - 1)]
    return pl.DataFrame(
        {
            "session_on": sessions[of_year.session_of_row],
            "instrument_id": of_year.instrument_ids,
            "forward": of_year.forward,
            "label": of_year.labels.astype(np.float64),
            "known_on": known_on,
        }
    ).with_columns(pl.when(pl.Series(ends < len(sessions))).then("known_on").alias("known_on"))
