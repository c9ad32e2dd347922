"""Minimum variance of 50 stocks under a position cap: our active set against cvxpy with Clarabel."""

from collections.abc import Iterator
from typing import Any

import cvxpy
import numpy as np

from benchmarks.claim import Claim, at_most, side_by_side
from quant.covariance import shrink_covariance
from quant.optimiser import FloatArray
from quant.optimisers import OPTIMISERS

NIGHTS = 20
SESSIONS, STOCKS, WEIGHT_MAX = 252, 50, 0.10
# To annual percent: the peer's tolerance is absolute, and daily variances are small.
_SCALE = 252e4
cp: Any = cvxpy  # its annotations are incomplete


def _returns(night: int) -> FloatArray:
    source = np.random.default_rng(night)
    common = source.standard_normal((SESSIONS, 3)) @ source.standard_normal((3, STOCKS))
    return 0.01 * (common + source.standard_normal((SESSIONS, STOCKS)) * (0.5 + source.random(STOCKS)))


class _Peer:
    """One problem, compiled once: each night only the root of its matrix changes."""

    def __init__(self) -> None:
        self.root = cp.Parameter((STOCKS, STOCKS))
        self.weights = cp.Variable(STOCKS)
        limits = [cp.sum(self.weights) == 1, self.weights >= 0, self.weights <= WEIGHT_MAX]
        self.problem = cp.Problem(cp.Minimize(cp.sum_squares(self.root @ self.weights)), limits)

    def solve(self, returns: FloatArray) -> FloatArray:
        covariance, _ = shrink_covariance(returns)
        self.root.value = np.linalg.cholesky(covariance * _SCALE).T
        self.problem.solve(solver=cp.CLARABEL)
        return np.asarray(self.weights.value)


def measure() -> Iterator[Claim]:
    """CPU of the same nights, and how much variance ours leaves above the peer's."""
    nights = [_returns(night) for night in range(NIGHTS)]
    peer = _Peer()
    solve = OPTIMISERS["minimum_variance"].weights
    ours_cost, peer_cost = side_by_side(
        lambda: [solve(returns, weight_max=WEIGHT_MAX) for returns in nights],
        lambda: [peer.solve(returns) for returns in nights],
    )
    yield at_most(
        f"minimum variance of {STOCKS} stocks: CPU against cvxpy with Clarabel",
        ours=ours_cost.cpu_s / NIGHTS * 1000,
        peer=peer_cost.cpu_s / NIGHTS * 1000,
        bar=0.5,
        unit="ms a solve",
    )
    variances = []
    for returns in nights:
        covariance, _ = shrink_covariance(returns)
        mine, theirs = solve(returns, weight_max=WEIGHT_MAX), peer.solve(returns)
        variances.append((mine @ covariance @ mine * _SCALE, theirs @ covariance @ theirs * _SCALE))
    worst = max(variances, key=lambda pair: pair[0] / pair[1])
    yield at_most(
        f"minimum variance of {STOCKS} stocks: variance against cvxpy with Clarabel, worst of {NIGHTS} nights",
        ours=float(worst[0]),
        peer=float(worst[1]),
        bar=1 + 1e-6,
        unit="annual percent squared",
    )
