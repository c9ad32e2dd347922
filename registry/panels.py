"""The universe's features as counts of whole days: a model's training window, kept for the process, and a month."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import DataMissing
from database.queries.features import current_snapshots
from database.session import Session
from features.service import feature_names, read_features
from market_data.calendars import sessions_between
from quant.drift import (
    BINS,
    REFERENCE_WINDOWS_MIN,
    Bins,
    Counts,
    Flags,
    PanelDrift,
    Reference,
    count_days,
    fit_bins,
    read_panel,
    refer,
    usual_alarms,
)
from quant.placement import WINDOW_SESSIONS

Integers = npt.NDArray[np.int64]
_SAMPLE_EVERY_SESSIONS = 5  # for the quantiles; every day is counted
_WINDOW_DAYS = 2 * WINDOW_SESSIONS  # calendar days that surely hold the window's sessions


@dataclass(frozen=True, eq=False)
class TrainingPanel:
    """What a month of features is held against: the sessions in [first_on, last_on].

    `known` counts the values of each feature.
    """

    first_on: date
    last_on: date
    features: tuple[str, ...]
    reference: Reference
    usual: tuple[Flags, ...]
    known: Integers


def training_panel(session: Session, *, first_on: date, last_on: date) -> TrainingPanel | None:
    """The universe from `first_on` to `last_on`; None where that is too short to tell what is usual.

    DataMissing where features of those years are not built.
    """
    if len(sessions_between(first_on, last_on)) < REFERENCE_WINDOWS_MIN * WINDOW_SESSIONS:
        return None
    snapshots = current_snapshots(session)
    contents = tuple(
        snapshots[year].content_hash for year in range(first_on.year, last_on.year + 1) if year in snapshots
    )
    return _training_panel(first_on, last_on, contents)


@lru_cache(maxsize=4)
def _training_panel(first_on: date, last_on: date, contents: tuple[str, ...]) -> TrainingPanel:  # noqa: ARG001 a key
    """`contents` are the hashes of the years' features: other features make another panel."""
    years = range(first_on.year, last_on.year + 1)
    spans = [(max(first_on, date(year, 1, 1)), min(last_on, date(year, 12, 31))) for year in years]
    bins = fit_bins(_columns(pl.concat([_sample(_universe(*span)) for span in spans])))
    # A year at a time: five years of daily features would take half a gigabyte.
    counts = np.concatenate([_count(bins, _universe(*span)) for span in spans])
    return TrainingPanel(
        first_on=first_on,
        last_on=last_on,
        features=feature_names(),
        reference=refer(bins, counts),
        usual=tuple(usual_alarms(bins, counts)),
        known=counts[:, :, :BINS].sum(axis=(0, 2), dtype=np.int64),
    )


def read_month(panel: TrainingPanel, *, as_of: date) -> PanelDrift:
    """The last 21 sessions up to `as_of` held against the panel. DataMissing where those are not built to the end."""
    frame = _universe(as_of - timedelta(days=_WINDOW_DAYS), as_of)
    sessions = frame["session_on"].unique().sort()
    if not len(sessions) or sessions[-1] != as_of or len(sessions) < WINDOW_SESSIONS:
        newest = sessions[-1] if len(sessions) else "none"
        raise DataMissing(f"drift of {as_of} needs features of it and of 20 sessions before (newest: {newest})")
    month = frame.filter(pl.col("session_on") >= sessions[-WINDOW_SESSIONS])
    return read_panel(panel.reference, _count(panel.reference.bins, month))


def count_sessions(panel: TrainingPanel, *, first_on: date, last_on: date) -> Counts:
    """The universe of each session in [first_on, last_on], counted in the panel's bins."""
    return _count(panel.reference.bins, _universe(first_on, last_on))


def _universe(first_on: date, last_on: date) -> pl.DataFrame:
    return read_features(as_of=last_on, first_on=first_on).filter("in_universe")


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("session_on").rank("dense") % _SAMPLE_EVERY_SESSIONS == 1)


def _columns(frame: pl.DataFrame) -> list[np.ndarray]:
    return [frame[name].to_numpy() for name in feature_names()]


def _count(bins: Bins, frame: pl.DataFrame) -> Counts:
    sessions, day = np.unique(frame["session_on"].to_numpy(), return_inverse=True)
    return count_days(bins, _columns(frame), day, len(sessions))
