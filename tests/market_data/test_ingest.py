"""Imports: what loads, what is refused, what is left alone, what a kill in the middle leaves behind."""

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import text

import market_data.files
from core.config import REPOSITORY
from core.errors import InputError, UnknownName
from database.queries.bars import read_bars, vintages
from database.queries.corporate_actions import read_dividends
from database.queries.instruments import ids_by_symbol
from database.session import Session, transaction
from market_data.ingest import FileImport
from market_data.sample.load import SAMPLE_DIR
from market_data.service import import_files
from tests.market_data.conftest import SYMBOLS

LATEST = date(2020, 4, 1)
TABLES = ("quarantined_bars", "import_batches", "daily_bars", "corporate_actions", "data_vintages", "instruments")


@pytest.fixture(scope="module")
def prices() -> pl.DataFrame:
    """Real bars of eight symbols over two years, as numbers of double precision."""
    bars = pl.scan_parquet(SAMPLE_DIR / "daily_bars.parquet").filter(
        pl.col("symbol").is_in(SYMBOLS), pl.col("session_on").is_between(date(2016, 1, 4), date(2017, 12, 29))
    )
    return bars.with_columns(pl.col(pl.Float32).cast(pl.Float64).round(6)).collect()


@pytest.fixture(autouse=True)
def empty(committed_database: str) -> None:
    with transaction() as session:
        session.execute(text("truncate daily_bars"))
        for table in ("quarantined_bars", "import_batches", "corporate_actions", "data_vintages", "instruments"):
            session.execute(text(f"delete from {table}"))


def yahoo_csv(prices: pl.DataFrame, path: Path, *, symbol: str | None = None) -> Path:
    frame = prices if symbol is None else prices.filter(pl.col("symbol") == symbol)
    columns = {
        "Ticker": "symbol",
        "Date": "session_on",
        "Open": "open",
        "High": "high",
        "Low": "low",
        "Close": "close",
        "Adj Close": "adj_close",
        "Volume": "volume",
    }
    if symbol is not None:
        del columns["Ticker"]
    frame.select(pl.col(ours).alias(theirs) for theirs, ours in columns.items()).write_csv(path)
    return path


def import_one(path: Path, *, symbol: str | None = None, source: str | None = None) -> FileImport:
    (done,) = import_files([path], symbol=symbol, source=source)
    assert done.rows_read == (done.rows_inserted + done.rows_changed + done.rows_unchanged + done.rows_quarantined)
    assert done.rows_quarantined == sum(done.quarantined_by_reason.values())
    return done


def stored(session: Session) -> list[tuple[object, ...]]:
    """All bars with the ids of their rows: a row that was rewritten has another `ctid`."""
    rows = session.execute(text("select tableoid::int, ctid::text, * from daily_bars order by 3, 4"))
    return [tuple(row) for row in rows]


def dead_tuples(session: Session) -> int:
    session.execute(text("select pg_stat_force_next_flush()"))
    session.execute(text("select pg_stat_clear_snapshot()"))
    query = "select coalesce(sum(n_tup_upd + n_tup_del), 0) from pg_stat_user_tables where relname like 'daily_bars%'"
    return int(session.execute(text(query)).scalar_one())


