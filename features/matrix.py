"""All features of a panel as one matrix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.arrays import Days, Flags, Floats, Floats32, Integers
from features.feature import CrossSectionFeature, Feature, MarketFeature, StockFeature
from features.history import CrossSections
from features.panel import Panel

_BLOCK_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Matrix:
    """One row a feature, one column a stock and session, sessions in order and stocks in order within each.

    A value is finite or NaN. `day` is the column's session in days since 1970-01-01.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
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
    order = np.argsort(panel.session[kept], kind="stable")
    rows = kept[order]
    day = panel.session[rows] - first_session
    values = np.empty((len(features), len(rows)), dtype=np.float32)
    stock_number = np.searchsorted(panel.bounds, rows, side="right") - 1
    sector, member = panel.sector[stock_number], panel.member[rows]
    with np.errstate(all="ignore"):
        _compute_stock_features(panel, features, values, first_session)
        market = panel.market()
        for place, feature in enumerate(features.values()):
            if isinstance(feature, StockFeature):
                values[place] = _finite(values[place])[order]
            elif isinstance(feature, MarketFeature):
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
    panel: Panel, features: Mapping[str, Feature], values: npt.NDArray[np.float32], first_session: int
) -> None:
    """Fill the rows of the stock features, stock after stock; a stock's kept sessions are its last ones."""
    wanted = [(place, f.compute) for place, f in enumerate(features.values()) if isinstance(f, StockFeature)]
    column = 0
    for number, stock in enumerate(panel.stocks()):
        session = panel.session[panel.bounds[number] : panel.bounds[number + 1]]
        skipped = int(np.searchsorted(session, first_session))
        if skipped == len(session):
            continue
        following = column + len(session) - skipped
        for place, compute in wanted:
            values[place, column:following] = compute(stock)[skipped:]
        column = following


def _whole_days(day: Integers) -> Iterator[slice]:
    """Blocks of rows that hold whole days and about fit into a core's own cache."""
    start = 0
    while start < len(day):
        stop = int(np.searchsorted(day, day[min(start + _BLOCK_ROWS, len(day)) - 1], side="right"))
        yield slice(start, stop)
        start = stop


def _finite(values: Floats32) -> Floats32:
    """What is not finite is unknown."""
    values[~np.isfinite(values)] = np.nan
    return values
