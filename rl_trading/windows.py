"""Everything that happens between one decision and the next, laid out so that a step reads one row of each array.

A decision is taken at the close of a session from what is known then; orders fill at the next session's open, the
portfolio is marked at each close up to the next decision. Row r of a `Tape` holds one decision of one strategy: the
observation's static part and the prices of the window that follows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from quant.costs import VOLUME_SESSIONS
from quant.simulator import TICKS_A_DOLLAR
from rl_trading.observation import Scales
from rl_trading.reward import reward_path

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STOCKS = 50
# From one decision to the next: in training, in judgement and at night.
REBALANCE_SESSIONS = 5
WINDOW_SESSIONS_MAX = 10


@dataclass(frozen=True)
class Market:
    """Prices of s sessions and i instruments; NaN where there was no bar, dividend zero where there was none.

    What follows from them is worked out once, at the first recording that asks for it.
    """

    sessions: npt.NDArray[np.datetime64]
    instrument_ids: Ints
    open: Floats
    close: Floats
    adj_close: Floats
    volume: Floats
    dividend: Floats

    @classmethod
    def from_frames(cls, bars: pl.DataFrame, dividends: pl.DataFrame) -> "Market":
        """From `database.queries.bars.read_bars` and `corporate_actions.read_dividends`."""
        sessions = np.unique(bars["session_on"].to_numpy().astype("datetime64[D]"))
        ids = np.unique(bars["instrument_id"].to_numpy()).astype(np.int64)
        at = _positions(bars, sessions, ids, "session_on")
        matrices = {name: _matrix(at, bars[name], (len(sessions), len(ids))) for name in _BAR_COLUMNS}
        inside = dividends.filter(
            pl.col("instrument_id").is_in(ids.tolist()) & pl.col("ex_on").is_in(sessions.astype(object).tolist())
        )
        dividend = np.zeros((len(sessions), len(ids)))
        dividend[_positions(inside, sessions, ids, "ex_on")] = inside["amount_usd"].to_numpy()
        return cls(sessions=sessions, instrument_ids=ids, dividend=dividend, **matrices)

    @cached_property
    def last_close(self) -> Floats:
        """The last known close of each instrument at each session; NaN before its first."""
        return _carry_forward(self.close)

    @cached_property
    def average_volume(self) -> Floats:
        """Known at each close, see `_average_volume`."""
        return _average_volume(self.volume)

    @cached_property
    def volatility(self) -> Floats:
        """Known at each close, see `_volatility`."""
        return _volatility(self.adj_close)

    def index_of(self, day: date) -> int:
        """Row of a session; -1 when the market has no bar on that day."""
        index = int(np.searchsorted(self.sessions, np.datetime64(day)))
        found = index < len(self.sessions) and self.sessions[index] == np.datetime64(day)
        return index if found else -1


_BAR_COLUMNS = ("open", "close", "adj_close", "volume")


def _positions(frame: pl.DataFrame, sessions: npt.NDArray[Any], ids: Ints, day: str) -> tuple[Ints, Ints]:
    days = frame[day].to_numpy().astype("datetime64[D]")
    return np.searchsorted(sessions, days), np.searchsorted(ids, frame["instrument_id"].to_numpy())


def _matrix(at: tuple[Ints, Ints], values: pl.Series, shape: tuple[int, int]) -> Floats:
    matrix = np.full(shape, np.nan)
    matrix[at] = values.cast(pl.Float64).to_numpy()
    return matrix


@dataclass(frozen=True)
class Decisions:
    """What one strategy saw at each of its r decisions, in order of date.

    `session_index` (r) points into the market's sessions, `slots` (r, n) into its instruments, best score first, -1
    where there are fewer stocks; `stocks` (r, n, c) and `context` (r, m) are raw observations, NaN where unknown.
    """

    strategy: str
    session_index: Ints
    slots: Ints
    stocks: Floats32
    context: Floats32

    def between(self, market: Market, first_on: date, last_on: date) -> "Decisions":
        """The decisions taken on days in [first_on, last_on]."""
        days = market.sessions[self.session_index]
        kept = (days >= np.datetime64(first_on)) & (days <= np.datetime64(last_on))
        return Decisions(
            strategy=self.strategy,
            session_index=self.session_index[kept],
            slots=self.slots[kept],
            stocks=self.stocks[kept],
            context=self.context[kept],
        )


class Tape(NamedTuple):
    """The arrays a step reads, r rows: observation, prices at the decision and in the window that follows.

    Money in USD a share. Day 0 of a window is the session on which orders fill; `days` counts the window's sessions
    and is zero in the last row of a segment, which is observed and never traded.
    """

    static: Floats32  # (r, n * c + n + m) normalised stock features, mask, context
    mask: Flags  # (r, n)
    volume: Floats  # (r, n) average daily shares up to the decision
    volatility: Floats  # (r, n) deviation of daily returns up to the decision, NaN = unknown
    close: Floats  # (r, n) at the decision: orders are sized with it
    fill: Floats  # (r, n) open of the fill session, NaN = no trade
    fill_dividend: Floats  # (r, n) going ex on the fill session
    marks: Floats  # (r, k, n) closes in ticks of 0.0001 USD, the last known one where there is no bar, zero before
    dividends: Floats  # (r, k, n) going ex on day k of the window, k >= 1
    pays: Flags  # (r, k) some stock of the list goes ex on day k, k >= 1
    exit: Floats  # (r, n) price at which a stock that left the list is sold after the window
    exit_dividend: Floats  # (r, n) going ex on that session
    exit_volume: Floats  # (r, n) average daily shares up to the decision before it
    exit_volatility: Floats  # (r, n) and the deviation of daily returns
    next_slot: Ints  # (r, n) slot of the same stock in the next row, -1 = it left
    days: Ints  # (r)
    control: Floats  # (r) reward that equal weights without costs earn in the window, whatever the policy does


@dataclass(frozen=True)
class Segment:
    """Consecutive rows [first, last] of one strategy on a tape; a step leads from each row but the last to the next."""

    strategy: str
    first: int
    last: int


@dataclass(frozen=True)
class Recording:
    """A tape with its segments: all that an environment needs."""

    tape: Tape
    segments: tuple[Segment, ...]

    def save(self, path: Path) -> None:
        """Write to a plain NumPy archive, without pickles."""
        rows = [(s.first, s.last) for s in self.segments]
        names = [s.strategy for s in self.segments]
        np.savez(path, segment_rows=np.array(rows), segment_names=np.array(names), **self.tape._asdict())

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            tape = Tape(**{name: stored[name] for name in Tape._fields})
            spans = zip(stored["segment_names"].tolist(), stored["segment_rows"].tolist(), strict=True)
        return cls(tape, tuple(Segment(name, first, last) for name, (first, last) in spans))


def tradable(market: Market, decisions: Decisions) -> Flags:
    """(r, n): the slot holds a stock that had a bar on the day of the decision."""
    slots = np.where(decisions.slots >= 0, decisions.slots, 0)
    return (decisions.slots >= 0) & np.isfinite(market.close[decisions.session_index[:, None], slots])


def record(market: Market, decisions: Sequence[Decisions], scales: Scales) -> Recording:
    """Lay decisions and the market out as one tape, observations encoded with `scales`.

    Segments break where two decisions lie more than `WINDOW_SESSIONS_MAX` sessions apart. Segments of one row carry
    no step and are kept out of the list.
    """
    width = max(int(_window_days(d).max(initial=1)) for d in decisions)
    parts = [_strategy_tape(market, d, scales, width) for d in decisions]
    tape = Tape(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return Recording(tape=tape, segments=tuple(_segments(decisions, tape.days)))


def _segments(decisions: Sequence[Decisions], days: Ints) -> list[Segment]:
    segments, start = [], 0
    for d in decisions:
        stop = start + len(d.session_index)
        first = start
        for row in range(start, stop):
            if days[row] == 0:
                if row > first:
                    segments.append(Segment(d.strategy, first, row))
                first = row + 1
        start = stop
    return segments


def _window_days(d: Decisions) -> Ints:
    days = np.append(np.diff(d.session_index), 0)
    days[days > WINDOW_SESSIONS_MAX] = 0
    return days


def _strategy_tape(market: Market, d: Decisions, scales: Scales, width: int) -> Tape:
    """`width` is the number of days of the longest window on the tape."""
    days = _window_days(d)
    mask = tradable(market, d)
    slots = np.where(d.slots >= 0, d.slots, 0)
    at = d.session_index[:, None]
    # In the last rows there is no next session: they are never traded, so any row of the market will do.
    last = len(market.sessions) - 1
    fill_at = np.minimum(at + 1, last)
    exit_at = np.minimum(at + days[:, None] + 1, last)
    day = np.arange(width)
    inside = day[None, :] < days[:, None]
    window = (at + 1 + np.minimum(day[None, :], np.maximum(days, 1)[:, None] - 1)).clip(max=last)[:, :, None]
    close = market.close[at, slots]
    exit_open = market.open[exit_at, slots]
    fill = np.where(mask, market.open[fill_at, slots], np.nan)
    marks = market.last_close[window, slots[:, None, :]]
    dividends = np.where(inside[:, :, None], market.dividend[window, slots[:, None, :]], 0.0)
    dividends[:, 0] = 0.0
    return Tape(
        static=scales.encode(d.stocks, mask, d.context),
        mask=mask,
        volume=np.nan_to_num(market.average_volume[at, slots]),
        volatility=market.volatility[at, slots],
        close=np.where(mask, close, np.nan),
        fill=fill,
        fill_dividend=market.dividend[fill_at, slots],
        marks=np.rint(np.nan_to_num(marks) * TICKS_A_DOLLAR),
        dividends=dividends,
        pays=np.any(dividends > 0, axis=2),
        exit=np.where(np.isfinite(exit_open), exit_open, market.last_close[exit_at, slots]),
        exit_dividend=market.dividend[exit_at, slots],
        exit_volume=np.nan_to_num(market.average_volume[at + days[:, None], slots]),
        exit_volatility=market.volatility[at + days[:, None], slots],
        next_slot=_next_slots(d.slots, mask, days),
        days=days,
        control=_control(fill, marks, days),
    )


def _control(fill: Floats, marks: Floats, days: Ints) -> Floats:
    growth = marks / fill[:, None, :]
    levels = np.where(np.isfinite(growth), growth, 1.0).mean(axis=2)
    gains = levels / np.hstack([np.ones((len(levels), 1)), levels[:, :-1]]) - 1.0
    rewards: Floats = reward_path(gains, days)
    return rewards


def _next_slots(slots: Ints, mask: Flags, days: Ints) -> Ints:
    following = np.full_like(slots, -1)
    for row in np.flatnonzero(days):
        places = {int(s): k for k, s in enumerate(slots[row + 1]) if s >= 0 and mask[row + 1, k]}
        following[row] = [places.get(int(s), -1) for s in slots[row]]
    return following


def _carry_forward(close: Floats) -> Floats:
    known = np.where(np.isfinite(close), np.arange(len(close))[:, None], 0)
    np.maximum.accumulate(known, axis=0, out=known)
    result: Floats = close[known, np.arange(close.shape[1])[None, :]]
    return result


def _average_volume(volume: Floats) -> Floats:
    """Mean shares a day over the sessions with a bar among the last `VOLUME_SESSIONS`, the day itself included."""
    total = np.cumsum(np.nan_to_num(volume), axis=0)
    count = np.cumsum(np.isfinite(volume), axis=0)
    for sums in (total, count):
        sums[VOLUME_SESSIONS:] = sums[VOLUME_SESSIONS:] - sums[:-VOLUME_SESSIONS]
    average: Floats = total / np.maximum(count, 1)
    return average


def _volatility(adj_close: Floats) -> Floats:
    """Sample deviation of the daily returns among the last `VOLUME_SESSIONS`; NaN with fewer than two of them."""
    returns = np.full_like(adj_close, np.nan)
    returns[1:] = adj_close[1:] / adj_close[:-1] - 1.0
    known = np.isfinite(returns)
    sums = [
        np.cumsum(values, axis=0) for values in (known, np.where(known, returns, 0.0), np.where(known, returns**2, 0.0))
    ]
    for running in sums:
        running[VOLUME_SESSIONS:] = running[VOLUME_SESSIONS:] - running[:-VOLUME_SESSIONS]
    count, total, squares = sums
    spread = (squares - total**2 / np.maximum(count, 1)) / np.maximum(count - 1, 1)
    return np.where(count > 1, np.sqrt(np.maximum(spread, 0.0)), np.nan)
