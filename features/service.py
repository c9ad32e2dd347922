"""What doors and upper rooms ask of the features: build them, read them as of a date, say what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from core.errors import DataMissing, UnknownName
from core.progress import Progress, silent
from database.queries.features import Snapshot, current_snapshots
from database.session import transaction
from features.build import BuildReport, build_stale
from features.library import FEATURES
from features.store import KEYS, path_of, read_day

__all__ = [
    "BuildReport",
    "DayFeatures",
    "FeatureDescription",
    "build_features",
    "cross_section",
    "describe",
    "feature_names",
    "read_features",
]

_REMEDY = "run `acis features build`"


@dataclass(frozen=True, eq=False)
class DayFeatures:
    """One session's features: a row a stock that traded, `in_universe` marking the index members.

    frame: session_on, instrument_id, sector, in_universe, close (USD, split-adjusted), then every feature as float32
    with NaN for unknown, sorted by instrument_id. feature_hash: sha256 of exactly these rows. data_vintage: data set
    -> year -> version of what the year's snapshot was computed from.
    """

    frame: pl.DataFrame
    feature_hash: str
    data_vintage: Mapping[str, Mapping[str, int]]
    snapshot_id: int


@dataclass(frozen=True)
class FeatureDescription:
    """A feature in words. look_back: sessions before the day that can matter, inputs included. lag_days: least age of
    its data. description: a noun phrase, with the unit in which the value is given.
    """

    name: str
    group: str
    description: str
    unit: str
    inputs: tuple[str, ...]
    look_back: int
    lag_days: int


def build_features(*, progress: Progress = silent) -> BuildReport:
    """Build the years whose code or data changed; idempotent and resumable, each year commits by itself.

    Raises DataMissing where no bars are loaded.
    """
    return build_stale(progress=progress)


def read_features(*, as_of: date, first_on: date | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Rows of all stocks with `first_on` <= session_on <= `as_of`, sorted by session_on, instrument_id.

    Columns: session_on, instrument_id, sector, in_universe, close, then the features named by `columns` (default all)
    as float32, NaN where unknown. No value depends on anything known after its own session. Raises UnknownName for a
    name that is no feature, DataMissing where nothing is built.
    """
    wanted = tuple(FEATURES) if columns is None else tuple(columns)
    for name in wanted:
        if name not in FEATURES:
            raise UnknownName("feature", name, list(FEATURES))
    with transaction() as session:
        current = current_snapshots(session)
    snapshots = [
        snapshot
        for snapshot in current.values()
        if snapshot.first_on <= as_of and (first_on is None or snapshot.last_on >= first_on)
    ]
    if not snapshots:
        raise DataMissing(f"no features are built from {first_on or 'the beginning'} to {as_of}: {_REMEDY}")
    for snapshot in snapshots:
        _require_usable(snapshot, wanted)
    within = pl.col("session_on") <= as_of
    if first_on is not None:
        within &= pl.col("session_on") >= first_on
    files = [path_of(snapshot.file_name) for snapshot in snapshots]
    return pl.scan_parquet(files).filter(within).select(*KEYS, *wanted).collect()


def cross_section(*, as_of: date) -> DayFeatures:
    """All features of one session. Raises DataMissing where that session is not built."""
    with transaction() as session:
        snapshot = current_snapshots(session, year=as_of.year).get(as_of.year)
    if snapshot is None:
        raise DataMissing(f"no features of {as_of.year} are built: {_REMEDY}")
    _require_usable(snapshot, tuple(FEATURES))
    frame, feature_hash = read_day(path_of(snapshot.file_name), snapshot.content_hash, as_of)
    if frame.is_empty():
        raise DataMissing(f"there are no features of {as_of}; those of its year reach to {snapshot.last_on}: {_REMEDY}")
    return DayFeatures(
        frame=frame,
        feature_hash=feature_hash,
        data_vintage=snapshot.data_vintage,
        snapshot_id=snapshot.snapshot_id,
    )


def _require_usable(snapshot: Snapshot, wanted: Sequence[str]) -> None:
    missing = sorted(set(wanted) - set(snapshot.columns))
    if missing:
        raise DataMissing(f"the features of {snapshot.year} are from before {', '.join(missing)}: {_REMEDY}")
    if not path_of(snapshot.file_name).exists():
        raise DataMissing(f"the file {snapshot.file_name} of the features of {snapshot.year} is gone: {_REMEDY}")


def feature_names() -> tuple[str, ...]:
    """The names of all features, in the order of their columns."""
    return tuple(FEATURES)


def describe(name: str) -> FeatureDescription:
    """The feature of that name in words. Raises UnknownName."""
    feature = FEATURES.get(name)
    if feature is None:
        raise UnknownName("feature", name, list(FEATURES))
    sources = [describe(source) for source in feature.inputs if source in FEATURES]
    return FeatureDescription(
        name=name,
        group=feature.group,
        description=feature.description,
        unit=feature.unit,
        inputs=feature.inputs,
        look_back=feature.look_back + max((source.look_back for source in sources), default=0),
        lag_days=max([feature.lag_days, *(source.lag_days for source in sources)]),
    )
