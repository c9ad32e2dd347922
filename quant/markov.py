"""A Gaussian hidden Markov chain, fitted by expectation and maximisation with priors.

Baum, Petrie, Soules and Weiss (1970); forward and backward passes scaled as in Rabiner (1989), "A Tutorial on Hidden
Markov Models", section V.A; the maximum a posteriori step as in Gauvain and Lee (1994). The library for it would bring
scikit-learn, and with it loaders of pickles, into every process that serves; a test holds the two side by side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """k states of d readings: start (k), moves (k, k) from row to column, means (k, d), covariances (k, d, d)."""

    start: Floats
    moves: Floats
    means: Floats
    covariances: Floats

    def log_densities(self, values: Floats) -> Floats:
        """(n, k): log density of each row of `values` (n, d) in each state."""
        inverse = np.linalg.inv(np.linalg.cholesky(self.covariances))
        distance = np.square(np.einsum("kij,nkj->nki", inverse, values[:, None] - self.means)).sum(axis=2)
        scale = np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum(axis=1) - values.shape[1] / 2 * np.log(2 * np.pi)
        found: Floats = scale - distance / 2
        return found


@dataclass(frozen=True)
class Prior:
    """What is believed before any reading: `mean_weight` days at `means` and `covariance_weight` days that scatter like
    `covariance` in each state; `moves_weight` - 1 moves between any two states."""

    means: Floats
    mean_weight: float
    covariance: Floats
    covariance_weight: float
    moves_weight: float


def fit_chain(values: Floats, begun: Chain, prior: Prior, *, iterations_max: int, gain_min: float) -> Chain:
    """The chain that explains `values` (n, d) best, looked for from `begun` until a step gains less than `gain_min`.

    The gain is of the log likelihood; the step that gains too little still counts.
    """
    chain, before = begun, -np.inf
    for _ in range(iterations_max):
        logs = chain.log_densities(values)
        highest = logs.max(axis=1, keepdims=True)
        days, moves, likelihood = _look_both_ways(np.exp(logs - highest), chain.start, chain.moves)
        chain = _adapt(values, days, moves, prior)
        reached = likelihood + float(highest.sum())
        if reached - before < gain_min:
            break
        before = reached
    return chain


def _adapt(values: Floats, days: Floats, moves: Floats, prior: Prior) -> Chain:
    """The chain that the probabilities of states (n, k) and of moves (k, k) speak for, under the prior."""
    weight = days.sum(axis=0)
    means = (prior.mean_weight * prior.means + days.T @ values) / (prior.mean_weight + weight)[:, None]
    away = values[:, None] - means
    scatter = np.einsum("nk,nki,nkj->kij", days, away, away)
    astray = means - prior.means
    scatter += prior.mean_weight * astray[:, :, None] * astray[:, None, :] + prior.covariance
    believed = prior.moves_weight - 1.0 + moves
    return Chain(
        start=days[0] / days[0].sum(),
        moves=believed / believed.sum(axis=1, keepdims=True),
        means=means,
        covariances=scatter / (prior.covariance_weight + weight)[:, None, None],
    )


@njit(cache=True, error_model="numpy")
def _look_both_ways(densities: Floats, start: Floats, moves: Floats) -> tuple[Floats, Floats, float]:
    """(probabilities of the states each day (n, k), expected moves (k, k), log likelihood), given all days."""
    n, k = densities.shape
    forward, backward, scale = np.empty((n, k)), np.empty((n, k)), np.empty(n)
    for day in range(n):
        for j in range(k):
            reached = start[j]
            if day > 0:
                reached = 0.0
                for i in range(k):
                    reached += forward[day - 1, i] * moves[i, j]
            forward[day, j] = reached * densities[day, j]
        scale[day] = forward[day].sum()
        forward[day] /= scale[day]
    expected = np.zeros((k, k))
    backward[n - 1] = 1.0
    for day in range(n - 2, -1, -1):
        for i in range(k):
            ahead = 0.0
            for j in range(k):
                step = moves[i, j] * densities[day + 1, j] * backward[day + 1, j] / scale[day + 1]
                expected[i, j] += forward[day, i] * step
                ahead += step
            backward[day, i] = ahead
    days = forward * backward
    for day in range(n):
        days[day] /= days[day].sum()
    return days, expected, np.log(scale).sum()
