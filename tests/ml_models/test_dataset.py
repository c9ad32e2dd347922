"""Rows by year: sampled as stated, joined to the right future, bounded in memory."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from core.errors import DataMissing
from ml_models.dataset import Dataset, gather
from ml_models.labels import forward_returns
from tests.factories.scores import SCREENER_FEATURES, make_panel, signal_reader

PANEL = make_panel(first_year=2010, last_year=2013, instruments=12)
NAMES = [feature.name for feature in SCREENER_FEATURES]


def make_dataset(**options: object) -> Dataset:
    settings = {
        "panel": PANEL,
        "features": NAMES,
        "read_year": signal_reader(PANEL),
        "every_sessions": 5,
        "label_sessions": 21,
        "years_kept": 2,
    }
    return Dataset(**(settings | options))  # type: ignore[arg-type]  # options are the constructor's own


class TestYear:
    def test_samples_every_fifth_session_from_the_years_first(self) -> None:
        rows = make_dataset().year(2011)
        first = next(index for index, day in enumerate(PANEL.sessions) if day.year == 2011)
        sessions = np.unique(rows.session_of_row)
        assert sessions[0] == first
        assert (np.diff(sessions) == 5).all()

    def test_each_row_has_its_own_future(self) -> None:
        rows = make_dataset().year(2011)
        forward = forward_returns(PANEL)
        column = np.searchsorted(PANEL.instrument_ids, rows.instrument_ids)
        np.testing.assert_array_equal(rows.forward, forward[rows.session_of_row, column])

    def test_the_matrix_is_what_xgboost_reads_in_place(self) -> None:
        X = make_dataset().year(2011).X
        assert X.dtype == np.float32
        assert X.flags.c_contiguous

    def test_row_order_does_not_depend_on_the_frame(self) -> None:
        shuffled = make_dataset(
            read_year=lambda year: signal_reader(PANEL)(year).sample(fraction=1.0, shuffle=True, seed=3)
        )
        np.testing.assert_array_equal(shuffled.year(2011).X, make_dataset().year(2011).X)

    def test_a_stock_without_bars_has_no_label(self) -> None:
        def read_year(year: int) -> pl.DataFrame:
            frame = signal_reader(PANEL)(year)
            return pl.concat(
                [frame, frame.filter(pl.col("instrument_id") == 12).with_columns(instrument_id=pl.lit(99, pl.Int32))]
            )

        rows = make_dataset(read_year=read_year).year(2011)
        assert np.isnan(rows.labels[rows.instrument_ids == 99]).all()
        assert not np.isnan(rows.labels[rows.instrument_ids == 12]).all()

    def test_the_last_span_has_no_label(self) -> None:
        rows = make_dataset().year(2013)
        late = rows.session_of_row >= len(PANEL.sessions) - 21
        assert np.isnan(rows.labels[late]).all()
        assert not np.isnan(rows.labels[~late]).any()

    def test_only_the_newest_years_are_kept(self) -> None:
        read: list[int] = []
        reader = signal_reader(PANEL)

        def read_year(year: int) -> pl.DataFrame:
            read.append(year)
            return reader(year)

        dataset = make_dataset(read_year=read_year)
        for year in (2010, 2011, 2011, 2012, 2011, 2010):
            dataset.year(year)
        assert read == [2010, 2011, 2012, 2010]

    def test_a_missing_feature_is_named(self) -> None:
        dataset = make_dataset(features=[*NAMES, "nonesuch"])
        with pytest.raises(DataMissing, match="nonesuch"):
            dataset.year(2011)


class TestWindow:
    def test_holds_exactly_the_sampled_sessions_of_the_slice(self) -> None:
        dataset = make_dataset(years_kept=4)
        window = slice(100, 700)
        got = np.concatenate([part.session_of_row for part in dataset.window(window)])
        wanted = {
            PANEL.sessions.index(day)
            for year in (2010, 2011, 2012)
            for day in dataset.sampled_sessions(year)
            if 100 <= PANEL.sessions.index(day) < 700
        }
        assert set(got.tolist()) == wanted

    def test_an_empty_slice_has_no_rows(self) -> None:
        assert make_dataset().window(slice(5, 5)) == []

    def test_years_without_rows_are_left_out(self) -> None:
        def read_year(year: int) -> pl.DataFrame:
            frame = signal_reader(PANEL)(year)
            return frame.filter(pl.col("session_on") < date(2011, 1, 1))

        parts = make_dataset(read_year=read_year).window(slice(0, len(PANEL.sessions)))
        assert len(parts) == 1


class TestGather:
    def test_takes_the_masked_rows_of_all_parts_in_order(self) -> None:
        dataset = make_dataset(years_kept=4)
        parts = [(dataset.year(year), dataset.year(year).labels == 1) for year in (2010, 2011)]
        rows = gather(parts)
        assert (rows.labels == 1).all()
        np.testing.assert_array_equal(rows.X, np.vstack([part.X[mask] for part, mask in parts]))
        np.testing.assert_array_equal(rows.forward, np.concatenate([part.forward[mask] for part, mask in parts]))

    def test_a_whole_part_is_handed_on_without_a_copy(self) -> None:
        rows = make_dataset().year(2011)
        assert gather([(rows, np.ones(len(rows), dtype=bool))]).X is rows.X
