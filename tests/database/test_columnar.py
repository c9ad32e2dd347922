"""Frames from PostgreSQL: types of parameters and columns, and a connection that survives its server's death."""

import subprocess
import sys
from datetime import date

import polars as pl
import pytest
from sqlalchemy import text

from database.columnar import read_frame
from database.session import transaction


class TestReadFrame:
    def test_parameters_and_columns_keep_their_types(self, committed_database: str) -> None:
        frame = read_frame(
            "select $1::text as word, $2::date as day, $3::int8 as number, $4::float8 as ratio,"
            " $5::text is null as gap",
            ["rules", date(2017, 6, 30), 7, 0.5, None],
        )
        assert frame.rows() == [("rules", date(2017, 6, 30), 7, 0.5, True)]
        assert frame.schema == {
            "word": pl.String,
            "day": pl.Date,
            "number": pl.Int64,
            "ratio": pl.Float64,
            "gap": pl.Boolean,
        }

    def test_nothing_found_still_has_its_columns(self, committed_database: str) -> None:
        frame = read_frame("select instrument_id, symbol from instruments where instrument_id = $1", [1])
        assert frame.is_empty()
        assert frame.schema == {"instrument_id": pl.Int32, "symbol": pl.String}

    def test_a_killed_connection_is_opened_anew(self, committed_database: str) -> None:
        own = read_frame("select pg_backend_pid() as pid")["pid"][0]
        with transaction() as session:
            session.execute(text("select pg_terminate_backend(:pid)"), {"pid": own})
        assert read_frame("select pg_backend_pid() as pid")["pid"][0] != own

    def test_a_wrong_query_is_told(self, committed_database: str) -> None:
        with pytest.raises(Exception, match="nonsense"):
            read_frame("select nonsense")

    def test_neither_pandas_nor_pyarrow_comes_along(self) -> None:
        code = "import sys, database.columnar; print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "[]"
