"""What the screeners are taught: does the stock beat the universe's median total return over the next 21 sessions?

A label formed on the evening of session t spans the sessions [t, t + 21] of the market's calendar, the same span that
`quant.splits` purges. Where the stock has no price at either end, the label is unknown, never false.
"""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import DataMissing

HORIZON_SESSIONS = 21

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PricePanel:
    """Total-return prices: `prices[s, i]` is `adj_close` of `instrument_ids[i]` on `sessions[s]`, NaN without a bar."""

    sessions: tuple[date, ...]
    instrument_ids: npt.NDArray[np.int32]
    prices: Floats


def price_panel(bars: pl.DataFrame) -> PricePanel:
    """Lay bars (instrument_id, session_on, adj_close) out as sessions by instruments. DataMissing without bars."""
    if bars.is_empty():
        raise DataMissing("there are no daily bars to form labels from; load some with: acis data load-sample")
    sessions, session_of = np.unique(bars["session_on"].to_numpy(), return_inverse=True)
    ids, instrument_of = np.unique(bars["instrument_id"].to_numpy(), return_inverse=True)
    prices = np.full((len(sessions), len(ids)), np.nan)
    prices[session_of, instrument_of] = bars["adj_close"].to_numpy()
    return PricePanel(tuple(sessions.astype("datetime64[D]").tolist()), ids.astype(np.int32), prices)


def forward_returns(panel: PricePanel, *, horizon: int = HORIZON_SESSIONS) -> Floats:
    """Total return from each session's close to the close `horizon` sessions on; same shape as the prices.

    NaN where either price is missing, so for the last `horizon` sessions throughout.
    """
    forward = np.full_like(panel.prices, np.nan)
    if len(panel.sessions) > horizon:
        forward[:-horizon] = panel.prices[horizon:] / panel.prices[:-horizon] - 1.0
    return forward


def beats_median(forward: Floats, session_of_row: Ints) -> npt.NDArray[np.float32]:
    """1 where a row's forward return is above the median of its session's rows, 0 where it is not, NaN if unknown.

    `forward` and `session_of_row` are parallel, one entry a universe member and session, grouped by session.
    The median is over the rows whose return is known; a tie with it does not beat it.
    """
    labels = np.full(len(forward), np.nan, dtype=np.float32)
    starts = np.unique(session_of_row, return_index=True)[1].tolist()
    for start, stop in pairwise([*starts, len(forward)]):
        part = forward[start:stop]
        known = ~np.isnan(part)
        if known.any():
            labels[start:stop][known] = part[known] > np.median(part[known])
    return labels
