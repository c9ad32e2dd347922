"""What a split-adjusted price was on the tape: the split factor read off the cent grid.

Exchange prices are whole cents. A price divided by a later 7:1 split lies on a grid of 1/7 cent, a price multiplied
by a later 1:10 reverse split on a grid of 10 cents. So the coarsest grid that holds nearly all prices of a few
sessions tells by how much they were adjusted since, spin-offs included, without a list of splits.
"""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

_NUMERATORS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 20, 21, 28, 30, 50)
_DENOMINATORS = (1, 2, 3, 4, 5, 8, 10, 15, 20)
_SPLITS = np.array(sorted({Fraction(n, d) for n in _NUMERATORS for d in _DENOMINATORS}), dtype=np.float64)
# Spin-offs are adjusted by factors of three, seldom four decimals on top of splits.
_SPIN_OFFS = np.arange(1001, 3000) / 1000
_FINE_SPIN_OFFS = np.arange(10_001, 16_000) / 10_000
_SPLITS_WITH_SPIN_OFFS = (1.0, 2.0, 0.5, 1.5, 3.0, 0.25, 4.0)
_ON_GRID_SHARE_MIN = 0.97
_CENTS_OFF_MAX = 0.02
# Single precision of the stored price, in units of the price.
_FLOAT32_ERROR = 1.5e-7
_PRICES_MIN = 20


def _share_on_grid(prices: npt.NDArray[np.float64], factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    cents = prices[None, :] * factors[:, None] * 100
    off = np.abs(cents - np.rint(cents))
    share: npt.NDArray[np.float64] = (off <= np.maximum(_CENTS_OFF_MAX, cents * _FLOAT32_ERROR)).mean(axis=1)
    return share


def split_factor(prices: npt.NDArray[np.float64]) -> float:
    """What to multiply split-adjusted `prices` of some neighbouring sessions by to get the prices on the tape.

    NaN where no grid fits (a split inside the window, too few prices).
    """
    if len(prices) < _PRICES_MIN:
        return float("nan")
    fitting = _SPLITS[_share_on_grid(prices, _SPLITS) >= _ON_GRID_SHARE_MIN]
    if len(fitting):
        return float(fitting[0])
    candidates = [split * _SPIN_OFFS for split in _SPLITS_WITH_SPIN_OFFS] + [_FINE_SPIN_OFFS]
    for factors in candidates:
        shares = _share_on_grid(prices, factors)
        if shares.max() >= _ON_GRID_SHARE_MIN:
            return float(factors[shares.argmax()])
    return float("nan")


def choose_bases(
    shares: npt.NDArray[np.float64], at_period_end: npt.NDArray[np.float64], when_known: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The factor for each of a company's share counts, in order of time; NaN where unknown.

    A report states its share count on the basis of the period's end or, where a split came between that and the
    filing, already on the new one. Where the two factors differ, the one that keeps the count closest to its
    neighbour's is taken.
    """
    chosen = at_period_end.copy()
    for number in np.flatnonzero(at_period_end != when_known):
        beside = number + 1 if number + 1 < len(shares) else number - 1
        if beside < 0 or np.isnan([at_period_end[number], when_known[number], chosen[beside]]).any():
            continue
        target = np.log(shares[beside] * chosen[beside])
        off = [abs(np.log(shares[number] * basis[number]) - target) for basis in (at_period_end, when_known)]
        if off[1] < off[0]:
            chosen[number] = when_known[number]
    return chosen
