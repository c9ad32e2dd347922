"""What every vendor of bars promises, tried on its recordings."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from core.config import REPOSITORY
from core.errors import InputError, UnknownName
from market_data.calendars import is_session
from market_data.files import read_chunks, read_header, read_whole
from market_data.vendor import NUMBERS, PARSED, PRICES, Vendor, parse
from market_data.vendors import VENDORS, recognise

RECORDINGS = REPOSITORY / "tests" / "recordings"
FILES = [
    (name, path)
    for name in VENDORS
    for path in sorted((RECORDINGS / name).iterdir())
    if path.suffix in {".csv", ".txt", ".parquet"}
]
# Closes of Apple on the split basis of today, from the exchange's tape: 645.57 / 7 and 93.70.
CLOSES = {date(2014, 6, 6): 645.57 / 7, date(2014, 6, 9): 93.70}
VOLUMES = {date(2014, 6, 6): 87_484_600, date(2014, 6, 9): 75_415_000}


def read(path: Path, vendor: Vendor, matched: dict[str, str]) -> pl.DataFrame:
    columns = list(matched.values())
    if vendor.capabilities.whole_file:
        chunk = read_whole(path, columns, rows_max=1000)
    else:
        (chunk,) = read_chunks(path, columns)
    return parse(vendor, chunk.rows, matched, symbol=None if "symbol" in matched else "AAPL")


def test_every_vendor_has_recordings() -> None:
    assert {name for name, _ in FILES} == set(VENDORS)


@pytest.mark.parametrize(("name", "path"), FILES, ids=lambda value: value if isinstance(value, str) else value.name)
class TestEveryVendor:
    def test_layout_is_recognised_without_a_hint(self, name: str, path: Path) -> None:
        vendor, _ = recognise(read_header(path), file_name=path.name, source=None)
        assert vendor.name == name

    def test_rows_come_out_typed_and_whole(self, name: str, path: Path) -> None:
        vendor, matched = recognise(read_header(path), file_name=path.name, source=name)
        rows = read(path, vendor, matched)
        assert tuple(rows.columns) == PARSED
        assert rows.schema["session_on"] == pl.Date
        assert rows.schema["volume"] == pl.Int64
        assert all(rows.schema[price] == pl.Float64 for price in PRICES)
        assert rows["unreadable"].null_count() == len(rows) > 0
        assert rows.select("symbol", "session_on", *NUMBERS).null_count().sum_horizontal().item() == 0
        assert set(rows["symbol"]) == {"AAPL"}
        assert all(is_session(day) for day in rows["session_on"])
        assert rows["row_number"].to_list() == list(range(1, len(rows) + 1))

    def test_prices_and_volumes_are_on_the_split_basis(self, name: str, path: Path) -> None:
        vendor, matched = recognise(read_header(path), file_name=path.name, source=name)
        close = dict(read(path, vendor, matched).select("session_on", "close").iter_rows())
        volume = dict(read(path, vendor, matched).select("session_on", "volume").iter_rows())
        # yfinance's history() adjusts its close for dividends as well, about 9 percent by 2020.
        tolerance = 0.1 if "history" in path.name else 1e-4
        for day in CLOSES:
            if day in close:
                assert close[day] == pytest.approx(CLOSES[day], rel=tolerance)
                assert volume[day] == pytest.approx(VOLUMES[day], abs=7)

    def test_values_that_cannot_be_read_are_named(self, name: str, path: Path) -> None:
        vendor, matched = recognise(read_header(path), file_name=path.name, source=name)
        raw = pl.DataFrame({"row_number": [1], **{column: ["x"] for column in matched.values()}})
        (row,) = parse(vendor, raw, matched, symbol=None).to_dicts()
        assert row["unreadable"] in matched.values()
        assert row["close"] is row["session_on"] is None

    def test_marks_of_missing_values_are_missing_not_unreadable(self, name: str, path: Path) -> None:
        vendor, matched = recognise(read_header(path), file_name=path.name, source=name)
        for mark in ("", "null", "None", "-", "NaN", " n/a "):
            raw = pl.DataFrame({"row_number": [1], **{column: [mark] for column in matched.values()}})
            (row,) = parse(vendor, raw, matched, symbol=None).to_dicts()
            assert row["unreadable"] is None
            assert row["close"] is None


class TestRecognise:
    def test_unknown_layout_names_what_was_found_and_what_is_known(self) -> None:
        with pytest.raises(InputError, match=r"found: when, price; known: sample: symbol, .*yahoo: .*stooq: "):
            recognise(["when", "price"], file_name="mine.csv", source=None)

    def test_unknown_source_lists_the_known_ones(self) -> None:
        with pytest.raises(UnknownName, match="known: alpha_vantage, sample, stooq, yahoo"):
            recognise(["Date"], file_name="mine.csv", source="bloomberg")

    def test_a_named_source_needs_no_mark(self) -> None:
        plain = ["Date", "Open", "High", "Low", "Close", "Volume"]
        assert recognise(plain, file_name="x.csv", source=None)[0].name == "stooq"
        assert recognise(plain, file_name="x.csv", source="yahoo")[0].name == "yahoo"

    @pytest.mark.parametrize("spelled", ["Adj Close", "adj_close", "ADJ CLOSE**", "Adjusted_Close"])
    def test_spellings_of_a_column_are_one(self, spelled: str) -> None:
        columns = ["Date", "Open", "High", "Low", "Close", spelled, "Volume"]
        vendor, matched = recognise(columns, file_name="x.csv", source=None)
        assert (vendor.name, matched["adj_close"]) == ("yahoo", spelled)
