"""All features of a panel as one matrix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.arrays import Days, Flags, Floats, Floats32, Integers
from features.feature import CrossSectionFeature, Feature, MarketFeature, StockFeature
from features.history import CrossSections
from features.kernel import kernel
from features.panel import Panel

_BLOCK_ROWS = 16_384
_STOCKS_AT_ONCE = 16
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Matrix:
    """One row a feature, one column a stock and session, sessions in order and stocks in order within each.

    A value is finite or NaN. `day` is the column's session in days since 1970-01-01.
    """

    names: tuple[str, ...]
    values: Values
    day: Days
    instrument_id: Integers
    sector: Integers
    member: Flags
    close: Floats


def compute_matrix(panel: Panel, features: Mapping[str, Feature], *, first_day: int | None = None) -> Matrix:
    """Every feature for every row of the panel from `first_day` (days since 1970-01-01) on.

    Earlier rows serve as look-back only. `features` names each cross-sectional feature after its inputs. A value
    depends on rows up to its own session alone, so a longer panel gives the same values bit by bit.
    """
    first_session = 0 if first_day is None else int(np.searchsorted(panel.days, first_day))
    kept = np.flatnonzero(panel.session >= first_session)
    rows = kept[np.argsort(panel.session[kept], kind="stable")]
    day = panel.session[rows] - first_session
    values = np.empty((len(features), len(rows)), dtype=np.float32)
    stock_number = np.searchsorted(panel.bounds, rows, side="right") - 1
    sector, member = panel.sector[stock_number], panel.member[rows]
    with np.errstate(all="ignore"):
        _compute_stock_features(panel, features, values, first_session, rows)
        market = panel.market()
        for place, feature in enumerate(features.values()):
            if isinstance(feature, MarketFeature):
                values[place] = _finite(feature.compute(market).astype(np.float32))[panel.session[rows]]
        for block in _whole_days(day):
            finished = {name: values[place, block] for place, name in enumerate(features)}
            sections = CrossSections(day[block] - day[block.start], sector[block], member[block], finished)
            for place, feature in enumerate(features.values()):
                if isinstance(feature, CrossSectionFeature):
                    values[place, block] = _finite(feature.compute(sections).astype(np.float32, copy=False))
    return Matrix(
        names=tuple(features),
        values=values,
        day=panel.days[panel.session[rows]],
        instrument_id=panel.instrument_id[rows],
        sector=sector,
        member=member,
        close=panel.columns["close"][rows],
    )


def _compute_stock_features(
    panel: Panel, features: Mapping[str, Feature], values: Values, first_session: int, rows: Integers
) -> None:
    """Fill in the stock features, stock after stock; column i of `values` belongs to row rows[i] of the panel.

    A few stocks at a time are computed side by side and then laid out together, as neighbours of the same day lie
    beside each other in `values`.
    """
    wanted = [(place, f.compute) for place, f in enumerate(features.values()) if isinstance(f, StockFeature)]
    places = np.array([place for place, _ in wanted], dtype=np.int64)
    column_of = np.empty(len(panel.session), dtype=np.int64)
    column_of[rows] = np.arange(len(rows))
    stocks = panel.stocks()
    for first in range(0, len(panel.bounds) - 1, _STOCKS_AT_ONCE):
        bounds = panel.bounds[first : first + _STOCKS_AT_ONCE + 1]
        block = np.empty((len(wanted), bounds[-1] - bounds[0]), dtype=np.float32)
        for start, stop, stock in zip(bounds[:-1], bounds[1:], stocks, strict=False):
            for line, (_, compute) in enumerate(wanted):
                block[line, start - bounds[0] : stop - bounds[0]] = compute(stock)
        kept = np.flatnonzero(panel.session[bounds[0] : bounds[-1]] >= first_session)
        columns = column_of[kept + bounds[0]]
        order = np.argsort(columns)
        _lay_out(block, kept[order], columns[order], values, places)


@kernel
def _lay_out(block: Values, sources: Integers, targets: Integers, values: Values, places: Integers) -> None:
    """values[place of the line, target] = block[line, source]; what is not finite is unknown."""
    for line in range(len(places)):
        place = places[line]
        for i in range(len(sources)):
            value = block[line, sources[i]]
            values[place, targets[i]] = value if np.isfinite(value) else np.float32(np.nan)


def _whole_days(day: Integers) -> Iterator[slice]:
    """Blocks of rows that hold whole days and about fit into a core's own cache."""
    start = 0
    while start < len(day):
        stop = int(np.searchsorted(day, day[min(start + _BLOCK_ROWS, len(day)) - 1], side="right"))
        yield slice(start, stop)
        start = stop


def _finite(values: Floats32) -> Floats32:
    """What is not finite is unknown."""
    np.copyto(values, np.nan, where=~np.isfinite(values))
    return values
