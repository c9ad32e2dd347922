"""The rows that screeners learn from: the universe on sampled sessions, one float32 matrix a year.

Years are read one at a time and only the newest few are kept, so memory does not grow with history. A fold's rows
are gathered once into a C-ordered float32 matrix, which XGBoost then reads in place.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import DataMissing
from ml_models.eligibility import Mask
from ml_models.labels import PricePanel, beats_median, forward_returns

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Universe members on sampled sessions, by session, then instrument; all fields are parallel.

    `session_of_row` counts in the panel's sessions. `forward` is the label span's total return, `labels` 1, 0 or NaN.
    """

    session_of_row: npt.NDArray[np.int64]
    instrument_ids: npt.NDArray[np.int32]
    X: Matrix
    forward: npt.NDArray[np.float64]
    labels: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def between(self, sessions: slice) -> "Rows":
        """The rows of sessions[start:stop], as views."""
        start, stop = np.searchsorted(self.session_of_row, [sessions.start, sessions.stop])
        part = slice(int(start), int(stop))
        return Rows(
            self.session_of_row[part], self.instrument_ids[part], self.X[part], self.forward[part], self.labels[part]
        )

    def days(self) -> list[tuple[int, slice]]:
        """(session, its rows) of each session present."""
        sessions, starts = np.unique(self.session_of_row, return_index=True)
        bounds = pairwise([*starts.tolist(), len(self)])
        return [(session, slice(*bound)) for session, bound in zip(sessions.tolist(), bounds, strict=True)]


def gather(parts: Sequence[tuple[Rows, Mask]]) -> Rows:
    """The masked rows of all parts in one; each value is copied once, and not at all where nothing is left out."""
    if len(parts) == 1 and parts[0][1].all():
        return parts[0][0]
    total = sum(int(mask.sum()) for _, mask in parts)
    X = np.empty((total, parts[0][0].X.shape[1]), dtype=np.float32)
    start = 0
    for rows, mask in parts:
        stop = start + int(mask.sum())
        np.compress(mask, rows.X, axis=0, out=X[start:stop])
        start = stop
    return Rows(
        session_of_row=np.concatenate([rows.session_of_row[mask] for rows, mask in parts]),
        instrument_ids=np.concatenate([rows.instrument_ids[mask] for rows, mask in parts]),
        X=X,
        forward=np.concatenate([rows.forward[mask] for rows, mask in parts]),
        labels=np.concatenate([rows.labels[mask] for rows, mask in parts]),
    )


class Dataset:
    """Rows by year, read when asked for.

    `read_year` gives a year's features of the universe: session_on, instrument_id and the feature columns. Every
    `every_sessions`-th session of each year is sampled, counted from the year's first, so adding history moves none.
    Threads may share one dataset.
    """

    def __init__(
        self,
        *,
        panel: PricePanel,
        features: Sequence[str],
        read_year: Callable[[int], pl.DataFrame],
        every_sessions: int,
        label_sessions: int,
        years_kept: int,
    ) -> None:
        self.panel = panel
        self.features = tuple(features)
        self._read_year = read_year
        self._every = every_sessions
        self._years_kept = years_kept
        self._forward = forward_returns(panel, horizon=label_sessions)
        self._years: OrderedDict[int, Rows] = OrderedDict()
        self._reading = Lock()

    def sampled_sessions(self, year: int) -> list[date]:
        """The year's sampled sessions."""
        return list(self.panel.sessions[self._sessions_of(year)][:: self._every])

    def window(self, sessions: slice) -> list[Rows]:
        """The sampled rows of panel.sessions[sessions], one part a year; empty where there are none."""
        if sessions.stop <= sessions.start:
            return []
        first, last = self.panel.sessions[sessions.start], self.panel.sessions[sessions.stop - 1]
        parts = [self.year(year).between(sessions) for year in range(first.year, last.year + 1)]
        return [part for part in parts if len(part)]

    def year(self, year: int) -> Rows:
        """All sampled rows of one calendar year."""
        with self._reading:
            if year in self._years:
                self._years.move_to_end(year)
            else:
                while len(self._years) >= self._years_kept:
                    self._years.popitem(last=False)
                self._years[year] = self._load(year)
            return self._years[year]

    def _sessions_of(self, year: int) -> slice:
        sessions = self.panel.sessions
        return slice(bisect_left(sessions, date(year, 1, 1)), bisect_left(sessions, date(year + 1, 1, 1)))

    def _load(self, year: int) -> Rows:
        sampled = self.sampled_sessions(year)
        if not sampled:
            return _no_rows(len(self.features))
        frame = self._read_year(year)
        absent = [name for name in self.features if name not in frame.columns]
        if absent:
            raise DataMissing(f"the feature snapshot of {year} lacks {', '.join(absent)}; run: acis features build")
        frame = frame.filter(pl.col("session_on").is_in(sampled)).sort("session_on", "instrument_id")
        ids = frame["instrument_id"].to_numpy().astype(np.int32)
        sessions = np.array(self.panel.sessions, dtype="datetime64[D]")
        session_of_row = np.searchsorted(sessions, frame["session_on"].to_numpy()).astype(np.int64)
        column = np.searchsorted(self.panel.instrument_ids, ids)
        known = self.panel.instrument_ids[np.minimum(column, len(self.panel.instrument_ids) - 1)] == ids
        forward = np.full(len(frame), np.nan)
        forward[known] = self._forward[session_of_row[known], column[known]]
        X = np.ascontiguousarray(frame.select(pl.col(self.features).cast(pl.Float32)).to_numpy(), dtype=np.float32)
        return Rows(session_of_row, ids, X, forward, beats_median(forward, session_of_row))


def _no_rows(features: int) -> Rows:
    return Rows(
        np.empty(0, np.int64),
        np.empty(0, np.int32),
        np.empty((0, features), np.float32),
        np.empty(0, np.float64),
        np.empty(0, np.float32),
    )
