"""Loading daily bars beside a bare binary COPY, executemany and an upsert that rewrites: 600,000 rows made here.

All go into the platform's own table (key in place, one partition a year) in a database of this benchmark's own, which
is dropped at the end. CPU is that of the client and of its server processes together: a load works on both sides.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import psutil
import psycopg

from benchmarks.claim import Claim, Cost, at_least, at_most
from core.config import child_environment
from core.progress import silent
from database.columnar import encode_rows
from database.queries.bars import BAR_TYPES, merge_bars
from database.queries.instruments import add_symbols, ids_by_symbol
from database.schema import migrate
from database.session import create_database_if_missing, database_url, dispose, engine, transaction
from market_data.calendars import sessions_between
from market_data.ingest import import_file

STOCKS, SESSIONS = 400, 1_500
_EXECUTEMANY_ROWS = 60_000
_RUNS = 3
_DATABASE = "acis_benchmark"
_NAMES = ", ".join((*BAR_TYPES, "batch_id"))
_UPSERT = ", ".join(f"{name} = excluded.{name}" for name in (*BAR_TYPES, "batch_id"))
Columns = dict[str, npt.NDArray[Any]]


def make_bars(ids: npt.NDArray[np.int32], seed: int = 0) -> Columns:
    """Bars that the quality gate finds nothing wrong with, instrument after instrument."""
    random = np.random.default_rng(seed)
    days = np.array(sessions_between(date(2010, 1, 4), date(2020, 1, 2))[:SESSIONS], dtype="datetime64[D]")
    shape = (len(ids), SESSIONS)
    close = random.uniform(15, 180, size=(len(ids), 1)) * np.exp(np.cumsum(random.normal(0, 0.015, shape), axis=1))
    opens = close * np.exp(random.normal(0, 0.004, shape))
    columns = {
        "open": opens,
        "high": np.maximum(opens, close) * 1.01,
        "low": np.minimum(opens, close) * 0.99,
        "close": close,
        "adj_close": close * 0.95,
        "volume": random.integers(100_000, 90_000_000, shape),
    }
    return {
        "instrument_id": np.repeat(ids, SESSIONS),
        "session_on": np.tile(days, len(ids)),
        **{name: values.ravel() for name, values in columns.items()},
    }


def _server_cpu(connection: psycopg.Connection) -> float:
    pids = connection.execute(
        "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
    ).fetchall()
    times = [psutil.Process(pid).cpu_times() for (pid,) in pids]
    return sum(used.user + used.system for used in times)


def _cost(connection: psycopg.Connection, work: Callable[[], object]) -> Cost:
    own = psutil.Process()
    before, start = sum(own.cpu_times()[:2]) + _server_cpu(connection), time.perf_counter()
    work()
    wall = time.perf_counter() - start
    return Cost(sum(own.cpu_times()[:2]) + _server_cpu(connection) - before, wall)


class _Table:
    """The ways to write, each from the same starting point."""

    def __init__(self, connection: psycopg.Connection, bars: Columns, file: Path) -> None:
        self.connection, self.bars, self.file = connection, bars, file
        ones = np.ones(len(bars["volume"]), dtype="i8")
        self.typed = {name: (kind, bars[name]) for name, kind in BAR_TYPES.items()} | {"batch_id": ("int8", ones)}

    def empty(self) -> None:
        self.connection.execute(
            "truncate daily_bars, quarantined_bars, import_batches, corporate_actions, data_vintages"
        )
        self.connection.execute("checkpoint")

    def copy(self, table: str = "daily_bars") -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            self._copy_into(cursor, table)

    def _copy_into(self, cursor: psycopg.Cursor, table: str) -> None:
        with cursor.copy(f"copy {table} ({_NAMES}) from stdin (format binary)") as copy:
            for block in encode_rows(self.typed):
                copy.write(block)

    def executemany(self) -> None:
        columns = [values[:_EXECUTEMANY_ROWS].tolist() for _, values in self.typed.values()]
        marks = ", ".join(["%s"] * len(columns))
        with self.connection.transaction(), self.connection.cursor() as cursor:
            rows = list(zip(*columns, strict=True))
            cursor.executemany(f"insert into daily_bars ({_NAMES}) values ({marks})", rows)

    def rewriting_upsert(self) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute("create temporary table incoming (like daily_bars) on commit drop")
            self._copy_into(cursor, "incoming")
            cursor.execute(
                f"insert into daily_bars ({_NAMES}) select {_NAMES} from incoming"
                f" on conflict (instrument_id, session_on) do update set {_UPSERT}"
            )

    def merge(self) -> None:
        with transaction() as session:
            merge_bars(session, self.bars, batch_id=1)

    def import_file(self) -> None:
        import_file(self.file, symbol=None, source=None, progress=silent)

    def _number(self, query: str) -> int:
        found = self.connection.execute(query).fetchone()
        assert found is not None
        return int(found[0])

    def rows_written_by(self, work: Callable[[], None]) -> int:
        """Rows inserted or rewritten: those that carry the number of a transaction begun after this call."""
        before = self._number("select pg_current_xact_id()::text::bigint")
        work()
        return self._number(f"select count(*) from daily_bars where xmin::text::bigint > {before}")

    def cheapest(self, prepare: Callable[[], None], *works: Callable[[], None]) -> list[Cost]:
        """The cheapest of some runs of each work in turns, `prepare` before each and off the clock."""
        best = [Cost(float("inf"), float("inf"))] * len(works)
        for _ in range(_RUNS):
            for number, work in enumerate(works):
                prepare()
                cost = _cost(self.connection, work)
                best[number] = Cost(min(best[number].cpu_s, cost.cpu_s), min(best[number].wall_s, cost.wall_s))
        return best

    def refill(self) -> None:
        self.empty()
        self.copy()
        self.connection.execute("vacuum analyze daily_bars")


def _claims(table: _Table) -> Iterator[Claim]:
    rows, unit = len(table.bars["volume"]), "rows per CPU second, client and server"
    copied, merged, imported, single = table.cheapest(
        table.empty, table.copy, table.merge, table.import_file, table.executemany
    )
    by_one = _EXECUTEMANY_ROWS / single.cpu_s
    yield at_least(
        "bars: bulk load against a bare binary COPY into the same keyed, partitioned table",
        ours=rows / merged.cpu_s,
        peer=rows / copied.cpu_s,
        bar=0.9,
        unit=unit,
    )
    yield at_least(
        "bars: bulk load against a bare binary COPY, by the clock",
        ours=rows / merged.wall_s,
        peer=rows / copied.wall_s,
        bar=0.9,
        unit="rows per second",
    )
    yield at_least("bars: bulk load against executemany", ours=rows / merged.cpu_s, peer=by_one, bar=10, unit=unit)
    # Reading and checking cost about as much again as the COPY, in a second thread while the server works.
    yield at_least(
        "bars: whole import of a file (hashed, read, checked, merged, dividends derived) against COPY of ready arrays",
        ours=rows / imported.cpu_s,
        peer=rows / copied.cpu_s,
        bar=0.35,
        unit=unit,
    )
    yield at_least(
        "bars: whole import of a file against executemany of ready rows",
        ours=rows / imported.cpu_s,
        peer=by_one,
        bar=4,
        unit=unit,
    )
    rewritten, unchanged = table.cheapest(table.refill, table.rewriting_upsert, table.merge)
    yield at_most(
        "bars: unchanged rows again against an upsert that rewrites them",
        ours=unchanged.cpu_s,
        peer=rewritten.cpu_s,
        bar=0.6,
        unit="CPU seconds, client and server",
    )
    table.refill()
    yield at_most(
        "bars: rows written by a merge of unchanged rows, against the upsert that rewrites",
        ours=table.rows_written_by(table.merge),
        peer=table.rows_written_by(table.rewriting_upsert),
        bar=0,
        unit="rows",
    )


def measure() -> Iterator[Claim]:
    """Measure in a child process on a database of its own."""
    url = create_database_if_missing(database_url(), _DATABASE)
    dispose()
    try:
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.bars_load"],
            env=child_environment(DATABASE_URL=url),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        for line in child.stdout.splitlines():
            yield Claim(**json.loads(line))
    finally:
        with psycopg.connect(database_url(), autocommit=True) as connection:
            connection.execute(f"drop database if exists {_DATABASE} with (force)")


def measure_here() -> None:
    """Print the claims, on the database that DATABASE_URL names."""
    migrate(engine())
    symbols = [f"S{number:03}" for number in range(STOCKS)]
    with transaction() as session:
        add_symbols(session, symbols=symbols, kind="stock")
        ids = ids_by_symbol(session, symbols=symbols)
    bars = make_bars(np.array([ids[symbol] for symbol in symbols], dtype="i4"))
    named = {
        "symbol": np.repeat(symbols, SESSIONS),
        **{name: bars[name] for name in BAR_TYPES if name != "instrument_id"},
    }
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(database_url(), autocommit=True) as connection:
        file = Path(folder) / "bars.parquet"
        pl.DataFrame(named).write_parquet(file)
        for claim in _claims(_Table(connection, bars, file)):
            print(claim.to_json(), flush=True)


if __name__ == "__main__":
    measure_here()
