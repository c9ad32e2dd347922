"""The differential Sharpe ratio: what one more return does to the Sharpe ratio so far."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

ADAPTATION = 1.0 / 252.0
DAILY_VARIANCE_START = 1e-4


@njit(cache=True)
def differential_sharpe(gain: float, mean: float, square: float, adaptation: float) -> tuple[float, float, float]:
    """Reward of one daily return `gain` (fraction, net of costs); returns (reward, new mean, new square).

    J. Moody and M. Saffell (2001), "Learning to Trade via Direct Reinforcement", IEEE Transactions on Neural
    Networks 12(4), equations 11-14: with A and B the exponential moving averages (rate eta = `adaptation`) of the
    return R and of its square,

        D_t = (B_{t-1} dA_t - A_{t-1} dB_t / 2) / (B_{t-1} - A_{t-1}^2)^{3/2}

    with dA_t = R_t - A_{t-1}, dB_t = R_t^2 - B_{t-1}, A_t = A_{t-1} + eta dA_t and B_t = B_{t-1} + eta dB_t. D_t is
    the derivative of the moving Sharpe ratio with respect to eta, so rewards add up over the days of a step.
    """
    delta_mean = gain - mean
    delta_square = gain * gain - square
    variance = max(square - mean * mean, 1e-10)
    reward = (square * delta_mean - 0.5 * mean * delta_square) / (variance * math.sqrt(variance))
    return reward, mean + adaptation * delta_mean, square + adaptation * delta_square


@njit(cache=True)
def reward_path(gains: npt.NDArray[np.float64], days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Rewards (r) of windows in sequence; row r has daily returns gains[r, :days[r]]. Zero days start anew."""
    mean, square = 0.0, DAILY_VARIANCE_START
    rewards = np.zeros(len(days))
    for row in range(len(days)):
        for day in range(days[row]):
            reward, mean, square = differential_sharpe(gains[row, day], mean, square, ADAPTATION)
            rewards[row] += reward
        if days[row] == 0:
            mean, square = 0.0, DAILY_VARIANCE_START
    return rewards
