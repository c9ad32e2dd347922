"""Building, storing and reading as of a date, on a database of the module's own."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import DataMissing, IntegrityBroken, UnknownName
from database.queries.bars import finish_batch, merge_bars, raise_vintages, take_batch
from database.session import transaction
from features import build, store
from features.library import FEATURES
from features.service import build_features, cross_section, describe, feature_names, read_features
from features.store import hash_of
from tests.conftest import NOW
from tests.factories.market import Market, create_market

KEYS = ["session_on", "instrument_id", "sector", "in_universe", "close"]
pytestmark = pytest.mark.usefixtures("committed_database")


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """Three calendar years, 2015-02 to 2017-06, of 40 stocks."""
    with transaction() as session:
        return create_market(session, instruments=40, sessions=600)


@pytest.fixture(scope="module")
def built(market: Market) -> Market:
    build_features()
    return market


def registered() -> list[tuple[int, int, str, str]]:
    with transaction() as session:
        rows = session.execute(
            text("select snapshot_id, year, content_hash, xmin::text from feature_snapshots order by snapshot_id")
        )
        return [tuple(row) for row in rows]


def latest_values() -> dict[tuple[str, int], tuple[date, float, str]]:
    with transaction() as session:
        rows = session.execute(text("select feature, instrument_id, session_on, value, xmin::text from feature_values"))
        return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def add_session(market: Market, session_on: date, *, factor: float) -> None:
    """One more bar for each stock: all prices times `factor`."""
    ids = np.array(market.instrument_ids, dtype="i4")
    price = market.close[-1] * factor
    with transaction() as session:
        batch = take_batch(session, source="test", file_name=str(session_on), content_sha256=session_on.isoformat())
        columns = dict.fromkeys(("open", "high", "low", "close"), price)
        merged = merge_bars(
            session,
            {
                "instrument_id": ids,
                "session_on": np.full(len(ids), np.datetime64(session_on)),
                **columns,
                "adj_close": market.adj_close[-1] * factor,
                "volume": np.full(len(ids), 1_000_000),
            },
            batch_id=batch.batch_id,
        )
        finish_batch(session, batch, at=NOW)
        raise_vintages(session, dataset="daily_bars", years=merged.years)


class TestBuildFeatures:
    def test_builds_each_year_and_then_nothing(self, market: Market) -> None:
        steps: list[tuple[str, int, int]] = []
        first = build_features(progress=lambda step, done, total: steps.append((step, done, total)))
        assert first.years_built in {(2015, 2016, 2017), ()}
        rows, values = registered(), latest_values()
        again = build_features()
        assert again.years_built == ()
        assert again.years_fresh == (2015, 2016, 2017)
        assert again.rows_written == 0
        assert (registered(), latest_values()) == (rows, values)
        if first.years_built:
            assert steps[-1] == ("features", 3, 3)

    def test_newest_cross_section_is_there_for_sql(self, built: Market) -> None:
        values = latest_values()
        frame = cross_section(as_of=built.last_on).frame
        expected = {
            (name, row["instrument_id"]): row[name]
            for row in frame.iter_rows(named=True)
            for name in feature_names()
            if not np.isnan(row[name])
        }
        assert {key: value for key, (_, value, _) in values.items()} == pytest.approx(expected, rel=1e-6)
        assert {session_on for session_on, _, _ in values.values()} == {built.last_on}

    @pytest.mark.parametrize("broken", ["database.queries.features.register_snapshot", "os.fsync"])
    def test_a_crash_leaves_nothing_half_registered(
        self, built: Market, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        before, files = registered(), sorted(get_settings().features_dir.glob("*.parquet"))
        reference = cross_section(as_of=built.last_on)

        def crash(*args: object, **kwargs: object) -> int:
            raise OSError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(build, "code_fingerprint", lambda: "another")
            patch.setattr(broken, crash)
            if broken == "os.fsync":
                files.pop(0).unlink()
            with pytest.raises(OSError, match="disk is full"):
                build_features()
        assert registered() == before
        assert sorted(get_settings().features_dir.glob("*.parquet")) == files
        assert cross_section(as_of=built.last_on).feature_hash == reference.feature_hash
        assert build_features().years_built == ((2015,) if broken == "os.fsync" else ())
        assert not list(get_settings().features_dir.glob("*.tmp"))

    def test_a_lost_file_is_built_again_the_same(self, built: Market) -> None:
        rows = registered()
        (path,) = get_settings().features_dir.glob("2016-*.parquet")
        path.unlink()
        with pytest.raises(DataMissing, match="acis features build"):
            read_features(as_of=built.last_on)
        assert build_features().years_built == (2016,)
        assert path.exists()
        assert [row[:3] for row in registered()] == [row[:3] for row in rows]

    def test_changed_code_builds_all_and_keeps_what_is_equal(
        self, built: Market, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows, values = registered(), latest_values()
        with monkeypatch.context() as patch:
            patch.setattr(build, "code_fingerprint", lambda: "another")
            assert build_features().years_built == (2015, 2016, 2017)
        assert [row[:3] for row in registered()] == [row[:3] for row in rows]
        assert latest_values() == values
        assert build_features().years_built == (2015, 2016, 2017)

    def test_a_new_session_builds_its_year_and_moves_no_earlier_day(self, built: Market) -> None:
        earlier = cross_section(as_of=built.last_on)
        frame = read_features(as_of=built.last_on)
        add_session(built, date(2017, 7, 3), factor=1.02)
        report = build_features()
        assert report.years_built == (2017,)
        assert report.last_on == date(2017, 7, 3)
        again = cross_section(as_of=built.last_on)
        assert again.snapshot_id != earlier.snapshot_id
        assert again.feature_hash == earlier.feature_hash
        assert read_features(as_of=built.last_on).equals(frame, null_equal=True)
        assert {session_on for session_on, _, _ in latest_values().values()} == {date(2017, 7, 3)}
        newest = cross_section(as_of=date(2017, 7, 3)).frame
        step = newest.select("instrument_id", "momentum_5").join(
            earlier.frame.select("instrument_id", before="momentum_5"), on="instrument_id"
        )
        assert (step["momentum_5"] != step["before"]).any()

    def test_superseded_files_go_but_the_last(self, built: Market) -> None:
        for number, day in enumerate((date(2017, 7, 5), date(2017, 7, 6), date(2017, 7, 7))):
            add_session(built, day, factor=1.03 + number / 100)
            build_features()
        assert len(list(get_settings().features_dir.glob("2017-*.parquet"))) == 2
        assert len(list(get_settings().features_dir.glob("*.tmp"))) == 0


class TestReadFeatures:
    def test_sees_nothing_after_the_day(self, built: Market) -> None:
        day = built.sessions[500]
        frame = read_features(as_of=day, first_on=built.sessions[400], columns=["rsi_14", "momentum_21"])
        assert frame.columns == [*KEYS, "rsi_14", "momentum_21"]
        assert frame["session_on"].min() == built.sessions[400]
        assert frame["session_on"].max() == day
        assert len(frame) == 101 * 40
        keys = frame.select("session_on", "instrument_id")
        assert keys.equals(keys.sort("session_on", "instrument_id"))
        assert frame.schema["rsi_14"] == pl.Float32

    def test_by_default_all_features_and_the_last_stock_joins_half_way(self, built: Market) -> None:
        frame = read_features(as_of=built.sessions[320], first_on=built.sessions[280])
        assert frame.columns == [*KEYS, *FEATURES]
        last = frame.filter(pl.col("instrument_id") == built.instrument_ids[-1])
        assert last.filter(~pl.col("in_universe"))["session_on"].max() == built.sessions[299]
        assert last.filter(pl.col("in_universe"))["session_on"].min() == built.sessions[300]

    def test_unknown_names_are_refused_with_the_list(self, built: Market) -> None:
        with pytest.raises(UnknownName, match="unknown feature 'momentun_21'; known: accruals"):
            read_features(as_of=built.last_on, columns=["momentun_21"])

    def test_before_the_first_session_there_is_nothing(self, built: Market) -> None:
        with pytest.raises(DataMissing, match="acis features build"):
            read_features(as_of=date(2010, 1, 4))


class TestCrossSection:
    def test_is_the_day_of_read_features(self, built: Market) -> None:
        day = built.sessions[450]
        found = cross_section(as_of=day)
        assert found.frame.equals(read_features(as_of=day, first_on=day), null_equal=True)
        assert found.feature_hash == hash_of(found.frame)
        assert found.data_vintage["daily_bars"][str(day.year)] >= 1
        assert found.snapshot_id in {row[0] for row in registered()}

    def test_each_day_has_its_hash(self, built: Market) -> None:
        hashes = {cross_section(as_of=day).feature_hash for day in built.sessions[440:460]}
        assert len(hashes) == 20

    def test_no_session_no_answer(self, built: Market) -> None:
        with pytest.raises(DataMissing, match="no features of 2017-06-25"):
            cross_section(as_of=date(2017, 6, 25))
        with pytest.raises(DataMissing, match="no features of 2014"):
            cross_section(as_of=date(2014, 6, 25))

    def test_a_tampered_file_is_found(self, built: Market) -> None:
        (path,) = get_settings().features_dir.glob("2015-*.parquet")
        kept = path.read_bytes()
        pl.read_parquet(path).with_columns(pl.col("rsi_14") + 1).write_parquet(path)
        store._read_year.cache_clear()
        store.read_day.cache_clear()
        with pytest.raises(IntegrityBroken, match="acis features build"):
            cross_section(as_of=built.sessions[10])
        path.write_bytes(kept)


class TestDescribe:
    def test_says_what_and_in_which_unit(self) -> None:
        words = describe("sector_rank_earnings_yield")
        assert words.description == "earnings yield compared with the sector"
        assert words.unit == "rank from 0 to 1"
        assert words.inputs == ("earnings_yield",)
        assert words.lag_days > 0
        assert describe("rank_momentum_252").look_back == 252

    def test_unknown_name(self) -> None:
        with pytest.raises(UnknownName, match="known: accruals"):
            describe("momentum")
