"""Reading files in chunks: every line is counted once, whatever the block it falls into."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InputError
from market_data.files import content_hash, count_rows, read_chunks, read_header, read_whole


class TestReadChunks:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(broken=st.sets(st.integers(0, 400), max_size=12), blank=st.sets(st.integers(0, 400), max_size=5))
    def test_rows_and_broken_lines_keep_their_numbers(
        self, broken: set[int], blank: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("market_data.files._CSV_BLOCK_BYTES", 300)
        lines, number = ["a,b"], 0
        rows: dict[int, str] = {}
        malformed: dict[int, str] = {}
        for line in range(401):
            if line in blank:
                lines.append("")
                continue
            number += 1
            text = f"{line},{line},surplus" if line in broken else f"{line},x"
            (malformed if line in broken else rows)[number] = text
            lines.append(text)
        path = tmp_path / "x.csv"
        path.write_text("\n".join(lines) + "\n")
        chunks = list(read_chunks(path, ["a", "b"]))
        read = pl.concat(chunk.rows for chunk in chunks)
        assert {row[0]: f"{row[1]},{row[2]}" for row in read.iter_rows()} == rows
        assert {row[0]: row[1] for chunk in chunks for row in chunk.malformed.iter_rows()} == malformed
        assert sum(chunk.size for chunk in chunks) == number

    def test_columns_come_in_the_order_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n")
        (chunk,) = read_chunks(tmp_path / "x.csv", ["c", "a"])
        assert chunk.rows.rows() == [(1, "3", "1")]

    def test_parquet_keeps_its_types(self, tmp_path: Path) -> None:
        pl.DataFrame({"a": [1.5, None], "b": ["x", "y"]}).write_parquet(tmp_path / "x.parquet")
        (chunk,) = read_chunks(tmp_path / "x.parquet", ["a"])
        assert chunk.rows.rows() == [(1, 1.5), (2, None)]


class TestReadHeader:
    def test_quotes_byte_order_mark_and_a_broken_first_row(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbf"Date","Adj Close"\n1,2,3\n')
        assert read_header(tmp_path / "x.csv") == ["Date", "Adj Close"]


class TestReadWhole:
    def test_too_long_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a\n" + "1\n" * 50)
        assert len(read_whole(tmp_path / "x.csv", ["a"], rows_max=50).rows) == 50
        with pytest.raises(InputError, match="more than 49 rows"):
            read_whole(tmp_path / "x.csv", ["a"], rows_max=49)


class TestContentHash:
    def test_content_and_salt_decide_not_the_name(self, tmp_path: Path) -> None:
        for name in ("x.csv", "y.csv"):
            (tmp_path / name).write_text("a\n1\n")
        assert content_hash(tmp_path / "x.csv") == content_hash(tmp_path / "y.csv")
        assert content_hash(tmp_path / "x.csv", salt="KO") != content_hash(tmp_path / "x.csv")
        assert count_rows(tmp_path / "x.csv") == 2
