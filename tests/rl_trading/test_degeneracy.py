"""Each alarm on a planted case, and none on a policy that is alive."""

import numpy as np
import numpy.typing as npt

from rl_trading import degeneracy
from rl_trading.degeneracy import Reading

Floats = npt.NDArray[np.float64]
DECISIONS, STOCKS = 52, 20


def _portfolios(stocks: Floats) -> Floats:
    """(d, n) preferences -> weights with 2 % cash."""
    weights = 0.98 * stocks / stocks.sum(axis=1, keepdims=True)
    return np.column_stack([weights, np.full(len(stocks), 0.02)])


def _alive(seed: int = 1) -> Floats:
    """Tilts that change from week to week."""
    return _portfolios(np.exp(0.5 * np.random.default_rng(seed).normal(size=(DECISIONS, STOCKS))))


EQUAL = _portfolios(np.ones((DECISIONS, STOCKS)))
CASH = np.tile([*[0.0] * STOCKS, 1.0], (DECISIONS, 1))


class TestConstantWeights:
    def test_slots_that_never_move_are_found_whatever_they_are(self) -> None:
        by_place = _portfolios(np.tile(np.arange(1.0, STOCKS + 1), (DECISIONS, 1)))
        assert degeneracy.constant_weights(by_place).degenerate
        assert degeneracy.constant_weights(EQUAL).degenerate
        assert not degeneracy.constant_weights(_alive()).degenerate


class TestCloneOfEqualWeight:
    def test_a_whisper_around_equal_weights_is_a_clone(self) -> None:
        whisper = _portfolios(1.0 + 0.02 * np.random.default_rng(2).normal(size=(DECISIONS, STOCKS)))
        found = degeneracy.clone_of_equal_weight(whisper, EQUAL)
        assert found.degenerate
        assert 0 < found.value < found.bar
        assert not degeneracy.clone_of_equal_weight(_alive(), EQUAL).degenerate

    def test_active_share_by_hand(self) -> None:
        first, second = np.array([[0.5, 0.3, 0.2]]), np.array([[0.3, 0.5, 0.2]])
        assert np.isclose(degeneracy.active_share(first, second), 0.2)


class TestCloneOfBuyAndHold:
    def test_whoever_wants_what_is_there_is_a_clone(self) -> None:
        held = np.vstack([CASH[:1], _alive()[:-1]])
        drifting = np.vstack([_alive()[:1], held[1:]])
        assert degeneracy.clone_of_buy_and_hold(drifting, held, np.zeros(DECISIONS)).degenerate
        assert not degeneracy.clone_of_buy_and_hold(_alive(3), held, np.zeros(DECISIONS)).degenerate

    def test_reinvesting_what_left_the_list_is_no_decision(self) -> None:
        kept = 0.7 * _alive()
        kept[:, -1] = 1.0 - kept[:, :-1].sum(axis=1)
        outside = kept[:, -1] - 0.02
        reinvested = kept.copy()
        reinvested[:, 0] += outside
        reinvested[:, -1] = 0.02
        assert degeneracy.clone_of_buy_and_hold(reinvested, kept, outside).degenerate


class TestCornerSolutions:
    def test_all_at_the_cap(self) -> None:
        at_cap = np.zeros((DECISIONS, STOCKS + 1))
        at_cap[:, :12] = 0.08
        at_cap[:, -1] = 0.04
        assert degeneracy.corner_solutions(at_cap, 0.08).degenerate
        assert not degeneracy.corner_solutions(EQUAL, 0.08).degenerate

    def test_all_in_one(self) -> None:
        one = np.zeros((DECISIONS, STOCKS + 1))
        one[:, 3], one[:, -1] = 0.98, 0.02
        assert degeneracy.corner_solutions(one, 1.0).degenerate
        assert not degeneracy.corner_solutions(_alive(), 1.0).degenerate


class TestTurnover:
    def test_three_times_what_the_lists_force_is_too_much(self) -> None:
        assert degeneracy.exploding_turnover(1.6, 0.4).degenerate
        assert not degeneracy.exploding_turnover(0.9, 0.4).degenerate
        # Where the lists hardly change, half a portfolio a week is allowed all the same.
        assert not degeneracy.exploding_turnover(0.45, 0.02).degenerate


class TestCash:
    def test_all_cash(self) -> None:
        assert degeneracy.all_cash(CASH).degenerate
        assert not degeneracy.all_cash(EQUAL).degenerate


class TestSeeds:
    def test_seeds_that_hold_other_stocks_disagree(self) -> None:
        opposite = np.full((4, DECISIONS, STOCKS), 1e-9)
        for seed in range(4):
            opposite[seed, :, 5 * seed : 5 * seed + 5] = 1.0
        apart = np.stack([_portfolios(part) for part in opposite])
        assert degeneracy.disagreeing_seeds(apart).degenerate
        assert not degeneracy.disagreeing_seeds(np.stack([_alive(s) for s in range(4)])).degenerate

    def test_sharpe_ratios_from_a_tenth_to_two_and_a_half(self) -> None:
        (found,) = degeneracy.spread_of_seeds([0.1, 0.3, 1.5, 2.7])
        assert found.degenerate
        assert not degeneracy.spread_of_seeds([0.8, 0.9, 1.0, 1.1])[0].degenerate
        assert degeneracy.spread_of_seeds([None, None, None]) == []


def test_a_reading_says_number_and_bar() -> None:
    assert Reading("all cash, mean weight", 0.95, 0.9, degenerate=True).sentence == (
        "all cash, mean weight: 0.950, bar 0.900"
    )
