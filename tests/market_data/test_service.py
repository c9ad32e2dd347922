"""The verbs of market data on a cut of the shipped sample."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import text

from core.config import REPOSITORY
from core.errors import DataMissing, NotASession
from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.fundamentals import read_facts
from database.queries.instruments import ids_by_symbol, read_instruments, read_market_caps
from database.queries.macro_series import read_macro
from database.session import Session, transaction
from market_data.sample.load import SAMPLE_DIR
from market_data.service import (
    SampleLoad,
    data_status,
    data_vintage,
    latest_session,
    load_sample,
    universe_on,
)
from tests.market_data.conftest import MISSING, SYMBOLS

NIGHT = date(2017, 6, 30)
TABLES = (
    "instruments",
    "index_memberships",
    "macro_series",
    "macro_observations",
    "fundamentals",
    "market_caps",
    "daily_bars",
    "corporate_actions",
    "quarantined_bars",
    "data_vintages",
)


def everything(session: Session) -> dict[str, list[tuple[object, ...]]]:
    """All rows with their place on disk, which changes when a row is rewritten."""
    return {
        table: sorted(
            tuple(row) for row in session.execute(text(f"select tableoid::int, ctid::text, t::text from {table} t"))
        )
        for table in TABLES
    }


def without_places(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[str]]:
    return {
        table: sorted(str(row[2]) for row in found)
        for table, found in rows.items()
        if table not in {"instruments", "data_vintages"}  # these two carry the time at which they were made
    }


@pytest.fixture(scope="module")
def loaded(committed_database: str, small_sample: Path) -> SampleLoad:
    return load_sample(folder=small_sample)


@pytest.fixture(scope="module")
def ids(loaded: SampleLoad) -> dict[str, int]:
    with transaction() as session:
        return ids_by_symbol(session)


class TestLoadSample:
    def test_every_file_is_loaded(self, loaded: SampleLoad, small_sample: Path) -> None:
        assert all(loaded.rows.values())
        assert loaded.bars.rows_inserted == len(pl.read_parquet(small_sample / "daily_bars.parquet"))
        assert set(read_instruments()["symbol"]) == {*SYMBOLS, MISSING}

    def test_second_load_changes_no_row(self, loaded: SampleLoad, small_sample: Path) -> None:
        with transaction() as session:
            before = everything(session)
        again = load_sample(folder=small_sample)
        assert set(again.rows.values()) == {None}
        assert again.bars.already_loaded
        with transaction() as session:
            assert everything(session) == before

    def test_prices_are_those_of_the_tape(self, ids: dict[str, int]) -> None:
        bars = read_bars(as_of=NIGHT, first_on=NIGHT).filter(pl.col("instrument_id") == ids["AAPL"])
        assert bars["close"].item() == pytest.approx(144.02)
        assert bars["volume"].item() == 23_024_100

    def test_dividends_are_those_paid(self, ids: dict[str, int]) -> None:
        paid = read_dividends(as_of=NIGHT).filter(
            pl.col("instrument_id") == ids["AAPL"], pl.col("ex_on").dt.year() == 2017
        )
        assert paid.select("ex_on", "amount_usd").rows() == [(date(2017, 2, 9), 0.57), (date(2017, 5, 11), 0.63)]

    def test_facts_are_known_ninety_days_after_the_period(self, ids: dict[str, int]) -> None:
        period = date(2016, 9, 24)
        facts = read_facts(as_of=NIGHT).filter(
            pl.col("instrument_id") == ids["AAPL"], pl.col("period_end_on") == period
        )
        assert set(facts["known_on"]) == {date(2016, 12, 23)}
        values = dict(facts.select("item", "value").iter_rows())
        assert values["total_revenue"] == 215_639_000_000
        assert values["net_income"] == 45_687_000_000
        assert (
            read_facts(as_of=date(2016, 12, 22))
            .filter(pl.col("instrument_id") == ids["AAPL"], pl.col("period_end_on") == period)
            .is_empty()
        )

    def test_shares_and_earnings_a_share_are_on_the_split_basis(self, ids: dict[str, int]) -> None:
        """Netflix reported 4.32 USD and 60 million shares for 2014, a year before the 7:1 split."""
        netflix = pl.col("instrument_id") == ids["NFLX"]
        shares = read_market_caps(as_of=date(2015, 12, 31)).filter(netflix).tail(1)["shares_outstanding"].item()
        assert shares == pytest.approx(60.09e6 * 7, rel=0.01)
        facts = read_facts(as_of=date(2015, 12, 31)).filter(netflix, pl.col("item") == "earnings_per_share").tail(1)
        assert facts["value"].item() == pytest.approx(4.44 / 7, rel=0.01)

    def test_a_yield_is_known_on_the_next_session_a_close_that_evening(self, loaded: SampleLoad) -> None:
        macro = read_macro(as_of=date(2017, 7, 5)).filter(pl.col("observed_on") == date(2017, 6, 30))
        known = dict(macro.select("series", "known_on").iter_rows())
        assert known["DGS10"] == date(2017, 7, 3)
        assert known["VIX"] == known["SPX"] == known["XLK"] == date(2017, 6, 30)


class TestUniverse:
    def test_members_with_bars_and_those_without(self, loaded: SampleLoad, ids: dict[str, int]) -> None:
        with transaction() as session:
            universe = universe_on(session, as_of=date(2017, 6, 15))
        # BHF joined on 2017-08-08, after its separation from MetLife.
        assert universe.symbols == tuple(sorted(set(SYMBOLS) - {"BHF"}, key=ids.__getitem__))
        assert universe.missing == (MISSING,)
        assert universe.coverage == pytest.approx(7 / 8)

    def test_day_without_session_names_its_neighbours(self, loaded: SampleLoad) -> None:
        with transaction() as session, pytest.raises(NotASession, match="2017-07-04"):
            universe_on(session, as_of=date(2017, 7, 4))

    def test_session_without_bars_says_which_is_the_last(self, loaded: SampleLoad) -> None:
        with transaction() as session, pytest.raises(DataMissing, match="last session with bars is 2017-12-29"):
            universe_on(session, as_of=date(2018, 1, 2))

    def test_empty_database_says_what_to_do(self, session: Session) -> None:
        with pytest.raises(DataMissing, match="acis data load-sample"):
            universe_on(session, as_of=NIGHT)


class TestDataStatus:
    def test_coverage_against_true_membership(self, loaded: SampleLoad) -> None:
        with transaction() as session:
            status = data_status(session, as_of=date(2017, 6, 30))
        assert [(year.year, year.members, year.members_with_bars) for year in status.years] == [
            (2016, 8, 7),
            (2017, 8, 7),
        ]
        assert status.last_session_on == date(2017, 6, 30)
        assert "survivorship: 2 of 2 years" in status.warnings[0]
        assert {series.series: series.last_on for series in status.series}["DGS10"] == date(2017, 6, 29)
        assert json.dumps(asdict(status), default=str)

    def test_nothing_of_later_years_is_seen(self, loaded: SampleLoad) -> None:
        with transaction() as session:
            status = data_status(session, as_of=date(2016, 4, 1))
        assert [year.year for year in status.years] == [2016]
        assert max(year.year for year in status.facts) == 2016

    def test_empty_database_says_what_to_do(self, session: Session) -> None:
        status = data_status(session, as_of=NIGHT)
        assert status.years == ()
        assert status.last_session_on is None
        assert "acis data load-sample" in status.warnings[0]


class TestDataVintage:
    def test_versions_by_data_set_and_year(self, loaded: SampleLoad) -> None:
        with transaction() as session:
            vintage = data_vintage(session, as_of=date(2017, 6, 30))
            assert set(data_vintage(session, as_of=date(2016, 6, 30))["daily_bars"]) == {"2016"}
        assert vintage["daily_bars"] == {"2016": 1, "2017": 1}
        assert vintage["instruments"] == {"0": 1}
        assert {"corporate_actions", "fundamentals", "index_memberships", "macro_series", "market_caps"} < set(vintage)


class TestLatestSession:
    def test_not_after_the_date_asked_for(self, loaded: SampleLoad) -> None:
        with transaction() as session:
            assert latest_session(session) == date(2017, 12, 29)
            assert latest_session(session, as_of=date(2017, 7, 4)) == date(2017, 7, 3)

    def test_none_is_refused(self, session: Session) -> None:
        with pytest.raises(DataMissing, match="no bars are loaded"):
            latest_session(session)


CHILD = """
import os, signal, sys
from pathlib import Path
import market_data.files
from market_data.service import load_sample

