"""Covariance and means of returns, shrunk: samples of a year are too short to take at their word."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# Shrinkage may be zero, and twins or a handful of sessions then leave the covariance singular.
_RIDGE = 1e-8


def shrink_covariance(returns: FloatArray) -> tuple[FloatArray, float]:
    """Sample covariance shrunk towards a scaled identity, and the share of the target in it.

    Source: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88 (2004), section 3.3; the covariance divides by the number of sessions.
    """
    sessions, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / sessions
    mean_variance = np.trace(sample) / assets
    dispersion = np.sum(sample**2) - assets * mean_variance**2
    squares = centred**2
    noise = (np.sum(squares.T @ squares) / sessions - np.sum(sample**2)) / sessions
    share = 1.0 if dispersion <= 0 else float(np.clip(noise / dispersion, 0, 1))
    shrunk = (1 - share) * sample
    shrunk.flat[:: assets + 1] += share * mean_variance
    return shrunk, share


def definite_covariance(returns: FloatArray) -> FloatArray | None:
    """The shrunk covariance in units of its trace, made positive definite; None when nothing ever moved."""
    covariance, _ = shrink_covariance(returns)
    scale = np.trace(covariance)
    if scale <= 0:
        return None
    result: FloatArray = covariance / scale + _RIDGE * np.eye(len(covariance)) / len(covariance)
    return result


def shrink_means(means: FloatArray, covariance: FloatArray, sessions: int) -> FloatArray:
    """Sample means drawn towards the mean of the least-variance portfolio, further the less they differ by.

    `covariance` is that of the returns, in the units of the means. Source: Jorion, Bayes-Stein Estimation for Portfolio
    Analysis, Journal of Financial and Quantitative Analysis 21 (1986), equations 14 and 17.
    """
    assets = len(means)
    solved = np.linalg.solve(covariance, np.column_stack([np.ones(assets), means]))
    target = solved[:, 1].sum() / solved[:, 0].sum()
    away = means - target
    distance = float(away @ (solved[:, 1] - target * solved[:, 0]))
    share = (assets + 2) / (assets + 2 + sessions * max(distance, 0.0))
    return np.asarray(means - share * away)
