"""The differential Sharpe ratio against its definition."""

import numpy as np
import pytest

from rl_trading.reward import ADAPTATION, DAILY_VARIANCE_START, differential_sharpe, reward_path


class TestDifferentialSharpe:
    def test_by_hand(self) -> None:
        # A = 0.001, B = 0.0001, R = 0.02: dA = 0.019, dB = 0.0003.
        # B dA - A dB / 2 = 1.9e-6 - 1.5e-7 = 1.75e-6; (B - A^2)^1.5 = (9.9e-5)^1.5 = 9.850375e-7.
        reward, mean, square = differential_sharpe(0.02, 0.001, 0.0001, 0.01)
        assert reward == pytest.approx(1.75e-6 / 9.850375e-7, rel=1e-6)
        assert mean == pytest.approx(0.001 + 0.01 * 0.019)
        assert square == pytest.approx(0.0001 + 0.01 * 0.0003)

    def test_is_the_derivative_of_the_moving_sharpe_ratio(self) -> None:
        mean, square, gain, rate = 0.0004, 0.00012, -0.013, 1e-7
        reward, new_mean, new_square = differential_sharpe(gain, mean, square, rate)
        before = mean / np.sqrt(square - mean**2)
        after = new_mean / np.sqrt(new_square - new_mean**2)
        assert (after - before) / rate == pytest.approx(reward, rel=1e-4)

    def test_path_adds_up_days_and_starts_anew_after_an_empty_row(self) -> None:
        gains = np.array([[0.01, -0.02], [0.005, 0.0], [0.0, 0.0], [0.01, -0.02]])
        rewards = reward_path(gains, np.array([2, 1, 0, 2]))
        first, mean, square = differential_sharpe(0.01, 0.0, DAILY_VARIANCE_START, ADAPTATION)
        second, mean, square = differential_sharpe(-0.02, mean, square, ADAPTATION)
        third, _, _ = differential_sharpe(0.005, mean, square, ADAPTATION)
        assert rewards == pytest.approx([first + second, third, 0.0, first + second])
