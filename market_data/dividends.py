"""Cash dividends implied by the two closes of a bar.

With f = adj_close / close, a dividend of D going ex on session t lowers all earlier adjusted closes by the share
1 - D / close[t-1], so D = close[t-1] * (1 - f[t-1] / f[t]): the vendors' own adjustment (CRSP's) turned round.
"""

from dataclasses import dataclass, field

import polars as pl

# Prices in single precision leave jumps of 5e-7 in f; the smallest dividends of large companies are 6e-5 of the price.
SHARE_MIN = 5e-5
_CLOSES: dict[str, type[pl.DataType]] = {
    "symbol": pl.String,
    "session_on": pl.Date,
    "close": pl.Float64,
    "adj_close": pl.Float64,
}


def _rounding(step: float) -> pl.Expr:
    """What rounding both adjusted closes to `step` may do to the share; 0 where one of them is finer than that."""
    now, before = pl.col("adj_close"), pl.col("adj_close_before")
    coarse = pl.all_horizontal(((price / step) - (price / step).round()).abs() < 1e-6 for price in (now, before))
    return pl.when(coarse).then(1.05 * step / 2 * (1 / now + 1 / before)).otherwise(0.0)


def implied_dividends(bars: pl.DataFrame) -> pl.DataFrame:
    """`by`, ex_on, amount_usd of bars (`by`, session_on, close, adj_close) sorted by both; `by` is the first column.

    Amounts are a share on the split basis of `close`, rounded to 0.0001 USD. What rounding of the prices could have
    made is left out. Each amount depends on two neighbouring bars alone.
    """
    by = bars.columns[0]
    kept, kept_before = pl.col("adj_close") / pl.col("close"), pl.col("adj_close_before") / pl.col("close_before")
    # Rounding matters for the few candidates only.
    return (
        bars.with_columns(
            pl.col("close").shift(1).over(by).alias("close_before"),
            pl.col("adj_close").shift(1).over(by).alias("adj_close_before"),
        )
        .with_columns(share=1 - kept_before / kept)
        .filter(pl.col("share") > SHARE_MIN)
        .filter(pl.col("share") > pl.max_horizontal(_rounding(0.01), _rounding(0.001), _rounding(0.0001)))
        .select(
            by,
            pl.col("session_on").alias("ex_on"),
            (pl.col("close_before") * pl.col("share")).round(4).alias("amount_usd"),
        )
        .filter(pl.col("amount_usd") > 0)
    )


@dataclass
class DividendStream:
    """Dividends of bars that come in chunks, each symbol in order of sessions.

    Symbols that do not keep the order, and those `set_aside` because other bars of theirs are stored, are left to
    whoever can look at all their bars.
    """

    set_aside: set[str] = field(default_factory=set)
    _last: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_CLOSES))
    _found: list[pl.DataFrame] = field(default_factory=list)

    def take(self, bars: pl.DataFrame) -> None:
        """The next good bars, sorted by symbol and session."""
        rows = bars.select(_CLOSES.keys())
        by_symbol = rows.group_by("symbol", maintain_order=True)
        again = pl.col("symbol").is_in(rows["symbol"].unique().implode())
        before = self._last.filter(again)
        back = before.join(by_symbol.agg(pl.col("session_on").first().alias("first_on")), on="symbol").filter(
            pl.col("session_on") >= pl.col("first_on")
        )
        self.set_aside |= set(back["symbol"])
        self._last = pl.concat([self._last.filter(~again), by_symbol.last().select(_CLOSES.keys())])
        if len(before):
            rows = pl.concat([before, rows]).sort("symbol", "session_on")
        self._found.append(implied_dividends(rows))

    def symbols(self) -> set[str]:
        """All symbols that came."""
        return set(self._last["symbol"])

    def dividends(self) -> pl.DataFrame:
        """symbol, ex_on, amount_usd of the symbols that were not set aside."""
        return pl.concat(self._found).filter(~pl.col("symbol").is_in(self.set_aside))
