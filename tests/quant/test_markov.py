"""The chain beside the library it replaces in what serves, and beside the sums over all paths."""

import itertools
import logging

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from scipy.stats import multivariate_normal

from quant.markov import Chain, Prior, fit_chain

STATES, READINGS = 3, 2
MEANS = np.array([[0.0, 0.0], [3.0, -1.0], [-2.0, 2.0]])
FLAT = Prior(MEANS, mean_weight=0.0, covariance=np.zeros((2, 2)), covariance_weight=0.0, moves_weight=1.0)


def begin(states: int = STATES) -> Chain:
    moves = np.full((states, states), 0.1 / (states - 1))
    np.fill_diagonal(moves, 0.9)
    return Chain(np.full(states, 1 / states), moves, MEANS[:states], np.tile(np.eye(READINGS), (states, 1, 1)))


def draw(days: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    source = np.random.default_rng(seed)
    states = np.repeat(source.integers(0, STATES, days // 10), 10)
    drawn: np.ndarray[tuple[int, int], np.dtype[np.float64]] = MEANS[states] + source.normal(
        0, 0.8, (len(states), READINGS)
    )
    return drawn


def test_densities_are_the_normal_ones() -> None:
    source = np.random.default_rng(11)
    root = source.normal(size=(STATES, READINGS, READINGS))
    covariances = root @ root.transpose(0, 2, 1) + np.eye(READINGS)
    chain = Chain(np.ones(STATES), np.eye(STATES), source.normal(size=(STATES, READINGS)), covariances)
    values = source.normal(size=(50, READINGS))
    expected = [multivariate_normal(chain.means[k], covariances[k]).logpdf(values) for k in range(STATES)]
    np.testing.assert_allclose(chain.log_densities(values), np.column_stack(expected), rtol=1e-12)


def test_one_step_is_the_sum_over_all_paths() -> None:
    values, begun = draw(10, seed=1)[:6], begin()
    densities = np.exp(begun.log_densities(values))
    weight, start, moves = np.zeros((len(values), STATES)), np.zeros(STATES), np.zeros((STATES, STATES))
    for path in itertools.product(range(STATES), repeat=len(values)):
        probability = begun.start[path[0]] * densities[0, path[0]]
        for day in range(1, len(values)):
            probability *= begun.moves[path[day - 1], path[day]] * densities[day, path[day]]
        start[path[0]] += probability
        for day, state in enumerate(path):
            weight[day, state] += probability
        for here, there in itertools.pairwise(path):
            moves[here, there] += probability
    stepped = fit_chain(values, begun, FLAT, iterations_max=1, gain_min=0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(stepped.start, start / start.sum(), rtol=1e-9)
    np.testing.assert_allclose(stepped.moves, moves / moves.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(stepped.means, weight.T @ values / weight.sum(axis=0)[:, None], rtol=1e-9)


@pytest.mark.parametrize(("seed", "iterations", "gain"), [(1, 1, 0.0), (2, 5, 0.0), (3, 60, 0.01), (4, 200, 1e-6)])
def test_fits_what_the_library_fits(seed: int, iterations: int, gain: float) -> None:
    values, begun = draw(600, seed), begin()
    prior = Prior(MEANS, mean_weight=1.0, covariance=np.eye(READINGS) / 2, covariance_weight=1.0, moves_weight=1.01)
    library = GaussianHMM(
        n_components=STATES,
        covariance_type="full",
        means_prior=MEANS,
        means_weight=1.0,
        covars_prior=np.eye(READINGS) / 2,
        covars_weight=READINGS + 1.0,  # the library takes the dimension off
        transmat_prior=1.01,
        n_iter=iterations,
        tol=gain,
        init_params="",
        implementation="scaling",
    )
    library.startprob_, library.transmat_ = begun.start, begun.moves
    library.means_, library.covars_ = begun.means, begun.covariances
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    library.fit(values)
    found = fit_chain(values, begun, prior, iterations_max=iterations, gain_min=gain)
    np.testing.assert_allclose(found.moves, library.transmat_, atol=1e-10)
    np.testing.assert_allclose(found.means, library.means_, atol=1e-10)
    np.testing.assert_allclose(found.covariances, library.covars_, atol=1e-10)
    np.testing.assert_allclose(found.start, library.startprob_, atol=1e-10)


def test_far_readings_underflow_nothing() -> None:
    values = np.vstack([draw(100, seed=5), np.full((3, READINGS), 400.0)])
    prior = Prior(MEANS, mean_weight=1.0, covariance=np.eye(READINGS), covariance_weight=1.0, moves_weight=1.01)
    found = fit_chain(values, begin(), prior, iterations_max=20, gain_min=1e-6)
    assert all(np.isfinite(part).all() for part in (found.start, found.moves, found.means, found.covariances))
