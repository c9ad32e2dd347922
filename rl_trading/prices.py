"""Past total-return prices of a night, read once for the years around it: a replay asks for them every night."""

import json
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.errors import DataMissing
from database.queries.bars import read_bars, vintages
from database.session import Session, database_url
from rl_trading.baselines import LOOK_BACK_SESSIONS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_YEARS_BACK = 2


class PastPrices:
    """Adjusted closes (sessions, instruments), oldest first, none later than the night they were asked for."""

    def __init__(self, sessions: npt.NDArray[np.datetime64], instrument_ids: Ints, closes: Floats) -> None:
        self._sessions, self._ids, self.closes = sessions, instrument_ids, closes

    def until(self, day: date) -> "PastPrices":
        """Only the sessions up to `day`, which must be one of them."""
        stop = int(np.searchsorted(self._sessions, np.datetime64(day), side="right"))
        if not stop or self._sessions[stop - 1] != np.datetime64(day):
            raise DataMissing(f"there are no bars of {day}; load them first: acis data import")
        return PastPrices(self._sessions[:stop], self._ids, self.closes[:stop])

    def slots(self, instrument_ids: list[int]) -> Ints:
        """Columns of these instruments, -1 where there is none."""
        wanted = np.array(instrument_ids, dtype=np.int64)
        at = np.searchsorted(self._ids, wanted).clip(max=len(self._ids) - 1)
        return np.where(self._ids[at] == wanted, at, -1)

    def sessions_since(self, day: date) -> int:
        """How many sessions have passed since `day`, the last one included."""
        return len(self._sessions) - int(np.searchsorted(self._sessions, np.datetime64(day), side="right"))

    def traded_last(self, instrument_ids: list[int]) -> npt.NDArray[np.bool_]:
        """Which of these had a bar on the last session."""
        slots = self.slots(instrument_ids)
        traded: npt.NDArray[np.bool_] = (slots >= 0) & np.isfinite(self.closes[-1, slots])
        return traded

    def growth(self, instrument_ids: list[int], since: date) -> Floats:
        """Last known price over the one of `since`; 1 where either is unknown."""
        slots = self.slots(instrument_ids)
        first = int(np.searchsorted(self._sessions, np.datetime64(since)))
        window = np.where(slots >= 0, self.closes[max(first, len(self.closes) - LOOK_BACK_SESSIONS) :, slots], np.nan)
        known = np.where(np.isfinite(window), np.arange(len(window))[:, None], 0).max(axis=0)
        ratio = window[known, np.arange(len(slots))] / window[0]
        return np.where(np.isfinite(ratio), ratio, 1.0)


def past_prices(session: Session, *, as_of: date) -> PastPrices:
    """Prices up to `as_of`. DataMissing when that day has no bars. Reads committed rows only."""
    versions = vintages(session, last_year=as_of.year).get("daily_bars", {})
    years = range(as_of.year - _YEARS_BACK, as_of.year + 1)
    return _panel(database_url(), as_of.year, json.dumps([versions.get(year) for year in years])).until(as_of)


@lru_cache(maxsize=2)
def _panel(database: str, year: int, versions: str) -> PastPrices:  # noqa: ARG001 all but the year are the key
    bars = read_bars(as_of=date(year, 12, 31), first_on=date(year - _YEARS_BACK, 1, 1), columns=("adj_close",))
    days, instruments = bars["session_on"].to_numpy().astype("datetime64[D]"), bars["instrument_id"].to_numpy()
    sessions, ids = np.unique(days), np.unique(instruments).astype(np.int64)
    closes = np.full((len(sessions), len(ids)), np.nan)
    closes[np.searchsorted(sessions, days), np.searchsorted(ids, instruments)] = bars["adj_close"].to_numpy()
    return PastPrices(sessions, ids, closes)
