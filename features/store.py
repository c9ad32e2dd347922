"""Feature snapshots on disk: one Parquet file a year, named by the hash of what is in it.

A file never changes once it has its name. It is written under another name, synced and renamed, so that a reader
meets a whole file or none.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from core.config import get_settings
from core.errors import IntegrityBroken
from features.arrays import Days
from features.matrix import Matrix
from features.panel import Panel

# What each row carries beside its features.
KEYS = ("session_on", "instrument_id", "sector", "in_universe", "close")
_ROWS_A_GROUP = 16_384
_YEARS_IN_MEMORY = 2
_DAYS_IN_MEMORY = 8


@dataclass(frozen=True, eq=False)
class StoredYear:
    """One year's frame, sorted by session and instrument, with the sessions of its rows for quick cuts."""

    frame: pl.DataFrame
    days: Days

    def on(self, day: date) -> pl.DataFrame:
        """The rows of one session; none where there is no such session."""
        number = (day - date(1970, 1, 1)).days
        start, stop = np.searchsorted(self.days, (number, number + 1))
        return self.frame.slice(int(start), int(stop - start))


def frame_of(matrix: Matrix, panel: Panel) -> pl.DataFrame:
    """The matrix as it is stored: KEYS, then float32 features, where NaN means unknown."""
    sectors = pl.Series([*panel.sectors, None], dtype=pl.String)
    return pl.DataFrame(
        {
            "session_on": pl.Series(matrix.day.astype(np.int32)).cast(pl.Date),
            "instrument_id": matrix.instrument_id.astype(np.int32),
            # Place -1, unknown, is the last of the names.
            "sector": sectors.gather(np.where(matrix.sector < 0, len(panel.sectors), matrix.sector)),
            "in_universe": matrix.member,
            "close": matrix.close,
            **dict(zip(matrix.names, matrix.values, strict=True)),
        }
    )


def hash_of(frame: pl.DataFrame) -> str:
    """sha256 of the frame's names, types and values, whatever file or memory holds them."""
    schema = ",".join(f"{name}:{kind}" for name, kind in frame.schema.items())
    digest = hashlib.sha256(f"{len(frame)} rows of {schema}\n".encode())
    for name in KEYS:
        column = frame[name]
        if column.dtype == pl.String:
            digest.update("\n".join(column.fill_null("")).encode())
        else:
            digest.update(column.to_physical().to_numpy().tobytes())
    digest.update(frame.drop(KEYS).to_numpy(order="fortran").tobytes(order="F"))
    return digest.hexdigest()


def file_name(year: int, content_hash: str) -> str:
    """Name of the file that holds this content."""
    return f"{year}-{content_hash[:16]}.parquet"


def path_of(name: str) -> Path:
    """Where the file of that name lies."""
    return get_settings().features_dir / name


def write_year(year: int, content_hash: str, frame: pl.DataFrame) -> str:
    """Write the frame unless its file is there already; returns the file's name. One writer a year at a time."""
    name = file_name(year, content_hash)
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_crash in path.parent.glob(f"{year}-*.tmp"):
        left_by_a_crash.unlink()
    if not path.exists():
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            frame.write_parquet(file, compression="lz4", row_group_size=_ROWS_A_GROUP)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    return name


def remove_superseded(year: int, kept: list[str]) -> None:
    """Remove the year's files but those of the names `kept`."""
    for path in get_settings().features_dir.glob(f"{year}-*.parquet"):
        if path.name not in kept:
            path.unlink()


@lru_cache(maxsize=_YEARS_IN_MEMORY)
def _read_year(path: Path, content_hash: str) -> StoredYear:
    """Decode one year and see that it holds what its name promises."""
    frame = pl.read_parquet(path)
    found = hash_of(frame)
    if found != content_hash:
        raise IntegrityBroken(f"{path} holds {found}, not {content_hash}: remove it and run `acis features build`")
    return StoredYear(frame, frame["session_on"].to_physical().to_numpy().astype(np.int64))


@lru_cache(maxsize=_DAYS_IN_MEMORY)
def read_day(path: Path, content_hash: str, day: date) -> tuple[pl.DataFrame, str]:
    """The rows of one session of the year kept under `path`, and their hash; no rows where there is no such session.

    The year stays decoded in memory for the next call; a file that does not hold `content_hash` is IntegrityBroken.
    """
    frame = _read_year(path, content_hash).on(day)
    return frame, hash_of(frame)
