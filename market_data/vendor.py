"""What a vendor of daily bars is to us: which columns its files have, and what its prices mean."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

PRICES = ("open", "high", "low", "close", "adj_close")
NUMBERS = (*PRICES, "volume")
# `row_number`, `symbol`, `session_on`, NUMBERS and `unreadable` (the first column whose value is no date or number).
PARSED = ("row_number", "symbol", "session_on", *NUMBERS, "unreadable")

_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%d-%b-%Y", "%b %d, %Y")
_MISSING = ("", "null", "none", "nan", "-", "n/a", "na")
_FACTORS = ("split_coefficient",)


@dataclass(frozen=True)
class Capabilities:
    """What the vendor's files carry and what its prices are adjusted for."""

    split_adjusted: bool
    dividend_adjusted_close: bool
    symbol_column: bool
    # Whether a row can be read only together with all the others of its file (splits to be worked back).
    whole_file: bool = False


def _as_it_is(bars: pl.DataFrame) -> pl.DataFrame:
    return bars


@dataclass(frozen=True)
class Vendor:
    """One layout of files. `columns` maps our names to the spellings seen, written in small letters and underscores.

    `optional` columns may be absent; a layout without `adj_close` lets the close stand in. Where `marks` are given,
    a file is taken for this vendor's only if it has one of them, or if the vendor is named. `finish` turns typed
    rows into bars on the split basis (columns NUMBERS).
    """

    name: str
    title: str
    capabilities: Capabilities
    columns: Mapping[str, tuple[str, ...]]
    optional: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    symbol_suffix: str = ""
    finish: Callable[[pl.DataFrame], pl.DataFrame] = field(default=_as_it_is)

    def match(self, found: Sequence[str], *, named: bool) -> dict[str, str] | None:
        """Our column -> the file's column, or None where this is not the vendor's layout."""
        by_spelling = {spelling(name): name for name in reversed(found)}
        if self.marks and not named and not set(self.marks) & set(by_spelling):
            return None
        matched = {
            ours: by_spelling[next(name for name in names if name in by_spelling)]
            for ours, names in self.columns.items()
            if any(name in by_spelling for name in names)
        }
        return matched if set(self.columns) - self.optional <= set(matched) else None

    def describe(self) -> str:
        """The layout in a line, optional columns in brackets."""
        names = ", ".join(
            f"[{names[0]}]" if ours in self.optional else names[0] for ours, names in self.columns.items()
        )
        return f"{names} (with one of {', '.join(self.marks)})" if self.marks else names


def spelling(name: str) -> str:
    """A column's name in small letters and underscores: ` Adj Close**` and `adj_close` are one."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _text(column: str) -> pl.Expr:
    stripped = pl.col(column).str.strip_chars()
    return pl.when(stripped.str.to_lowercase().is_in(_MISSING)).then(None).otherwise(stripped)


def _number(column: str, kind: pl.DataType) -> pl.Expr:
    if kind == pl.String:
        return _text(column).str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
    return pl.col(column).cast(pl.Float64, strict=False)


def _date(column: str, kind: pl.DataType) -> pl.Expr:
    if kind == pl.String:
        # Only the day matters: yfinance writes midnight in New York behind it.
        day = _text(column).str.replace(r"[T ]\d{2}:\d{2}.*$", "")
        return pl.coalesce(day.str.to_date(pattern, strict=False) for pattern in _DATE_FORMATS)
    if kind.is_integer():
        return pl.col(column).cast(pl.String).str.to_date("%Y%m%d", strict=False)
    return pl.col(column).cast(pl.Date, strict=False)


def _unreadable(raw: str, kind: pl.DataType, parsed: str) -> pl.Expr:
    given = _text(raw).is_not_null() if kind == pl.String else pl.col(raw).is_not_null()
    return pl.when(given & pl.col(parsed).is_null()).then(pl.lit(raw))


def parse(vendor: Vendor, raw: pl.DataFrame, matched: Mapping[str, str], *, symbol: str | None) -> pl.DataFrame:
    """Rows as they came (with `row_number`) as PARSED columns; what cannot be read is null and named by `unreadable`.

    `symbol` names the instrument where the file has no column for it.
    """
    schema = raw.schema
    typed = {"__date": _date(matched["session_on"], schema[matched["session_on"]])}
    for ours in (*NUMBERS, *_FACTORS):
        if ours in matched:
            number = _number(matched[ours], schema[matched[ours]])
            typed[f"__{ours}"] = pl.when(number.is_finite()).then(number)
    named = pl.lit(symbol, pl.String)
    if "symbol" in matched:
        named = pl.col(matched["symbol"]).cast(pl.String).str.strip_chars()
    frame = raw.with_columns(**typed)
    read = {"session_on": "__date", **{ours: f"__{ours}" for ours in (*NUMBERS, *_FACTORS) if ours in matched}}
    frame = frame.select(
        pl.col("row_number"),
        named.str.to_uppercase()
        .str.strip_suffix(vendor.symbol_suffix)
        .str.replace_all(".", "-", literal=True)
        .alias("symbol"),
        *[pl.col(parsed).alias(ours) for ours, parsed in read.items()],
        pl.coalesce(_unreadable(matched[ours], schema[matched[ours]], parsed) for ours, parsed in read.items()).alias(
            "unreadable"
        ),
    )
    if "adj_close" not in matched:
        frame = frame.with_columns(adj_close=pl.col("close"))
    return vendor.finish(frame).with_columns(pl.col("volume").round().cast(pl.Int64, strict=False)).select(PARSED)
