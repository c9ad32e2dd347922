"""Exports of brokers: what is read, what is refused with its remedy, and that nothing makes the reader crash."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.holdings_file import TEMPLATE, HoldingRow, read_holdings
from core.errors import InputError, TooLarge

D = Decimal
TODAY = date(2017, 6, 30)


def read(text: str | bytes) -> list[HoldingRow]:
    return read_holdings(text.encode() if isinstance(text, str) else text, until_on=TODAY)


def one(cells: str, header: str = "symbol,quantity,cost_per_share,purchase_date,currency") -> HoldingRow:
    (row,) = read(f"{header}\n{cells}\n")
    return row


def wrong(row: HoldingRow) -> dict[str, str]:
    return {error.field: error.remedy for error in row.errors}


class TestWhatIsRead:
    def test_the_template_reads_itself(self) -> None:
        rows = read(TEMPLATE)
        assert [(row.symbol, row.quantity, row.cost_usd, row.opened_on) for row in rows] == [
            ("AAPL", D(100), D("12550.00"), date(2016, 3, 14)),
            ("BRK-B", D(25), D("3552.50"), date(2015, 11, 2)),
        ]
        assert {row.status for row in rows} == {"ok"}

    @pytest.mark.parametrize(
        "text",
        [
            'Symbol,Description,Quantity,Cost Basis,Date Acquired\nAAPL,"APPLE, INC",10,"$1,250.50",01/04/2016\n',
            "Ticker;Shares;Average Cost;Purchase Date\nAAPL;10;125,05;04.01.2016\n",
            "Ticker\tQty\tUnit Cost\tAcquired\nAAPL\t10\t125.05\t4-Jan-2016\n",
            "SYMBOL|UNITS|TOTAL COST|TRADE DATE\naapl|10.000000|1250.50|20160104\n",
            'Positions for account ...123 as of June 30\n\n"Symbol","Qty","Price Paid","Open Date"\n'
            '"AAPL","10","$125.05","Jan 04, 2016"\n',
            "\ufeffsymbol,quantity,cost per share,purchase date\r\nAAPL,10,125.05,2016-01-04\r\n",
        ],
        ids=["total", "semicolons", "tabs", "pipes", "title", "bom"],
    )
    def test_as_brokers_export_it(self, text: str) -> None:
        (row,) = read(text)
        assert (row.status, row.symbol, row.quantity, row.cost_usd, row.opened_on) == (
            "ok",
            "AAPL",
            D(10),
            D("1250.50"),
            date(2016, 1, 4),
        )

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
    def test_encodings(self, encoding: str) -> None:
        text = "Symbol,Name,Quantity,Cost Basis\nBRK.B,Société,5,700\n"
        (row,) = read(text.encode(encoding))
        assert (row.symbol, row.cost_usd, row.opened_on) == ("BRK-B", D("700.00"), None)
        assert "counts as bought on the day" in row.warnings[0]

    def test_cash_totals_and_footers_are_left_out(self) -> None:
        rows = read(
            "Symbol,Quantity,Cost Basis\nAAPL,1,10\nCash & Cash Investments,--,500\nAccount Total,,510\n"
            "\nDate downloaded 30 June,,\n"
        )
        assert [row.status for row in rows] == ["ok", "ignored", "ignored", "ignored"]
        assert [row.number for row in rows] == [2, 3, 4, 6]

    def test_two_lots_of_a_stock_are_two_rows(self) -> None:
        rows = read("symbol,shares,cost,acquired\nAAPL,1,10,2016-01-04\nAAPL,1,10,2016-01-05\n")
        assert [row.status for row in rows] == ["ok", "ok"]

    def test_fractions_are_told_apart(self) -> None:
        row = one("AAPL,1.5,10,2016-01-04,")
        assert row.status == "ok"
        assert "whole shares" in row.warnings[0]


class TestNumbers:
    @pytest.mark.parametrize(
        ("written", "separator", "read_as"),
        [
            ("1,234.50", ",", "1234.50"),
            ("$1,234", ",", "1234"),
            ("1.234,50", ";", "1234.50"),
            ("1'234.50", ";", "1234.50"),
            ("12,5", ";", "12.5"),
            ("1.234.567", ";", "1234567"),
            ("+7", ",", "7"),
            ("1 234", ",", "1234"),
        ],
    )
    def test_read(self, written: str, separator: str, read_as: str) -> None:
        header = separator.join(("symbol", "quantity", "cost"))
        cells = separator.join(("AAPL", f'"{written}"', "1"))
        assert one(cells, header).quantity == D(read_as)

    @pytest.mark.parametrize(
        ("written", "separator", "remedy"),
        [
            ("1,234", ";", "could mean two numbers"),
            ("1.234", ";", "could mean two numbers"),
            ("12,5", ",", "separates no thousands"),
            ("1,23,456.0", ",", "wrong places"),
            ("(5)", ",", "short positions"),
            ("-5", ",", "short positions"),
            ("0", ",", "above 0"),
            ("=SUM(A1:A9)", ",", "formula"),
            ("ten", ",", "no number"),
            ("1e9", ",", "no number"),
            ("NaN", ",", "no number"),
            ("9" * 60, ",", "below 1,000,000,000,000"),
            ("0.0000001", ",", "6 decimals"),
            (".", ",", "no number"),
        ],
    )
    def test_refused_with_the_remedy(self, written: str, separator: str, remedy: str) -> None:
        header = separator.join(("symbol", "quantity", "cost"))
        cells = separator.join(("AAPL", f'"{written}"', "1"))
        row = one(cells, header)
        assert row.status == "error"
        assert remedy in wrong(row)["quantity"]


class TestMistakes:
    def test_every_cell_of_a_row_is_judged(self) -> None:
        row = one("=cmd|'/c calc'!A1,-3,abc,2031-01-01,EUR")
        assert {name: text.split(":")[0] for name, text in wrong(row).items()} == {
            "symbol": "is a formula",
            "quantity": "must be above 0",
            "cost_per_share": "is no number",
            "purchase_date": "must lie between 1900-01-01 and 2017-06-30",
            "currency": "accounts are in USD",
        }
        assert row.number == 2

    @pytest.mark.parametrize(
        ("cells", "field", "remedy"),
        [
            (",5,1,,", "symbol", "is empty"),
            ("@SUM,5,1,,", "symbol", "formula"),
            ("Apple Incorporated,5,1,,", "symbol", "no ticker"),
            ("AAPL,,1,,", "quantity", "is empty"),
            ("AAPL,5,,,", "cost_per_share", "is empty"),
            ("AAPL,5,-1,,", "cost_per_share", "0 or more"),
            ("AAPL,5,1,201611,", "purchase_date", "cannot be read"),
            ("AAPL,5,1,31/12/2016,", "purchase_date", "cannot be read"),
        ],
    )
    def test_one_cell(self, cells: str, field: str, remedy: str) -> None:
        assert remedy in wrong(one(cells))[field]

    def test_the_same_lot_twice_names_the_first(self) -> None:
        first, second = read("symbol,quantity,cost\nAAPL,5,10\naapl ,5.0,10.00\n")
        assert first.status == "ok"
        assert second.errors[0].value == "the same as row 2"

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "empty"),
            (b"\n\n", "empty"),
            (b"PK\x03\x04rest", "Excel"),
            (b"%PDF-1.7", "PDF"),
            (b"<html>", "web page"),
            (b"symbol,quantity,cost\nA\x00B,1,1\n", "control character"),
            (b"hello world", "names the columns symbol and quantity"),
            (b"symbol,quantity\nAAPL,1\n", "what the shares cost"),
            (b"symbol,quantity,cost\n", "no row with a holding"),
            (b'symbol,quantity,cost\n"AAPL,1,1\n', "quotes"),
        ],
    )
    def test_what_is_no_table_of_holdings(self, content: bytes, told: str) -> None:
        with pytest.raises(InputError, match=told):
            read(content)

    def test_too_many_rows(self) -> None:
        with pytest.raises(TooLarge, match="20,000 rows"):
            read("symbol,quantity,cost\n" + "AAPL,1,1\n" * 20_001)


class TestNothingCrashes:
    @given(st.binary(max_size=400))
    def test_bytes(self, content: bytes) -> None:
        try:
            read(content)
        except (InputError, TooLarge):
            return

    @given(st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=6), st.sampled_from((",", ";", "\t", "|")))
    def test_cells_under_a_good_header(self, rows: list[list[str]], separator: str) -> None:
        text = separator.join(("symbol", "quantity", "cost", "cost per share", "purchase date", "currency"))
        for cells in rows:
            text += "\n" + separator.join(cells)
        try:
            found = read(text.encode("utf-8", "replace"))
        except (InputError, TooLarge):
            return
        for row in found:
            assert (row.status == "error") == bool(row.errors)
            if row.status == "ok":
                assert row.quantity is not None
                assert row.quantity > 0
                assert row.cost_usd is not None
                assert row.cost_usd >= 0

    @given(
        st.decimals(min_value=D("0.000001"), max_value=D(10) ** 9, places=6),
        st.decimals(min_value=0, max_value=D(10) ** 6, places=2),
    )
    def test_what_is_written_is_read(self, quantity: Decimal, cost: Decimal) -> None:
        row = one(f'AAPL,"{quantity:,f}","${cost:,f}"', "symbol,quantity,cost basis")
        assert (row.status, row.quantity, row.cost_usd) == ("ok", quantity, cost)
