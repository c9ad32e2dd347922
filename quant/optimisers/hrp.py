"""Hierarchical risk parity: like assets side by side, risk shared out between the halves again and again."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from quant.covariance import definite_covariance
from quant.optimiser import FloatArray, Optimiser, cap_weights


def order_by_likeness(covariance: FloatArray) -> list[int]:
    """Assets as the tree of their correlations has them: Ward's linkage on the distance sqrt((1 - correlation) / 2).

    Branches are turned so that neighbours are alike: Bar-Joseph and others (2001), Fast Optimal Leaf Ordering.
    """
    if len(covariance) < 2:
        return [0]
    deviation = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1, 1)
    distance = np.sqrt((1 - correlation) / 2)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="ward", optimal_ordering=True)
    order: list[int] = leaves_list(tree).tolist()
    return order


def bisect(covariance: FloatArray, order: list[int]) -> FloatArray:
    """Weights from halving `order` again and again: each half gets what the other's variance is of both.

    A half's variance is that of its assets weighed by one over theirs.
    """
    weights = np.ones(len(covariance))
    parts = [order]
    while parts:
        part = parts.pop()
        if len(part) < 2:
            continue
        left, right = part[: len(part) // 2], part[len(part) // 2 :]
        variances = [_inverse_variance_risk(covariance[np.ix_(half, half)]) for half in (left, right)]
        share = 1 - variances[0] / sum(variances)
        weights[left] *= share
        weights[right] *= 1 - share
        parts += [left, right]
    return weights


def _inverse_variance_risk(covariance: FloatArray) -> float:
    weights = 1 / np.diag(covariance)
    weights /= weights.sum()
    return float(weights @ covariance @ weights)


def solve(returns: FloatArray, weight_max: float) -> FloatArray:
    """López de Prado, Building Diversified Portfolios that Outperform Out of Sample, Journal of Portfolio Management 42
    (2016), on a shrunk covariance and capped; equal weight when nothing ever moved."""
    covariance = definite_covariance(returns)
    if covariance is None:
        return np.full(returns.shape[1], 1 / returns.shape[1])
    # Which end of the tree comes first follows the order of the assets: so they come by variance, whoever lists them.
    by_variance = np.argsort(np.diag(covariance), kind="stable")
    sorted_covariance = covariance[np.ix_(by_variance, by_variance)]
    weights = np.empty(len(covariance))
    weights[by_variance] = bisect(sorted_covariance, order_by_likeness(sorted_covariance))
    return cap_weights(weights, weight_max)


HRP = Optimiser(name="hrp", label="Hierarchical risk parity", solve=solve)
