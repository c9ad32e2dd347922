"""The rule on shadow results, on series whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.succession import DRAWDOWN_MAX, SESSIONS_MIN, keep_in_office, let_in

LEVEL = np.full(SESSIONS_MIN, 0.001)


class TestLetIn:
    def test_needs_the_sessions(self) -> None:
        word = let_in(LEVEL[1:] + 0.01, LEVEL[1:])
        assert (word.action, word.reason) == ("wait", "62 of 63 shadow sessions")

    @pytest.mark.parametrize(("lead", "action"), [(0.0002, "promote"), (0.0, "wait"), (-0.0002, "wait")])
    def test_needs_a_positive_mean(self, lead: float, action: str) -> None:
        word = let_in(LEVEL + lead, LEVEL)
        assert word.action == action
        assert word.reason.startswith(f"{lead * 1e4:+.2f} bp a session")


class TestKeepInOffice:
    def test_nothing_yet(self) -> None:
        assert keep_in_office(np.empty(0), np.empty(0)).action == "keep"

    def test_a_fall_from_the_best_standing_ends_it(self) -> None:
        # +4 % against plain, then three sessions of -2 % each: 0.98^3 is 5.88 % below the best, though -2.1 % in all.
        returns = np.array([0.04, -0.02, -0.02, -0.02])
        word = keep_in_office(returns, np.zeros(4))
        assert word.action == "roll_back"
        assert (
            word.reason
            == "-2.12% against the plain lane over 4 sessions, 5.88% below its best standing (at most 5% may be)"
        )

    def test_a_fall_that_was_made_good_does_not(self) -> None:
        assert keep_in_office(np.array([0.04, -0.06, 0.06]), np.zeros(3)).action == "keep"

    def test_falling_with_the_plain_lane_is_no_fall(self) -> None:
        crash = np.full(20, -0.03)
        assert keep_in_office(crash, crash).action == "keep"

    def test_steadily_behind_after_enough_sessions(self) -> None:
        # Half a basis point a session with a little noise: 63 sessions lose 0.3 %, far from the drawdown.
        noise = np.random.default_rng(1).normal(0.0, 5e-5, SESSIONS_MIN)
        behind = LEVEL - 5e-5 + noise
        assert keep_in_office(behind, LEVEL).action == "roll_back"
        assert "90% interval" in keep_in_office(behind, LEVEL).reason
        assert keep_in_office(behind[1:], LEVEL[1:]).action == "keep"

    @given(st.integers(0, 2**32 - 1))
    def test_two_lanes_of_the_same_worth_stay_together(self, seed: int) -> None:
        returns = np.random.default_rng(seed).normal(0.0, 0.02, 100)
        assert keep_in_office(returns, returns).action == "keep"

    @given(st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=40))
    def test_rolls_back_just_where_the_fall_is_that_deep(self, steps: list[float]) -> None:
        standing, best = 1.0, 1.0
        for step in steps:
            standing *= 1.0 + step
            best = max(best, standing)
        word = keep_in_office(np.array(steps), np.zeros(len(steps)))
        if abs(1.0 - standing / best - DRAWDOWN_MAX) > 1e-9:
            assert (word.action == "roll_back") == (1.0 - standing / best > DRAWDOWN_MAX)
