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
from quant.simulator import CENTS_A_DOLLAR, TICKS_A_DOLLAR, cost_terms, market_value, settle, target_orders
from rl_trading.reward import ADAPTATION, DAILY_VARIANCE_START, differential_sharpe
from rl_trading.weights import STANDARD_LIMITS, Limits, weigh_actions
from rl_trading.windows import WINDOW_SESSIONS_MAX, Recording, Tape

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


@njit(cache=True)
def _tally(executed: Ints, ticks: Ints, prices: Floats, commission: Ints) -> tuple[int, int]:
    """Cents traded at the open, and cents lost to spread, impact and commission."""
    traded, lost = 0, 0
    for k in range(executed.shape[1]):
        if executed[0, k] != 0:
            quantity, paid = abs(executed[0, k]), ticks[0, k] / TICKS_A_DOLLAR
            traded += int(np.rint(quantity * prices[0, k] * _CENTS))
            lost += int(np.rint(quantity * abs(paid - prices[0, k]) * _CENTS)) + commission[0, k]
    return traded, lost


@njit(cache=True)
def _dividend_cents(shares: Ints, amounts: Floats) -> int:
    total = 0
    for k in range(len(shares)):
        if shares[k] != 0 and amounts[k] > 0.0:
            total += int(np.rint(shares[k] * amounts[k] * _CENTS))
    return total


@njit(cache=True)
def _trade(
    tape: Tape, state: State, out: Outcome, e: int, weights: Floats, floor: float, least: int,
    costs: tuple[float, float, float, float], orders: Ints, executed: Ints, ticks: Ints, commission: Ints,
) -> None:  # fmt: skip
    """Credit what goes ex on the fill session, then sell the leavers and bring the list to its weights."""
    row, one = state.row[e], slice(e, e + 1)
    here = slice(row, row + 1)
    limit = np.array([int(floor * state.value[e])])
    received = _dividend_cents(state.shares[e], tape.fill_dividend[row])
    out.traded[e], out.costs[e] = 0, 0
    if state.leavers_row[e] >= 0:
        left = slice(state.leavers_row[e], state.leavers_row[e] + 1)
        received += _dividend_cents(state.leavers[e], tape.exit_dividend[state.leavers_row[e]])
        orders[0] = -state.leavers[e]
        settle(
            state.cash[one], state.leavers[one], orders, tape.exit[left], tape.exit_volume[left], limit, costs,
            executed, ticks, commission,
        )  # fmt: skip
        out.traded[e], out.costs[e] = _tally(executed, ticks, tape.exit[left], commission)
    state.cash[e] += received
    out.dividends[e] = received
    target_orders(state.value[one], state.shares[one], weights, tape.close[here], least, orders)
    settle(
        state.cash[one], state.shares[one], orders, tape.fill[here], tape.volume[here], limit, costs,
        executed, ticks, commission,
    )  # fmt: skip
    traded, lost = _tally(executed, ticks, tape.fill[here], commission)
    out.traded[e] += traded
    out.costs[e] += lost


@njit(cache=True)
def _mark(tape: Tape, state: State, out: Outcome, e: int, adaptation: float) -> None:
    """Mark each close of the window, crediting dividends as they go ex; the rewards of the days add up."""
    row, one = state.row[e], slice(e, e + 1)
    before = state.value[e]
    out.reward[e] = 0.0
    for day in range(tape.days[row]):
        if day > 0:
            received = _dividend_cents(state.shares[e], tape.dividends[row, day])
            state.cash[e] += received
            out.dividends[e] += received
        market_value(state.cash[one], state.shares[one], tape.marks[row, day : day + 1], state.value[one])
        reward, state.mean[e], state.square[e] = differential_sharpe(
            state.value[e] / before - 1.0, state.mean[e], state.square[e], adaptation
        )
        out.reward[e] += reward
        out.values[e, day] = state.value[e]
        before = state.value[e]


@njit(cache=True)
def _turn(tape: Tape, state: State, e: int) -> None:
    """On to the next row: holdings move to their new slots, those that left the list wait to be sold."""
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


@njit(cache=True)
def advance(
    tape: Tape, state: State, out: Outcome, weights: Floats, floor: float, least: int, adaptation: float,
    costs: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """One step of every portfolio towards `weights` (e, n + 1; cash last). No row may be the last of its segment."""
    shape = (1, weights.shape[1] - 1)
    orders, executed, ticks, commission = (
        np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64),
    )  # fmt: skip
    for e in range(len(state.row)):
        wanted = weights[e : e + 1, :-1]
        _trade(tape, state, out, e, wanted, floor, least, costs, orders, executed, ticks, commission)
        _mark(tape, state, out, e, adaptation)
        _turn(tape, state, e)


@njit(cache=True)
def observe(tape: Tape, state: State, observations: Floats32) -> None:
    """Fill observations (e, d): the row's static part, then the weight in each slot, cash, and what is to be sold."""
    static = tape.static.shape[1]
    count = state.shares.shape[1]
    for e in range(len(state.row)):
        row = state.row[e]
        observations[e, :static] = tape.static[row]
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
        self.stocks: int = recording.tape.mask.shape[1]
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
        observe(self.recording.tape, self.state, self.observations)
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
            self.recording.tape,
            self.state,
            self.outcome,
            weights,
            rules.limits.cash_weight_min,
            rules.trade_usd_min * CENTS_A_DOLLAR,
            ADAPTATION,
            self._costs,
        )
