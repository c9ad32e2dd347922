"""Books of lanes carried through one session at a time on the one simulator: the arithmetic of the shadow ledger.

The steps of a session and their order are those of `quant.backtest`, so a lane that is followed night by night ends on
the same cent as its decisions in a back-test. What is not there yet: a stock that no longer trades stays in the book at
its last close, as it does in the back-test.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.costs import STANDARD_COSTS
from quant.simulator import CENTS_A_DOLLAR, TICKS_A_DOLLAR, cost_terms, market_value, settle, target_orders

# As the allocator is judged: a cash floor, and no trade that is not worth its commission.
CASH_WEIGHT_MIN = 0.02
TRADE_CENTS_MIN = 500 * CENTS_A_DOLLAR
_SPLIT_TOLERANCE = 0.02

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class Books:
    """n lanes' books over the same k stocks; `marks` (k) are their last known closes, NaN before the first."""

    cash_cents: Ints  # (n)
    shares: Ints  # (n, k)
    marks: Floats  # (k)
    value_cents: Ints  # (n)


@dataclass(frozen=True)
class Session:
    """What a session brought for k stocks, USD a share; NaN = no trade, dividends 0 = none. `volume` is the average
    daily volume as known the evening before."""

    open: Floats
    close: Floats
    dividend: Floats
    volume: Floats


@dataclass(frozen=True)
class Decided:
    """What was decided on the evening before: `weights` (n, k), for the lanes that are `due` (n), at `close` (k)."""

    weights: Floats
    due: npt.NDArray[np.bool_]
    close: Floats


def carry(books: Books, session: Session, decided: Decided) -> tuple[Ints, Ints]:
    """Bring the books to the session's close, in place; returns what each lane traded and what that cost, in cents.

    Dividends go to the holders of the evening before; orders are sized at that evening's value and close and filled at
    the open; the rest is marked at the close.
    """
    lanes = len(books.cash_cents)
    paid = np.rint(books.shares * session.dividend * CENTS_A_DOLLAR)
    books.cash_cents += paid.sum(axis=1).astype(np.int64)
    opens, closes, volumes = (_for_each(row, lanes) for row in (session.open, decided.close, session.volume))
    orders, executed, ticks, commission = (np.zeros_like(books.shares) for _ in range(4))
    target_orders(books.value_cents, books.shares, decided.weights, closes, TRADE_CENTS_MIN, orders)
    orders[~decided.due] = 0
    floor = (CASH_WEIGHT_MIN * books.value_cents).astype(np.int64)
    costs = cost_terms(STANDARD_COSTS)
    settle(books.cash_cents, books.shares, orders, opens, volumes, floor, costs, executed, ticks, commission)
    priced, quantity = np.nan_to_num(opens), np.abs(executed)
    traded = np.rint(quantity * priced * CENTS_A_DOLLAR)
    slip = np.rint(quantity * np.abs(ticks / TICKS_A_DOLLAR - priced) * CENTS_A_DOLLAR)
    books.marks = np.where(session.close > 0.0, session.close, books.marks)
    market_value(books.cash_cents, books.shares, _for_each(books.marks, lanes), books.value_cents)
    return traded.sum(axis=1).astype(np.int64), (slip.sum(axis=1) + commission.sum(axis=1)).astype(np.int64)


def restate(books: Books, closes: Floats, ratios: Mapping[int, float]) -> None:
    """Bring shares onto today's split basis, in place.

    Bars are split-adjusted, so a split shows as a close of the evening before that is another now: `closes` (k)
    against the marks. `ratios`: column -> new for old, of splits about that time. Fractions of a share are paid out.
    """
    for column, ratio in ratios.items():
        now = closes[column]
        if not abs(books.marks[column] / (now * ratio) - 1.0) <= _SPLIT_TOLERANCE:
            continue
        exact = books.shares[:, column] * ratio
        whole = np.floor(exact + 1e-9).astype(np.int64)
        books.cash_cents += np.rint((exact - whole) * now * CENTS_A_DOLLAR).astype(np.int64)
        books.shares[:, column] = whole
        books.marks[column] = now


def _for_each(row: Floats, lanes: int) -> Floats:
    return np.ascontiguousarray(np.broadcast_to(row, (lanes, len(row))))