market_data.files.CHUNK_ROWS = 1000

def die_between(step, done, total):
    if step.startswith("bars") and done == 2000:
        os.kill(os.getpid(), signal.SIGKILL)

load_sample(folder=Path(sys.argv[1]), progress=die_between)
"""


class TestKilledLoad:
    @pytest.mark.slow
    @pytest.mark.servers
    def test_next_run_ends_with_the_same_rows(
        self, loaded: SampleLoad, small_sample: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with transaction() as session:
            whole = without_places(everything(session))
            session.execute(text("truncate daily_bars"))
            for table in ("quarantined_bars", "import_batches", "fundamentals", "market_caps", "corporate_actions"):
                session.execute(text(f"delete from {table}"))
        child = [sys.executable, "-c", CHILD, str(small_sample)]
        killed = subprocess.run(child, cwd=REPOSITORY, check=False, capture_output=True, timeout=120)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        with transaction() as session:
            assert without_places(everything(session)) != whole
        monkeypatch.setattr("market_data.files.CHUNK_ROWS", 1000)
        load_sample(folder=small_sample)
        with transaction() as session:
            # The batch that brought a bar in is the second one now; all else is the same.
            bars = [row.rsplit(",", 1)[0] for row in without_places(everything(session))["daily_bars"]]
            assert sorted(bars) == sorted(row.rsplit(",", 1)[0] for row in whole["daily_bars"])
            rest = {**without_places(everything(session)), "daily_bars": whole["daily_bars"]}
            assert rest == whole


class TestShippedSample:
    def test_size_and_content(self) -> None:
        files = {path.name: path.stat().st_size for path in SAMPLE_DIR.glob("*.parquet")}
        assert sum(files.values()) <= 30_000_000
        bars = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet")
        assert bars.select(pl.col("session_on").n_unique()).collect().item() == 3586
        symbols = set(bars.select(pl.col("symbol").unique()).collect()["symbol"])
        assert not symbols & {"CBH", "CCU", "GEN", "IGT", "JP", "LSI", "SUN", "TSG"}
        first = dict(bars.group_by("symbol").agg(pl.col("session_on").min()).collect().iter_rows())
        assert first["BHF"] == date(2017, 7, 17)

    @pytest.mark.parametrize(
        ("day", "members", "with_bars"),
        [(NIGHT, 506, 454), (date(2020, 3, 31), 505, 478), (date(2013, 6, 17), 497, 397)],
    )
    def test_coverage_of_the_index(self, day: date, members: int, with_bars: int) -> None:
        spells = pl.read_parquet(SAMPLE_DIR / "index_memberships.parquet")
        on_day = spells.filter(pl.col("start_on") <= day, pl.col("end_on").is_null() | (pl.col("end_on") > day))[
            "symbol"
        ].unique()
        bars = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet").filter(pl.col("session_on") == day).collect()
        assert len(on_day) == members
        assert len(set(on_day) & set(bars["symbol"])) == with_bars

    def test_every_member_has_two_years_before_it_joins_where_it_was_listed(self) -> None:
        spells = pl.read_parquet(SAMPLE_DIR / "index_memberships.parquet")
        first = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet").group_by("symbol").agg(pl.col("session_on").min())
        late = first.collect().join(spells.group_by("symbol").agg(pl.col("start_on").min()), on="symbol")
        # Facebook was listed nineteen months before it joined, Monster had three years.
        lead = dict(late.select("symbol", (pl.col("start_on") - pl.col("session_on")).dt.total_days()).iter_rows())
        assert lead["FB"] == pytest.approx(580, abs=10)
        assert lead["MNST"] == pytest.approx(3 * 365, abs=5)

    def test_sectors_are_the_eleven_of_2017(self) -> None:
        sectors = pl.read_parquet(SAMPLE_DIR / "instruments.parquet")["sector"].drop_nulls()
        assert sectors.n_unique() == 11
        assert "Telecommunications Services" in set(sectors)
        assert "Communication Services" not in set(sectors)

    def test_market_caps_are_money(self) -> None:
        caps = pl.read_parquet(SAMPLE_DIR / "fundamentals.parquet")["market_cap_usd"].drop_nulls()
        assert caps.min() is not None
        assert Decimal(str(caps.min())) > 100_000_000
