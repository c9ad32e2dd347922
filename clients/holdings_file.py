"""Holdings out of a broker's export: each row a lot, or what is wrong with it, field by field.

Brokers differ in headers, separators, decimal signs and dates; what can be read in one way only is read, what could
mean two things is refused with the remedy. Nothing here looks into the database.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

from clients.csv_table import TableRow, read_table
from core.errors import InputError
from core.money import CENT, money

BYTES_MAX = 5_000_000
ROWS_MAX = 20_000
TEMPLATE = (
    "symbol,quantity,cost_per_share,purchase_date,currency\r\n"
    "AAPL,100,125.50,2016-03-14,USD\r\n"
    "BRK-B,25,142.10,2015-11-02,USD\r\n"
)
_VALUE_SHOWN = 60
_SHARE_STEP = Decimal("0.000001")
_QUANTITY_MAX = Decimal(10) ** 12
_COST_MAX = Decimal(10) ** 15
_EARLIEST = date(1900, 1, 1)
_SYMBOL = re.compile(r"[A-Z0-9]{1,10}(-[A-Z0-9]{1,5})?")
_NOT_HOLDINGS = frozenset(
    {"CASH", "USD", "CASH & CASH INVESTMENTS", "CASH AND CASH INVESTMENTS", "PENDING ACTIVITY", "TOTAL", "GRAND TOTAL"}
)
_NO_DATE = frozenset({"", "-", "--", "N/A", "NA", "VARIOUS", "MULTIPLE", "UNKNOWN"})
# Without it `%Y%m%d` would read 201611 as the first of January.
_DATE_LENGTH_MIN = 8
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%m/%d/%Y", "%m-%d-%Y", "%d.%m.%Y", "%d-%b-%Y", "%b %d, %Y")
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "tickersymbol", "stocksymbol", "securitysymbol", "sym", "instrument"),
    "quantity": ("quantity", "qty", "shares", "numberofshares", "sharequantity", "units", "position"),
    "cost_per_share": (
        "costpershare",
        "costbasispershare",
        "costbasisshare",
        "costshare",
        "averagecostbasis",
        "averagecostpershare",
        "averagecost",
        "avgcost",
        "avgcostshare",
        "unitcost",
        "averageprice",
        "avgprice",
        "purchaseprice",
        "pricepaid",
        "costprice",
    ),
    "cost_total": (
        "costbasistotal",
        "totalcostbasis",
        "costbasis",
        "totalcost",
        "costtotal",
        "costusd",
        "adjustedcostbasis",
        "bookvalue",
        "bookcost",
        "cost",
    ),
    "purchase_date": (
        "purchasedate",
        "dateacquired",
        "acquisitiondate",
        "acquired",
        "acquireddate",
        "dateofpurchase",
        "buydate",
        "opendate",
        "dateopened",
        "openedon",
        "lotdate",
        "tradedate",
    ),
    "currency": ("currency", "ccy", "currencycode", "curr"),
}


@dataclass(frozen=True)
class CellError:
    """What is wrong with one cell, and what to do."""

    field: str
    value: str
    remedy: str


@dataclass(frozen=True)
class HoldingRow:
    """One row: a lot (`ok`), a lot with mistakes (`error`), or something that is no holding (`ignored`).

    `number` is the line in the file. `opened_on` is None where the file does not tell when the shares were bought.
    """

    number: int
    status: Literal["ok", "error", "ignored"]
    symbol: str = ""
    quantity: Decimal | None = None
    cost_usd: Decimal | None = None
    opened_on: date | None = None
    errors: tuple[CellError, ...] = ()
    warnings: tuple[str, ...] = ()

    def with_error(self, field: str, value: str, remedy: str) -> "HoldingRow":
        """The same row with one more mistake."""
        return replace(self, status="error", errors=(*self.errors, CellError(field, value[:_VALUE_SHOWN], remedy)))


class _Wrong(Exception):
    """A cell that cannot be read; its text is the remedy."""


@dataclass
class _Reading:
    """One row while it is read: the mistakes found so far."""

    row: TableRow
    separator: str
    errors: list[CellError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def cell(self, name: str) -> str:
        return self.row.cells.get(name, "")

    def number(self, name: str) -> Decimal | None:
        try:
            return _number(self.cell(name), self.separator)
        except _Wrong as wrong:
            self.wrong(name, str(wrong))
            return None

    def wrong(self, name: str, remedy: str) -> None:
        self.errors.append(CellError(name, self.cell(name)[:_VALUE_SHOWN], remedy))


def read_holdings(content: bytes, *, until_on: date) -> list[HoldingRow]:
    """Every row of the file; purchases after `until_on` are mistakes.

    InputError where the file is no table of holdings at all, TooLarge where it has too many rows.
    """
    table = read_table(content, synonyms=SYNONYMS, needed=("symbol", "quantity"), rows_max=ROWS_MAX)
    if not {"cost_per_share", "cost_total"} & set(table.fields):
        raise InputError("no column tells what the shares cost: add cost_per_share, or cost_basis for the whole lot")
    rows: list[HoldingRow] = []
    seen: dict[tuple[str, Decimal | None, Decimal | None, date | None], int] = {}
    for row in table.rows:
        read = _read_row(row, table.separator, until_on)
        if read.status == "ok":
            key = (read.symbol, read.quantity, read.cost_usd, read.opened_on)
            if key in seen:
                told = "take one of them out; of two equal purchases add the quantities up"
                read = read.with_error("row", f"the same as row {seen[key]}", told)
            else:
                seen[key] = row.number
        rows.append(read)
    if not any(row.status != "ignored" for row in rows):
        raise InputError("the file has a header but no row with a holding: send one row for each lot")
    return rows


def _read_row(row: TableRow, separator: str, until_on: date) -> HoldingRow:
    name = row.cells["symbol"]
    words = name.upper().strip("* ")
    if words in _NOT_HOLDINGS or words.endswith(" TOTAL") or words.startswith("TOTAL "):
        return HoldingRow(row.number, "ignored", symbol=name[:_VALUE_SHOWN], warnings=("cash or a total: left out",))
    if not any(row.cells.get(one) for one in ("quantity", "cost_per_share", "cost_total")):
        return HoldingRow(row.number, "ignored", symbol=name[:_VALUE_SHOWN], warnings=("no quantity: left out",))
    reading = _Reading(row, separator)
    symbol = _symbol(reading)
    quantity = _quantity(reading)
    cost = _cost(reading, quantity)
    opened_on = _date(reading, until_on)
    currency = reading.cell("currency").upper()
    if currency not in {"", "USD", "US$", "$"}:
        reading.wrong("currency", "accounts are in USD: leave the row out, or give its cost in USD")
    return HoldingRow(
        number=row.number,
        status="error" if reading.errors else "ok",
        symbol=symbol,
        quantity=quantity,
        cost_usd=cost,
        opened_on=opened_on,
        errors=tuple(reading.errors),
        warnings=tuple(reading.warnings),
    )


def _symbol(reading: _Reading) -> str:
    raw = reading.cell("symbol")
    symbol = re.sub(r"[./ ]", "-", raw.upper().rstrip("* "))
    if not raw:
        reading.wrong("symbol", "is empty: give the stock's ticker")
    elif raw[0] in "=+-@":
        reading.wrong("symbol", "is a formula: save the sheet with values, not formulas")
    elif not _SYMBOL.fullmatch(symbol):
        reading.wrong("symbol", "is no ticker: write it as AAPL or BRK-B, or leave the row out")
    return symbol[:_VALUE_SHOWN]


def _quantity(reading: _Reading) -> Decimal | None:
    quantity = reading.number("quantity")
    if quantity is None:
        return None
    if quantity <= 0:
        reading.wrong("quantity", "must be above 0: short positions cannot be brought in")
    elif quantity >= _QUANTITY_MAX or quantity != quantity.quantize(_SHARE_STEP):
        reading.wrong("quantity", "must have at most 6 decimals and be below 1,000,000,000,000")
    elif quantity != quantity.to_integral_value():
        reading.warnings.append("orders are for whole shares: the fraction stays when the rest is sold")
    return quantity


def _cost(reading: _Reading, quantity: Decimal | None) -> Decimal | None:
    """What the whole lot cost; where both are given the total counts."""
    name = "cost_total" if reading.cell("cost_total") else "cost_per_share"
    if not reading.cell(name):
        reading.wrong(name, "is empty: give what the shares cost, without it no gain can be told")
        return None
    cost = reading.number(name)
    if cost is None or quantity is None:
        return None
    each = cost if name == "cost_per_share" else None
    cost = cost if each is None else each * quantity
    if cost < 0 or cost >= _COST_MAX:
        reading.wrong(name, "must be 0 or more and below 1,000,000,000,000,000 for the lot")
        return None
    if name == "cost_total" and reading.cell("cost_per_share"):
        each = reading.number("cost_per_share")
        if each is not None and abs(each * quantity - cost) > max(cost / 100, CENT):
            reading.warnings.append("cost per share times quantity is another amount than the total: the total counts")
    return money(cost)


def _date(reading: _Reading, until_on: date) -> date | None:
    raw = reading.cell("purchase_date")
    if raw.upper() in _NO_DATE:
        reading.warnings.append("no purchase date: the lot counts as bought on the day it is brought in")
        return None
    day = _parse_day(raw)
    if day is None:
        told = "cannot be read: write it as 2016-03-14 (03/14/2016 is read with the month first)"
        reading.wrong("purchase_date", told)
    elif not _EARLIEST <= day <= until_on:
        reading.wrong("purchase_date", f"must lie between {_EARLIEST} and {until_on}")
    return day


def _parse_day(text: str) -> date | None:
    for form in _DATE_FORMATS if len(text) >= _DATE_LENGTH_MIN else ():
        # The other forms are tried in turn; a calendar day has no zone.
        with suppress(ValueError):
            return datetime.strptime(text, form).date()  # noqa: DTZ007
    return None


def _number(raw: str, separator: str) -> Decimal:
    """A number as people and brokers write it: $1,234.50, 1.234,50 in a file of semicolons, (5) for minus five."""
    text = raw.strip().replace("\u00a0", "").replace(" ", "").replace("$", "").removeprefix("USD").removesuffix("USD")
    if not text:
        raise _Wrong("is empty: give a number")
    if text[0] in "=@":
        raise _Wrong("is a formula: save the sheet with values, not formulas")
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    try:
        return Decimal(_plain_digits(text.lstrip("+"), separator))
    except InvalidOperation:
        raise _Wrong("is no number: write it as 1234.50") from None


def _plain_digits(text: str, separator: str) -> str:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if not re.fullmatch(r"[0-9.,']+", digits):
        raise _Wrong("is no number: write it as 1234.50")
    digits = digits.replace("'", "")
    if "," in digits and "." in digits:
        thousands, decimal = (",", ".") if digits.rfind(".") > digits.rfind(",") else (".", ",")
    elif "," in digits:
        in_groups = re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", digits)
        if in_groups and separator == ";" and digits.count(",") == 1:
            raise _Wrong("could mean two numbers: write 1234 or 1.2340")
        if not in_groups and separator != ";":
            raise _Wrong("has a comma that separates no thousands: write it as 1234.50")
        thousands, decimal = (",", ".") if in_groups else (".", ",")
    elif separator == ";" and re.fullmatch(r"[0-9]{1,3}\.[0-9]{3}", digits):
        raise _Wrong("could mean two numbers: write 1234 or 1.2340")
    elif digits.count(".") > 1:
        thousands, decimal = ".", ","
    else:
        return sign + digits
    whole, _, fraction = digits.partition(decimal)
    if thousands in whole and not re.fullmatch(rf"[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+", whole):
        raise _Wrong("has its thousands in the wrong places: write it as 1234.50")
    return f"{sign}{whole.replace(thousands, '')}.{fraction}" if fraction else sign + whole.replace(thousands, "")
