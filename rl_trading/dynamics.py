"""Many portfolios stepped at once in arrays: trade at the open, mark each close, reward, observe.

One compiled kernel on the shared simulator (`quant.simulator`); the vector environment, the single environment and
the evaluation of the simple allocators are thin covers of it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from quant.costs import STANDARD_COSTS, CostModel
from quant.simulator import CENTS_A_DOLLAR, TICKS_A_DOLLAR, cost_terms, settle, target_orders, worth_cents
from rl_trading.reward import ADAPTATION, DAILY_VARIANCE_START, differential_sharpe
from rl_trading.weights import STANDARD_LIMITS, Limits, weigh_actions
from rl_trading.windows import WINDOW_SESSIONS_MAX, Recording, Tape

# numba compiles the simulator's kernels into this file's own and rebuilds them only when this file changes. So it names
# the simulator that it was built with; a test holds the two together.
SIMULATOR_SHA256 = "52915d9ca8603822"
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_CENTS = float(CENTS_A_DOLLAR)


class State(NamedTuple):
    """Where e portfolios stand; amounts in cents. `leavers` are holdings of the previous row's list that left it."""

    row: Ints
    cash: Ints
    value: Ints
    shares: Ints  # (e, n) aligned with the list of `row`
    leavers: Ints  # (e, n) aligned with the list of `leavers_row`
    leavers_row: Ints
    mean: Floats
    square: Floats


class Outcome(NamedTuple):
    """What the last step brought: reward, value at each close, what was traded and what that cost, in cents."""

    reward: Floats
    values: Ints  # (e, k), the first `days` of the row
    traded: Ints
    costs: Ints
    dividends: Ints


class Desk(NamedTuple):
    """Room to work in, reused by every step; all (e, n) but `floor` (e)."""

    orders: Ints
    executed: Ints
    ticks: Ints
    commission: Ints
    prices: Floats
    volumes: Floats
    floor: Ints


@njit(cache=True, error_model="numpy")
def _tally(executed: Ints, ticks: Ints, prices: Floats, commission: Ints, traded: Ints, costs: Ints) -> None:
    """Add cents traded at the open, and cents lost to spread, impact and commission, of each portfolio."""
    for e in range(len(executed)):
        bought, lost = 0, 0
        # Without branches, so that the compiler takes several stocks at once.
        for k in range(executed.shape[1]):
            quantity = np.float64(abs(executed[e, k]))
            price = prices[e, k] if executed[e, k] != 0 else 0.0
            bought += int(np.rint(quantity * price * _CENTS))
            lost += int(np.rint(quantity * abs(ticks[e, k] / TICKS_A_DOLLAR - price) * _CENTS)) + commission[e, k]
        traded[e] += bought
        costs[e] += lost


@njit(cache=True, error_model="numpy")
def _pay_dividends(shares: Ints, amounts: Floats, rows: Ints, state: State, out: Outcome) -> None:
    """Credit `amounts` (r, n) a share, of the row that each portfolio stands in."""
    for e in range(len(shares)):
        paid = 0
        for k in range(shares.shape[1]):
            paid += int(np.rint(shares[e, k] * amounts[rows[e], k] * _CENTS))
        state.cash[e] += paid
        out.dividends[e] += paid


@njit(cache=True, error_model="numpy")
def _take(values: Floats, rows: Ints, taken: Floats) -> None:
    # Loops over scalars: slice assignments cost numba several times as much.
    for e in range(len(rows)):
        for k in range(taken.shape[1]):
            taken[e, k] = values[rows[e], k]


@njit(cache=True, error_model="numpy")
def _sell_leavers(tape: Tape, state: State, out: Outcome, desk: Desk, costs: tuple[float, float, float, float]) -> None:
    """Sell what left the list; a portfolio that has just started has nothing to sell, whatever its row."""
    rows = np.maximum(state.leavers_row, 0)
    _pay_dividends(state.leavers, tape.exit_dividend, rows, state, out)
    _take(tape.exit, rows, desk.prices)
    _take(tape.exit_volume, rows, desk.volumes)
    for e in range(len(rows)):
        desk.floor[e] = 0
        for k in range(state.leavers.shape[1]):
            desk.orders[e, k] = -state.leavers[e, k]
    settle(
        state.cash, state.leavers, desk.orders, desk.prices, desk.volumes, desk.floor, costs,
        desk.executed, desk.ticks, desk.commission,
    )  # fmt: skip
    _tally(desk.executed, desk.ticks, desk.prices, desk.commission, out.traded, out.costs)


