"""Ranks and standard scores inside groups, for all groups of a column at once."""

import numpy as np
import numpy.typing as npt

from features.arrays import Flags, Floats32, Integers
from features.kernel import kernel

Keys = npt.NDArray[np.uint64]


@kernel
def _sortable(values: Floats32, rows: Integers, group: Integers, place_bits: int) -> Keys:
    """Keys that sort by group, then value, and end in the place among `rows`.

    Floats are sign and magnitude (IEEE 754): with the sign flipped, or all bits where it is set, they sort as unsigned
    integers. Adding 0.0 makes -0.0 equal to 0.0.
    """
    bits = (values + np.float32(0.0)).view(np.uint32)
    keys = np.empty(len(rows), np.uint64)
    sign = np.uint32(0x8000_0000)
    for place in range(len(rows)):
        value = bits[rows[place]]
        value = ~value if value & sign else value | sign
        key = np.uint64(group[rows[place]]) << np.uint64(32) | np.uint64(np.uint32(value))
        keys[place] = key << np.uint64(place_bits) | np.uint64(place)
    return keys


@kernel
def _spread_ranks(keys: Keys, rows: Integers, place_bits: int, out: Floats32) -> None:
    """Walk over the sorted keys, group by group, and give each run of ties its average rank."""
    place_mask = (np.uint64(1) << np.uint64(place_bits)) - np.uint64(1)
    ties, groups = np.uint64(place_bits), np.uint64(place_bits + 32)
    start = 0
    while start < len(keys):
        stop = start + 1
        while stop < len(keys) and keys[stop] >> groups == keys[start] >> groups:
            stop += 1
        first = start
        while stop - start > 1 and first < stop:
            last = first + 1
            while last < stop and keys[last] >> ties == keys[first] >> ties:
                last += 1
            rank = np.float32((first + last - 2 * start) * 0.5 / (stop - start))
            for i in range(first, last):
                out[rows[np.int64(keys[i] & place_mask)]] = rank
            first = last
        start = stop


def rank_in_groups(values: Floats32, group: Integers, member: Flags) -> Floats32:
    """(average rank - 1/2) / count of each member's value in its group, from 0 to 1.

    NaN for rows without value, outside every group (-1), not a member, or alone. Group, value and place make one
    unsigned 64-bit key, so one sort of integers orders all groups at once; that leaves 32 bits for group and place.
    """
    out = np.full(len(values), np.nan, dtype=np.float32)
    rows = np.flatnonzero(member & (group >= 0) & ~np.isnan(values))
    if len(rows):
        place_bits = len(rows).bit_length()
        assert int(group.max()).bit_length() + place_bits <= 32, "too many rows at once: rank fewer days"
        keys = _sortable(values, rows, group, place_bits)
        keys.sort()
        _spread_ranks(keys, rows, place_bits, out)
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
