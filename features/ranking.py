"""Ranks and standard scores inside groups, for all groups of a column at once."""

import numpy as np
import numpy.typing as npt

from features.arrays import Flags, Floats32, Integers
from features.kernel import kernel

Keys = npt.NDArray[np.uint64]
_SIGN = np.uint32(0x8000_0000)


def _order_preserving_bits(values: Floats32) -> npt.NDArray[np.uint32]:
    """Unsigned integers that sort as the floats do; IEEE 754 floats sort as sign and magnitude. -0.0 equals 0.0."""
    bits = (values + np.float32(0.0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


@kernel
def _spread_ranks(keys: Keys, order: Integers, rows: Integers, out: Floats32) -> None:
    """Walk over the keys in sorted order, group by group, and give each run of ties its average rank."""
    start = 0
    while start < len(order):
        group = keys[order[start]] >> np.uint64(32)
        stop = start + 1
        while stop < len(order) and keys[order[stop]] >> np.uint64(32) == group:
            stop += 1
        first = start
        while stop - start > 1 and first < stop:
            last = first + 1
            while last < stop and keys[order[last]] == keys[order[first]]:
                last += 1
            rank = np.float32((first + last - 2 * start) * 0.5 / (stop - start))
            for i in range(first, last):
                out[rows[order[i]]] = rank
            first = last
        start = stop


def rank_in_groups(values: Floats32, group: Integers, member: Flags) -> Floats32:
    """(average rank - 1/2) / count of each member's value in its group, from 0 to 1.

    NaN for rows without value, outside every group (-1), not a member, or alone. Group and value make one unsigned
    64-bit key, so one sort of integers orders all groups at once.
    """
    out = np.full(len(values), np.nan, dtype=np.float32)
    rows = np.flatnonzero(member & (group >= 0) & ~np.isnan(values))
    keys = group[rows].astype(np.uint64) << np.uint64(32)
    keys |= _order_preserving_bits(values[rows])
    _spread_ranks(keys, np.argsort(keys), rows, out)
    return out


def score_in_groups(values: Floats32, group: Integers, member: Flags) -> Floats32:
    """(value - mean) / sample standard deviation in its group; NaN as `rank_in_groups`, and where nothing differs."""
    out = np.full(len(values), np.nan, dtype=np.float32)
    rows = np.flatnonzero(member & (group >= 0) & np.isfinite(values))
    if len(rows):
        groups, known = group[rows], values[rows].astype(np.float64)
        count = np.bincount(groups)
        mean = np.bincount(groups, weights=known) / np.maximum(count, 1)
        away = known - mean[groups]
        deviation = np.sqrt(np.bincount(groups, weights=away * away) / np.where(count > 1, count - 1, np.nan))
        out[rows] = away / np.where(deviation > 0.0, deviation, np.nan)[groups]
    return out
