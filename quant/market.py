"""What was traded, laid out as sessions by instruments, for the back-test."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from quant.backtest import Prices
from quant.costs import VOLUME_SESSIONS

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Market:
    """`prices` of `sessions` (rising) by `instrument_ids` (rising)."""

    sessions: Days
    instrument_ids: npt.NDArray[np.int32]
    prices: Prices

    def since(self, first_on: np.datetime64) -> "Market":
        """The sessions from `first_on` on; volumes keep what they know of those before."""
        start = int(np.searchsorted(self.sessions, first_on))
        kept = self.prices
        return Market(
            sessions=self.sessions[start:],
            instrument_ids=self.instrument_ids,
            prices=Prices(kept.open[start:], kept.close[start:], kept.volume[start:], kept.dividend[start:]),
        )


def lay_out_market(bars: pl.DataFrame, dividends: pl.DataFrame) -> Market:
    """From rows of instrument_id, session_on, open, close, volume and of instrument_id, ex_on, amount_usd.

    Every session and instrument that has a bar has its place; NaN where there is no price, 0 where no dividend.
    """
    days, row = np.unique(bars["session_on"].to_numpy().astype("datetime64[D]"), return_inverse=True)
    ids, column = np.unique(bars["instrument_id"].to_numpy(), return_inverse=True)

    def lay_out(name: str) -> Floats:
        values = np.full((len(days), len(ids)), np.nan)
        values[row, column] = bars[name].to_numpy()
        return values

    prices = Prices(
        open=lay_out("open"),
        close=lay_out("close"),
        volume=average_volume(lay_out("volume")),
        dividend=_lay_out_dividends(days, ids, dividends),
    )
    return Market(days, ids.astype(np.int32), prices)


def average_volume(volume: Floats) -> Floats:
    """Mean of the last VOLUME_SESSIONS sessions; a session without a bar counts as none traded."""
    total = np.cumsum(np.nan_to_num(volume), axis=0)
    total[VOLUME_SESSIONS:] = total[VOLUME_SESSIONS:] - total[:-VOLUME_SESSIONS]
    counted = np.minimum(np.arange(1, len(volume) + 1), VOLUME_SESSIONS)
    average: Floats = total / counted[:, None]
    return average


def _lay_out_dividends(days: Days, ids: npt.NDArray[np.int32], dividends: pl.DataFrame) -> Floats:
    amounts = np.zeros((len(days), len(ids)))
    if not len(days):
        return amounts
    row = np.searchsorted(days, dividends["ex_on"].to_numpy().astype("datetime64[D]"))
    column = np.searchsorted(ids, dividends["instrument_id"].to_numpy())
    known = (row < len(days)) & (column < len(ids))
    paid = dividends.filter(pl.Series(known))
    row, column = row[known], column[known]
    matches = (ids[column] == paid["instrument_id"].to_numpy()) & (
        days[row] == paid["ex_on"].to_numpy().astype("datetime64[D]")
    )
    np.add.at(amounts, (row[matches], column[matches]), paid["amount_usd"].to_numpy()[matches])
    return amounts
