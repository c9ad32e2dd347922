"""The gate: one file's rows go in, chunk after chunk; good rows and refused rows with reasons come out.

A row is refused for the first reason that holds, in the order of `Reason`. Duplicates are found over the whole file;
jumps and stale runs are judged per symbol in order of sessions, with the nearest rows of earlier chunks and of the
database as context.
"""

from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from market_data.quality import (
    BAR_SCHEMA,
    CONTEXT_SESSIONS,
    REFUSED_SCHEMA,
    Reason,
    fingerprints,
    jumps,
    refuse,
    row_rules,
    stale_rows,
)
from market_data.vendor import NUMBERS

_CONTEXT = -1
_SYMBOLS_A_BLOCK = 256


@dataclass(frozen=True)
class Checked:
    """`good`: BAR_SCHEMA in order of symbol and session; `refused`: REFUSED_SCHEMA. Together all rows given."""

    good: pl.DataFrame
    refused: pl.DataFrame


@dataclass
class Gate:
    """Checks one file. `sessions`: all days on which the exchange trades, in order; later than `today` is future."""

    sessions: npt.NDArray[np.datetime64]
    today: date
    _context: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=BAR_SCHEMA))
    _known: set[str] = field(default_factory=set)
    # Per symbol a fingerprint for each session that came: four bytes a bar, whatever the order of the file.
    _seen: dict[str, npt.NDArray[np.uint32]] = field(default_factory=dict)
    _block: npt.NDArray[np.uint32] = field(init=False)
    _place: npt.NDArray[np.int32] = field(init=False)
    _first_day: int = field(init=False)

    def __post_init__(self) -> None:
        days = self.sessions.astype("datetime64[D]").astype(np.int64)
        self._first_day = int(days[0])
        self._place = np.full(days[-1] - days[0] + 1, -1, dtype=np.int32)
        self._place[days - days[0]] = np.arange(len(days), dtype=np.int32)

    def newcomers(self, rows: pl.DataFrame) -> dict[str, date]:
        """Symbols that no earlier chunk had, with their first day: `remember` what is stored before it."""
        first = rows.group_by("symbol").agg(pl.col("session_on").min()).drop_nulls()
        return {symbol: day for symbol, day in first.iter_rows() if symbol not in self._known}

    def remember(self, stored: pl.DataFrame) -> None:
        """Take stored bars (BAR_SCHEMA) as the rows before those to come."""
        self._context = pl.concat([self._context, stored])

    def check(self, rows: pl.DataFrame) -> Checked:
        """Split parsed rows (`market_data.vendor.PARSED`) into good and refused ones."""
        plausible, refused = refuse(rows.with_columns(session=self._sessions_of(rows)), row_rules(self.today))
        ordered = plausible.sort("symbol", "session_on", "row_number")
        if ordered.is_empty():
            return Checked(pl.DataFrame(schema=BAR_SCHEMA), refused)
        ordered = ordered.with_columns(code=pl.col("symbol").rle_id().cast(pl.Int64), reason=pl.lit(None, pl.String))
        ordered = self._mark_duplicates(ordered)
        ordered = self._mark_series(ordered)
        good = ordered.filter(pl.col("reason").is_null()).select(BAR_SCHEMA.keys())
        if len(good) == len(ordered):
            return Checked(good, refused)
        marked = ordered.filter(pl.col("reason").is_not_null()).select(REFUSED_SCHEMA.keys())
        return Checked(good, pl.concat([refused, marked]))

    def _sessions_of(self, rows: pl.DataFrame) -> pl.Series:
        days = rows["session_on"].cast(pl.Int32).fill_null(self._first_day - 1).to_numpy().astype(np.int64)
        offset = days - self._first_day
        inside = (offset >= 0) & (offset < len(self._place))
        return pl.Series(np.where(inside, self._place[np.where(inside, offset, 0)], -1))

    def _seen_of(self, symbol: str) -> npt.NDArray[np.uint32]:
        if symbol not in self._seen:
            row = len(self._seen) % _SYMBOLS_A_BLOCK
            if row == 0:
                # Large blocks come from the system untouched, and pages that stay so cost nothing.
                self._block = np.zeros((_SYMBOLS_A_BLOCK, len(self.sessions)), dtype=np.uint32)
            self._seen[symbol] = self._block[row]
        return self._seen[symbol]

    def _mark_duplicates(self, ordered: pl.DataFrame) -> pl.DataFrame:
        """The first row of a session in the file stands; others are refused as identical to it or conflicting."""
        codes, sessions = ordered["code"].to_numpy(), ordered["session"].to_numpy()
        prints = fingerprints(ordered)
        earlier = np.zeros(len(ordered), dtype=np.uint32)
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
        for start, stop in pairwise(bounds.tolist()):
            symbol = ordered["symbol"][start]
            seen, own = self._seen_of(symbol), sessions[start:stop]
            earlier[start:stop] = seen[own]
            # Backwards, so that the first of several rows of a session is the one that stays.
            fresh = own[earlier[start:stop] == 0]
            seen[fresh[::-1]] = prints[start:stop][earlier[start:stop] == 0][::-1]
            self._known.add(symbol)
        repeated = np.zeros(len(ordered), dtype=bool)
        repeated[1:] = (codes[1:] == codes[:-1]) & (sessions[1:] == sessions[:-1])
        if not repeated.any() and not earlier.any():
            return ordered.with_columns(detail=pl.lit(None, pl.String))
        first = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(ordered))))
        known = np.where(earlier > 0, earlier, np.where(repeated, prints[first], 0))
        reasons = np.where(prints == known, Reason.DUPLICATE_IDENTICAL.value, Reason.DUPLICATE_CONFLICTING.value)
        return ordered.with_columns(
            pl.when(pl.Series(known > 0)).then(pl.Series(reasons.astype(str))).alias("reason"),
            pl.lit("an earlier row of the file has this session").alias("detail"),
        )

    def _mark_series(self, ordered: pl.DataFrame) -> pl.DataFrame:
        """Jumps and stale runs among the rows that stand so far, seen together with their context."""
        rows = ordered.filter(pl.col("reason").is_null()).select(*BAR_SCHEMA, "row_number")
        nearby = self._context.filter(pl.col("symbol").is_in(rows["symbol"].unique().implode()))
        # A stored bar that the file brings again is not its own neighbour.
        nearby = nearby.join(rows, on=["symbol", "session_on"], how="anti")
        if len(nearby):
            rows = pl.concat([nearby.with_columns(row_number=pl.lit(_CONTEXT, pl.Int64)), rows])
            rows = rows.sort("symbol", "session_on", "row_number")
        codes = rows["symbol"].rle_id().cast(pl.Int64).to_numpy()
        values = {name: rows[name].cast(pl.Float64).to_numpy() for name in NUMBERS}
        jump = jumps(codes, rows["session_on"].cast(pl.Int32).cast(pl.Int64).to_numpy(), values)
        stale = stale_rows(codes, values) & ~jump
        self._keep_context(rows if not jump.any() else rows.filter(pl.Series(~jump)))
        own = rows["row_number"].to_numpy() != _CONTEXT
        if not ((jump | stale) & own).any():
            return ordered
        series = rows.select("row_number").with_columns(
            pl.when(pl.Series(jump))
            .then(pl.lit(Reason.POWER_OF_TEN_JUMP.value))
            .when(pl.Series(stale))
            .then(pl.lit(Reason.STALE_RUN.value))
            .alias("series_reason"),
            pl.when(pl.Series(jump))
            .then(pl.format("close {} stands a power of ten off its neighbours", rows["close"]))
            .otherwise(pl.lit("prices and volume are those of the session before, as in the sessions around it"))
            .alias("series_detail"),
        )
        marked = series.filter(pl.Series(own) & pl.col("series_reason").is_not_null())
        return ordered.join(marked, on="row_number", how="left", maintain_order="left").with_columns(
            reason=pl.coalesce("reason", "series_reason"), detail=pl.coalesce("detail", "series_detail")
        )

    def _keep_context(self, rows: pl.DataFrame) -> None:
        """Both ends of each symbol, since a file may run either way."""
        place, count = pl.int_range(pl.len()).over("symbol"), pl.len().over("symbol")
        ends = rows.filter((place < CONTEXT_SESSIONS) | (place >= count - CONTEXT_SESSIONS)).select(BAR_SCHEMA.keys())
        others = self._context.filter(~pl.col("symbol").is_in(ends["symbol"].unique().implode()))
        self._context = pl.concat([others, ends])