@njit(cache=True, error_model="numpy")
def _rebalance(
    tape: Tape, state: State, out: Outcome, desk: Desk, weights: Floats, floor: float, least: int,
    costs: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """Bring the list to its weights: orders sized at the decision's close, filled at the next open."""
    _take(tape.close, state.row, desk.prices)
    target_orders(state.value, state.shares, weights, desk.prices, least, desk.orders)
    _take(tape.fill, state.row, desk.prices)
    _take(tape.volume, state.row, desk.volumes)
    for e in range(len(state.row)):
        desk.floor[e] = int(floor * state.value[e])
    settle(
        state.cash, state.shares, desk.orders, desk.prices, desk.volumes, desk.floor, costs,
        desk.executed, desk.ticks, desk.commission,
    )  # fmt: skip
    _tally(desk.executed, desk.ticks, desk.prices, desk.commission, out.traded, out.costs)


@njit(cache=True, error_model="numpy")
def _mark(tape: Tape, state: State, out: Outcome, adaptation: float) -> None:
    """Mark each close of the window, crediting dividends as they go ex; the rewards of the days add up."""
    for e in range(len(state.row)):
        row, total = state.row[e], 0.0
        before = state.value[e]
        for day in range(tape.days[row]):
            if tape.pays[row, day]:
                for k in range(state.shares.shape[1]):
                    paid = int(np.rint(state.shares[e, k] * tape.dividends[row, day, k] * _CENTS))
                    state.cash[e] += paid
                    out.dividends[e] += paid
            value = state.cash[e] + worth_cents(state.shares[e], tape.marks[row, day])
            reward, state.mean[e], state.square[e] = differential_sharpe(
                value / before - 1.0, state.mean[e], state.square[e], adaptation
            )
            total += reward
            out.values[e, day] = value
            before = value
        state.value[e] = before
        out.reward[e] = total


@njit(cache=True, error_model="numpy")
def _turn(tape: Tape, state: State) -> None:
    """On to the next row: holdings move to their new slots, those that left the list wait to be sold."""
    for e in range(len(state.row)):
        row = state.row[e]
        held = state.shares[e].copy()
        state.shares[e] = 0
        for k in range(len(held)):
            slot = tape.next_slot[row, k]
            if slot >= 0:
                state.shares[e, slot] = held[k]
                state.leavers[e, k] = 0
            else:
                state.leavers[e, k] = held[k]
        state.leavers_row[e] = row
        state.row[e] = row + 1


@njit(cache=True, error_model="numpy")
def advance(
    tape: Tape, state: State, out: Outcome, desk: Desk, weights: Floats, floor: float, least: int,
    adaptation: float, costs: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """One step of every portfolio towards `weights` (e, n). No row may be the last of its segment."""
    out.traded[:], out.costs[:], out.dividends[:] = 0, 0, 0
    _pay_dividends(state.shares, tape.fill_dividend, state.row, state, out)
    _sell_leavers(tape, state, out, desk, costs)
    _rebalance(tape, state, out, desk, weights, floor, least, costs)
    _mark(tape, state, out, adaptation)
    _turn(tape, state)


@njit(cache=True, error_model="numpy")
def observe(tape: Tape, state: State, observations: Floats32) -> None:
    """Fill observations (e, d): the row's static part, then the weight in each slot, cash, and what is to be sold."""
    static = tape.static.shape[1]
    count = state.shares.shape[1]
    for e in range(len(state.row)):
        row = state.row[e]
        for k in range(static):
            observations[e, k] = tape.static[row, k]
        listed = 0.0
        for k in range(count):
            weight = 0.0
            if state.shares[e, k] != 0:
                weight = state.shares[e, k] * tape.close[row, k] * _CENTS / state.value[e]
            observations[e, static + k] = weight
            listed += weight
        cash = state.cash[e] / state.value[e]
        observations[e, static + count] = cash
        observations[e, static + count + 1] = max(1.0 - cash - listed, 0.0)


@dataclass(frozen=True)
class Rules:
    """What trading costs and what it must keep: the same for training, evaluation and the simple allocators."""

    limits: Limits = STANDARD_LIMITS
    costs: CostModel = STANDARD_COSTS
    initial_cash_usd: int = 1_000_000
    trade_usd_min: int = 500


STANDARD_RULES = Rules()


class Portfolios:
    """`count` portfolios on one recording, stepped together. `outcome` and `state` are overwritten by each step."""

    def __init__(self, recording: Recording, count: int, rules: Rules = STANDARD_RULES) -> None:
        self.recording = recording
        self.rules = rules
        tape = recording.tape
        self.stocks: int = tape.mask.shape[1]
        self._tape = tape._replace(
            volume=rules.costs.depth(tape.volume, tape.volatility),
            exit_volume=rules.costs.depth(tape.exit_volume, tape.exit_volatility),
        )
        self.state = State(
            row=np.zeros(count, dtype=np.int64),
            cash=np.zeros(count, dtype=np.int64),
            value=np.zeros(count, dtype=np.int64),
            shares=np.zeros((count, self.stocks), dtype=np.int64),
            leavers=np.zeros((count, self.stocks), dtype=np.int64),
            leavers_row=np.zeros(count, dtype=np.int64),
            mean=np.zeros(count),
            square=np.zeros(count),
        )
        self.outcome = Outcome(
            reward=np.zeros(count),
            values=np.zeros((count, WINDOW_SESSIONS_MAX), dtype=np.int64),
            traded=np.zeros(count, dtype=np.int64),
            costs=np.zeros(count, dtype=np.int64),
            dividends=np.zeros(count, dtype=np.int64),
        )
        shape = (count, self.stocks)
        self._desk = Desk(
            orders=np.zeros(shape, dtype=np.int64),
            executed=np.zeros(shape, dtype=np.int64),
            ticks=np.zeros(shape, dtype=np.int64),
            commission=np.zeros(shape, dtype=np.int64),
            prices=np.zeros(shape),
            volumes=np.zeros(shape),
            floor=np.zeros(count, dtype=np.int64),
        )
        self.weights = np.zeros((count, self.stocks + 1))
        self.observations = np.zeros((count, self.observation_size), dtype=np.float32)
        self._costs = cost_terms(rules.costs)

    @property
    def observation_size(self) -> int:
        """Length of one portfolio's observation."""
        static: int = self.recording.tape.static.shape[1]
        return static + self.stocks + 2

    def start(self, which: Ints, rows: Ints) -> None:
        """Put portfolios `which` at `rows` with nothing but the initial cash."""
        state = self.state
        state.row[which] = rows
        state.cash[which] = self.rules.initial_cash_usd * CENTS_A_DOLLAR
        state.value[which] = state.cash[which]
        state.shares[which] = 0
        state.leavers[which] = 0
        state.leavers_row[which] = -1
        state.mean[which] = 0.0
        state.square[which] = DAILY_VARIANCE_START

    def observe(self) -> Floats32:
        """What each portfolio sees now; the array is reused by the next call."""
        observe(self._tape, self.state, self.observations)
        return self.observations

    def act(self, actions: Floats) -> None:
        """Step with policy actions (e, n + 1) in [-1, 1]."""
        limits, tape = self.rules.limits, self.recording.tape
        mask = tape.mask[self.state.row]
        weigh_actions(actions, mask, limits.position_weight_max, limits.cash_weight_min, self.weights)
        self.step(self.weights)

    def step(self, weights: Floats) -> None:
        """Step with target weights (e, n + 1; cash last)."""
        rules = self.rules
        advance(
            self._tape,
            self.state,
            self.outcome,
            self._desk,
            np.ascontiguousarray(weights[:, :-1]),
            rules.limits.cash_weight_min,
            rules.trade_usd_min * CENTS_A_DOLLAR,
            ADAPTATION,
            self._costs,
        )
