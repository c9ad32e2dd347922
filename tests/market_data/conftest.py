"""A cut of the shipped sample, small enough to load in a second."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from market_data.sample.load import SAMPLE_DIR

SYMBOLS = ("AAPL", "BHF", "GE", "JNJ", "KO", "MSFT", "NFLX", "XOM")
MISSING = "TWX"
FIRST_ON, LAST_ON = date(2016, 1, 4), date(2017, 12, 29)


@pytest.fixture(scope="session")
def small_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the files of the sample for eight symbols of 2016 and 2017, and one member without bars."""
    folder = tmp_path_factory.mktemp("sample")
    for path in SAMPLE_DIR.glob("*.parquet"):
        frame = pl.read_parquet(path)
        if "symbol" in frame.columns:
            frame = frame.filter(pl.col("symbol").is_in([*SYMBOLS, MISSING]))
        if "session_on" in frame.columns:
            frame = frame.filter(pl.col("session_on").is_between(FIRST_ON, LAST_ON))
        if "observed_on" in frame.columns:
            frame = frame.filter(pl.col("observed_on").is_between(FIRST_ON, LAST_ON))
        frame.write_parquet(folder / path.name)
    return folder