class TestImportFiles:
    def test_many_symbols_of_one_file(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        done = import_one(yahoo_csv(prices, tmp_path / "many.csv"))
        assert (done.source, done.already_loaded) == ("yahoo", False)
        assert done.rows_inserted == len(prices)
        with transaction() as session:
            ids = ids_by_symbol(session)
        assert set(ids) == set(prices["symbol"])
        wanted = prices.with_columns(instrument_id=pl.col("symbol").replace_strict(ids, return_dtype=pl.Int32))
        wanted = wanted.select("instrument_id", "session_on", "open", "high", "low", "close", "adj_close", "volume")
        assert read_bars(as_of=LATEST).equals(wanted.sort("instrument_id", "session_on"))

    def test_parquet_and_csv_give_the_same_rows(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        prices.write_parquet(tmp_path / "many.parquet")
        assert import_one(tmp_path / "many.parquet").rows_inserted == len(prices)
        done = import_one(yahoo_csv(prices, tmp_path / "many.csv"))
        assert (done.rows_inserted, done.rows_changed, done.rows_unchanged) == (0, 0, len(prices))

    def test_one_symbol_named_by_the_file_or_the_option(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        done = import_one(yahoo_csv(prices, tmp_path / "ko.csv", symbol="KO"))
        assert done.notes == ("the file has no symbol column: its name 'ko' stands for it",)
        assert import_one(tmp_path / "ko.csv", symbol="COKE").notes == ()
        with transaction() as session:
            assert set(ids_by_symbol(session)) == {"KO", "COKE"}

    def test_same_content_is_recognised(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        first = import_one(yahoo_csv(prices, tmp_path / "a.csv"))
        (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_bytes())
        again = import_one(tmp_path / "b.csv")
        assert again.already_loaded
        assert again.batch_id == first.batch_id

    def test_unchanged_rows_are_not_rewritten(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        import_one(yahoo_csv(prices, tmp_path / "a.csv"))
        with transaction() as session:
            before, versions = stored(session), vintages(session, last_year=2020)
            dead = dead_tuples(session)
        done = import_one(yahoo_csv(prices.reverse(), tmp_path / "reversed.csv"))
        assert (done.rows_inserted, done.rows_changed, done.rows_unchanged) == (0, 0, len(prices))
        with transaction() as session:
            assert stored(session) == before
            assert vintages(session, last_year=2020) == versions
            assert dead_tuples(session) == dead

    def test_only_changed_rows_are_rewritten(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        import_one(yahoo_csv(prices, tmp_path / "a.csv"))
        with transaction() as session:
            before = {row[2:4]: row for row in stored(session)}
            versions = vintages(session, last_year=2020)
        here = (pl.col("symbol") == "KO") & (pl.col("session_on") == date(2017, 6, 30))
        corrected = prices.with_columns(volume=pl.when(here).then(pl.col("volume") + 100).otherwise("volume"))
        done = import_one(yahoo_csv(corrected, tmp_path / "b.csv"))
        assert (done.rows_changed, done.rows_unchanged) == (1, len(prices) - 1)
        with transaction() as session:
            assert sum(before[row[2:4]] != row for row in stored(session)) == 1
            after = vintages(session, last_year=2020)
        assert after["daily_bars"] == {2016: versions["daily_bars"][2016], 2017: versions["daily_bars"][2017] + 1}

    def test_later_rows_are_added(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        import_one(yahoo_csv(prices.filter(pl.col("session_on") < date(2017, 6, 1)), tmp_path / "a.csv"))
        done = import_one(yahoo_csv(prices.filter(pl.col("session_on") >= date(2017, 5, 30)), tmp_path / "b.csv"))
        assert done.rows_unchanged == 2 * 7  # two sessions of the seven symbols listed then
        assert len(read_bars(as_of=LATEST)) == len(prices)

    def test_dividends_follow_from_the_adjusted_close(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        import_one(yahoo_csv(prices, tmp_path / "KO.csv", symbol="KO"))
        paid = read_dividends(as_of=date(2017, 12, 31)).filter(pl.col("ex_on") >= date(2017, 1, 1))
        assert paid["amount_usd"].to_list() == [0.37] * 4

    def test_without_adjusted_close_the_close_stands_in(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        plain = prices.filter(pl.col("symbol") == "KO").select(
            Date="session_on", Open="open", High="high", Low="low", Close="close", Volume="volume"
        )
        plain.write_csv(tmp_path / "KO.csv")
        done = import_one(tmp_path / "KO.csv", symbol="KO")
        assert done.source == "stooq"
        assert done.notes == ("no adjusted close in the file: the close stands in, dividends are not known",)
        assert read_dividends(as_of=LATEST).is_empty()


class TestQuarantine:
    def test_bad_rows_are_kept_with_reason_and_the_others_load(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        path = yahoo_csv(prices, tmp_path / "ko.csv", symbol="KO")
        lines = path.read_text().splitlines()
        lines[3] = lines[3].replace("2016-01-06", "2016-01-09")
        lines[5] = lines[5].rsplit(",", 1)[0] + ",many"
        lines[7] = lines[7] + ",surplus"
        lines.append(lines[1])
        path.write_text("\n".join(lines) + "\n")
        done = import_one(path)
        assert done.quarantined_by_reason == {
            "duplicate_identical": 1,
            "malformed_row": 1,
            "not_a_session": 1,
            "unreadable_value": 1,
        }
        with transaction() as session:
            rows = session.execute(
                text("select row_number, symbol, session_on, reason, detail, row from quarantined_bars order by 1")
            ).all()
        assert [(row[0], row[3]) for row in rows] == [
            (3, "not_a_session"),
            (5, "unreadable_value"),
            (7, "malformed_row"),
            (len(lines) - 1, "duplicate_identical"),
        ]
        assert rows[0][1:3] == ("KO", "2016-01-09")
        assert rows[1][5]["Volume"] == "many"
        assert rows[2][5]["line"].endswith(",surplus")

    def test_text_that_the_database_cannot_hold_is_kept_legibly(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        path = yahoo_csv(prices, tmp_path / "ko.csv", symbol="KO")
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines, "2017-12-30,\x00,1,1,1,1,1"]) + "\n")
        assert import_one(path).quarantined_by_reason == {"unreadable_value": 1}

    def test_file_of_bad_rows_only(self, tmp_path: Path) -> None:
        path = tmp_path / "bad.csv"
        path.write_text("Date,Open,High,Low,Close,Volume\n2017-07-01,1,1,1,1,1\n2017-07-02,1,1,1,1,1\n")
        done = import_one(path)
        assert done.quarantined_by_reason == {"not_a_session": 2}
        assert read_bars(as_of=LATEST).is_empty()


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("x.csv", b"", r"x\.csv: .*Empty CSV"),
            ("x.csv", b"Date,Open,High,Low,Close,Volume\n", r"x\.csv: no rows"),
            (
                "x.csv",
                b"<html><body>Exceeded the daily hits limit</body></html>\n",
                r"columns not recognised; found: <html>",
            ),
            ("x.csv", b"Date,Date,Open,High,Low,Close,Volume\n", "column 'Date' occurs twice"),
            ("x.csv", b"Date,Open,High,Low,Close,Volume\n2017-06-30,\xff\xfe,1,1,1,1\n", r"x\.csv: not a readable CSV"),
            ("x.parquet", b"PAR1 not really", r"x\.parquet: not a readable CSV or Parquet file"),
            ("x.xlsx", b"PK", r"unknown file type '\.xlsx'; known: \.csv, \.txt, \.parquet"),
        ],
    )
    def test_one_clear_line_and_nothing_written(self, tmp_path: Path, name: str, content: bytes, message: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            import_files([tmp_path / name])
        assert "\n" not in str(caught.value)
        with transaction() as session:
            assert session.execute(text("select count(*) from import_batches where status <> 'failed'")).scalar() == 0
        assert read_bars(as_of=LATEST).is_empty()

    def test_missing_file_folder_and_empty_list(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nowhere\.csv: no such file"):
            import_files([tmp_path / "nowhere.csv"])
        with pytest.raises(InputError, match="no such file"):
            import_files([tmp_path])
        with pytest.raises(InputError, match="no file given"):
            import_files([])

    def test_symbol_beside_a_symbol_column_or_several_files(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        path = yahoo_csv(prices, tmp_path / "a.csv")
        with pytest.raises(InputError, match="has a column 'Ticker': leave the symbol 'KO' out"):
            import_files([path], symbol="KO")
        with pytest.raises(InputError, match="is for one file, 2 were given"):
            import_files([path, path], symbol="KO")

    def test_unknown_source(self, prices: pl.DataFrame, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match="unknown source 'bloomberg'"):
            import_files([yahoo_csv(prices, tmp_path / "a.csv")], source="bloomberg")


CHILD = """
import os, signal, sys
from pathlib import Path
import market_data.files, market_data.ingest
from market_data.service import import_files

market_data.files.CHUNK_ROWS = 1000
at = int(sys.argv[2])
advance, calls = market_data.ingest.advance_batch, 0

def die_before_the_commit(*arguments, **named):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    advance(*arguments, **named)

market_data.ingest.advance_batch = die_before_the_commit
import_files([Path(sys.argv[1])])
"""


class TestKilledImport:
    @pytest.mark.slow
    @pytest.mark.servers
    def test_next_run_ends_with_the_same_rows(
        self, prices: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spoilt = prices.with_columns(close=pl.when(pl.int_range(pl.len()) % 500 == 499).then(-1.0).otherwise("close"))
        spoilt.write_parquet(tmp_path / "many.parquet")
        child = [sys.executable, "-c", CHILD, str(tmp_path / "many.parquet"), "3"]
        killed = subprocess.run(child, cwd=REPOSITORY, check=False, capture_output=True, timeout=120)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        with transaction() as session:
            done, status = session.execute(text("select rows_read, status from import_batches")).one()
            # Two chunks are whole; of the third, written but not committed, nothing is left.
            assert (done, status) == (2000, "loading")
            assert len(stored(session)) == 2000 - 2000 // 500
        monkeypatch.setattr(market_data.files, "CHUNK_ROWS", 1000)
        resumed = import_one(tmp_path / "many.parquet")
        assert resumed.rows_read == len(prices)
        assert resumed.rows_inserted == len(prices) - len(prices) // 500
        assert resumed.quarantined_by_reason == {"nonpositive_price": len(prices) // 500}
        after = read_bars(as_of=LATEST)
        paid = read_dividends(as_of=LATEST)
        with transaction() as session:
            session.execute(text("truncate daily_bars"))
            for table in ("quarantined_bars", "import_batches", "corporate_actions"):
                session.execute(text(f"delete from {table}"))
        import_one(tmp_path / "many.parquet")
        assert read_bars(as_of=LATEST).equals(after)
        assert read_dividends(as_of=LATEST).equals(paid)
