"""How far the features of a month are from those of a reference: measures, alarm lines and one verdict for a model.

Days are reduced to counts in bins of the reference's quantiles, so that every measure of every window is a sum of
days, and five years of 127 features cost seconds. `quant.placement` tells how unusual a distance is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from quant.placement import (
    WINDOW_SESSIONS,
    Floats,
    alarm_line,
    correlation_time,
    holm,
    independent_months,
    monthly_worst,
    p_values,
    rank_p_value,
    standing,
    window_sums,
)

BINS = 40
DECILE = BINS // 10
MISSING = BINS  # the slot behind the bins counts what is unknown
# Of fewer months the spread is anybody's guess: calm ones would alarm too often.
REFERENCE_WINDOWS_MIN = 24
ALARM_P = 0.05
# Textbook lines of the population stability index (Siddiqi, Credit Risk Scorecards, 2006): shown, never decisive.
PSI_MODERATE, PSI_LARGE = 0.1, 0.25
# How the risk of a false alarm is shared: between the two measures of a feature, between the two tests of a model.
SHARE_OF_SHAPE, SHARE_OF_MISSING = 0.6, 0.4
_SHARE_OF_MANY, _SHARE_OF_SINGLE = 0.8, 0.2
# Less than a tenth of what a model reads is no drift of the model, however still the reference was.
WEIGHT_MIN = 0.1
_PARTS = 5
# Distances smaller than a hundredth are no drift, however still the reference was.
_DISTANCE_MIN = 0.01
_DEVIATION_MIN = 0.01
_SHARE_MIN = 1e-4
_KNOWN_SHARE_MIN = 0.05
# A column that nobody has known for a week is dead, unless the reference has seen it dead on a tenth of its days.
_DEAD_DAYS = 5
_DEAD_SHARE_MAX = 0.1
_TINY = 1e-12

Counts = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bins:
    """Where a reference's quantiles lie: edges (BINS - 1, features), and the mean of the reference in each bin.

    A feature that the reference hardly knows has NaN throughout.
    """

    edges: Floats
    means: Floats  # (BINS, features)


def fit_bins(sample: Sequence[Floats32]) -> Bins:
    """Bins from one array of values a feature (NaN: unknown), for instance of every fifth day of the reference."""
    edges = np.full((BINS - 1, len(sample)), np.nan)
    means = np.full((BINS, len(sample)), np.nan)
    for place, column in enumerate(sample):
        values = np.sort(column[np.isfinite(column)].astype(np.float64))
        if len(values) < max(BINS, _KNOWN_SHARE_MIN * len(column)):
            continue
        edges[:, place] = values[(np.arange(1, BINS) * len(values)) // BINS]
        bins = np.searchsorted(edges[:, place], values, side="right")
        sums, counts = np.bincount(bins, values, BINS), np.bincount(bins, minlength=BINS)
        means[:, place] = np.where(
            counts > 0, sums / np.maximum(counts, 1), np.append(edges[0, place], edges[:, place])
        )
    return Bins(edges, means)


def count_days(bins: Bins, columns: Sequence[Floats32], day: npt.NDArray[np.integer], days: int) -> Counts:
    """How many stocks of each day lie in each bin: (days, features, BINS + 1), the last slot for unknown values.

    `columns` holds one array of values a feature, `day` the number of the day of each value, from 0 to days - 1.
    """
    counts = np.zeros((days, len(columns), BINS + 1), dtype=np.int32)
    start = day.astype(np.int64) * (BINS + 1)
    for place, values in enumerate(columns):
        slot = np.searchsorted(bins.edges[:, place].astype(np.float32), values, side="right")
        slot[~np.isfinite(values)] = MISSING
        found = np.bincount(start + slot, minlength=days * (BINS + 1))
        counts[:, place] = found.reshape(days, BINS + 1)
    return counts


@dataclass(frozen=True)
class Reference:
    """The days of a reference and the yardsticks of each feature: everything that a month is held against.

    shares (features, BINS) and missing (features) of the whole reference; `shape` and `gaps` are the worst of its
    months (months, features); `independent` how many months of each feature are independent; `usable`
    are the features that the reference knows, `lasting` those that it knew on most of its days; `window` is how many
    days are judged at once.
    """

    bins: Bins
    shares: Floats
    missing: Floats
    shape: Floats
    gaps: Floats
    independent: Floats
    usable: Flags
    lasting: Flags
    window: int


def refer(bins: Bins, counts: Counts, *, window: int = WINDOW_SESSIONS) -> Reference:
    """The yardsticks of the reference days `counts` (days, features, BINS + 1), at least 24 windows of them."""
    if len(counts) < REFERENCE_WINDOWS_MIN * window:
        raise InputError(f"the reference has {len(counts)} sessions: give {REFERENCE_WINDOWS_MIN * window} or more")
    return _yardsticks(bins, counts, window)


def _yardsticks(bins: Bins, counts: Counts, window: int) -> Reference:
    total = counts.sum(axis=0, dtype=np.float64)
    known = total[:, :BINS].sum(axis=1)
    shares = total[:, :BINS] / np.maximum(known, 1.0)[:, None]
    missing = total[:, MISSING] / np.maximum(total.sum(axis=1), 1.0)
    distance, gap = _distances(counts, shares, missing, window)
    return Reference(
        bins=bins,
        shares=shares,
        missing=missing,
        shape=monthly_worst(distance, window),
        gaps=monthly_worst(gap, window),
        independent=independent_months(len(counts), _times(counts), window),
        usable=(known > _KNOWN_SHARE_MIN * total.sum(axis=1)) & np.isfinite(bins.edges[0]),
        lasting=_dead_days(counts).mean(axis=0) < _DEAD_SHARE_MAX,
        window=window,
    )


def _dead_days(counts: Counts) -> Flags:
    """On which of `counts` (days, features, BINS + 1) next to nobody knew the feature."""
    return np.asarray(counts[:, :, :BINS].sum(axis=2) < _KNOWN_SHARE_MIN * counts.sum(axis=2))


def usual_alarms(bins: Bins, counts: Counts) -> list[Flags]:
    """Which features each part of a reference would have alarmed about, held against the other parts.

    One array (windows, features) for each fifth of the days: what is beyond its line where nothing is wrong.
    """
    told = []
    for part in np.array_split(np.arange(len(counts)), _PARTS):
        others = _yardsticks(bins, np.delete(counts, part, axis=0), WINDOW_SESSIONS)
        _, p_shape, p_missing = _risks(others, counts[part])
        told.append((_together(p_shape, p_missing) <= ALARM_P) & others.usable)
    return told


def _distances(counts: Counts, shares: Floats, missing: Floats, window: int) -> tuple[Floats, Floats]:
    """Kolmogorov-Smirnov distance and change of the missing rate of every window of days, both at least a hundredth."""
    windows, features = len(counts) - window + 1, counts.shape[1]
    distance, gap = np.empty((windows, features)), np.empty((windows, features))
    for place in range(features):
        sums = window_sums(counts[:, place].astype(np.float64), window)
        known = sums[:, :BINS].sum(axis=1)
        ahead = sums[:, :BINS].cumsum(axis=1) / np.maximum(known, 1.0)[:, None] - shares[place].cumsum()
        # What nobody knows has no shape: its gaps speak.
        has_shape = known >= _KNOWN_SHARE_MIN * sums.sum(axis=1)
        distance[:, place] = np.where(has_shape, np.abs(ahead).max(axis=1), 0.0)
        gap[:, place] = np.abs(sums[:, MISSING] / np.maximum(sums.sum(axis=1), 1.0) - missing[place])
    return np.maximum(distance, _DISTANCE_MIN), np.maximum(gap, _DISTANCE_MIN)


def _times(counts: Counts) -> Floats:
    """How many days tell one thing about each feature: the slowest of where its values lie, how wide, how many."""
    known = np.maximum(counts[:, :, :BINS].sum(axis=2), 1.0)
    place = (counts[:, :, :BINS] * np.arange(BINS, dtype=np.float64)).sum(axis=2) / known
    outer = np.r_[0:DECILE, BINS - DECILE : BINS]
    width = counts[:, :, outer].sum(axis=2) / known
    gaps = counts[:, :, MISSING] / np.maximum(counts.sum(axis=2), 1.0)
    return np.asarray(np.maximum.reduce([correlation_time(series) for series in (place, width, gaps)]))


@dataclass(frozen=True)
class PanelDrift:
    """Measures of each window of recent days, one row a window (the newest last), one column a feature.

    ks: largest distance between the distribution functions; ks_line (features): where it alone alarms. psi: population
    stability index over deciles. mean_shift and spread_shift: change of the mean in reference standard deviations, and
    of the deviation as a log ratio, with values in the outer fortieths counted as those of the reference are on
    average. missing and missing_shift: share of unknown values and its change. p: the probability, in a month without
    drift, of a shape or gaps as far away. is_dead: nobody has known it for a week. NaN where the reference or the
    window does not know the feature.
    """

    ks: Floats
    ks_line: Floats
    psi: Floats
    mean_shift: Floats
    spread_shift: Floats
    missing: Floats
    missing_shift: Floats
    p_shape: Floats
    p_missing: Floats
    p: Floats
    is_dead: Flags


def read_panel(reference: Reference, counts: Counts) -> PanelDrift:
    """Measure every window of `reference.window` recent days `counts` (days, features, BINS + 1)."""
    distance, p_shape, p_missing = _risks(reference, counts)
    sums = _window_counts(counts, reference.window)
    known, everybody = sums[:, :, :BINS].sum(axis=2), np.maximum(sums.sum(axis=2), 1.0)
    shares = sums[:, :, :BINS] / np.maximum(known, 1.0)[:, :, None]
    missing = sums[:, :, MISSING] / everybody
    unknown = (known < _KNOWN_SHARE_MIN * everybody) | ~reference.usable
    is_dead = _window_dead(reference, counts)
    mean, deviation = _moments(reference.shares, reference.bins.means)
    now_mean, now_deviation = _moments(shares, reference.bins.means)

    def seen(values: Floats) -> Floats:
        return np.where(unknown, np.nan, values)

    return PanelDrift(
        ks=seen(distance),
        ks_line=alarm_line(
            reference.shape, reference.independent, p=ALARM_P * SHARE_OF_SHAPE, deviation_min=_DEVIATION_MIN
        ),
        psi=seen(_stability(shares, reference.shares)),
        mean_shift=seen((now_mean - mean) / np.maximum(deviation, _TINY)),
        spread_shift=seen(np.log(np.maximum(now_deviation, _TINY) / np.maximum(deviation, _TINY))),
        missing=missing,
        missing_shift=missing - reference.missing,
        p_shape=seen(p_shape),
        p_missing=np.where(reference.usable, p_missing, np.nan),
        p=np.where(reference.usable, _together(p_shape, p_missing), np.nan),
        is_dead=is_dead,
    )


def _window_dead(reference: Reference, counts: Counts) -> Flags:
    """Windows in whose last days next to nobody knew a feature that the reference knew all along."""
    dead = window_sums(_dead_days(counts).astype(np.float64), _DEAD_DAYS)[reference.window - _DEAD_DAYS :] == _DEAD_DAYS
    return np.asarray(dead & reference.usable & reference.lasting)


def _risks(reference: Reference, counts: Counts) -> tuple[Floats, Floats, Floats]:
    """(distance, p of the shape, p of the gaps) of each window and feature."""
    distance, gap = _distances(counts, reference.shares, reference.missing, reference.window)
    n = reference.independent
    p_shape = p_values(standing(distance, reference.shape, n, deviation_min=_DEVIATION_MIN), n)
    p_missing = p_values(standing(gap, reference.gaps, n, deviation_min=_DEVIATION_MIN), n)
    return distance, p_shape, p_missing


def _together(p_shape: Floats, p_missing: Floats) -> Floats:
    return np.minimum(np.minimum(p_shape / SHARE_OF_SHAPE, p_missing / SHARE_OF_MISSING), 1.0)


def _window_counts(counts: Counts, window: int) -> Floats:
    features = range(counts.shape[1])
    return np.stack([window_sums(counts[:, place].astype(np.float64), window) for place in features], axis=1)


def _moments(shares: Floats, means: Floats) -> tuple[Floats, Floats]:
    centre = (shares * means.T).sum(axis=-1)
    return centre, np.sqrt(np.maximum((shares * means.T**2).sum(axis=-1) - centre**2, 0.0))


def _stability(shares: Floats, reference: Floats) -> Floats:
    """Population stability index over the reference's deciles."""
    now = np.maximum(shares.reshape(*shares.shape[:-1], 10, DECILE).sum(axis=-1), _SHARE_MIN)
    then = np.maximum(reference.reshape(*reference.shape[:-1], 10, DECILE).sum(axis=-1), _SHARE_MIN)
    return np.asarray(((now - then) * np.log(now / then)).sum(axis=-1))


@dataclass(frozen=True)
class InputsDrift:
    """One verdict over all features that a model reads, of each window (the newest last).

    drifted: how many of the `features` are beyond their own line. share: their weight; `usual_share` is the median of
    the reference's months, `share_line` what alarms. p_many: how often a month of the reference had such a share.
    p_single: the most unusual feature's p-value after Holm's correction. p: of both together.
    """

    features: int
    drifted: npt.NDArray[np.int64]
    share: Floats
    usual_share: float
    share_line: float
    p_many: Floats
    p_single: Floats
    p: Floats


def judge_inputs(
    panel: PanelDrift, usual: Sequence[Flags], weights: Floats | None = None, *, alarm_p: float = ALARM_P
) -> InputsDrift:
    """One alarm for a model instead of one a feature; `weights` (features) say how much it uses each, None: alike.

    Two tests share the risk of a false alarm. Many: the weight of the features that are dead or beyond their lines,
    held against the reference's months (`usual_alarms`), so that features that move as one count as one. Single: the
    most unusual feature after Holm's correction, for the broken column that weights would drown.
    """
    weight = np.ones(panel.p.shape[1]) if weights is None else weights.astype(np.float64)
    known = ~np.isnan(panel.p).all(axis=0)
    weight = np.where(known, weight, 0.0)
    if weight.sum() <= 0:
        raise InputError("the reference knows none of the features that the model uses: give a later reference")
    weight = weight / weight.sum()
    beyond = (panel.p <= ALARM_P) | panel.is_dead
    share = beyond @ weight
    months = np.concatenate([monthly_worst(alarms @ weight) for alarms in usual])
    many = np.array([rank_p_value(now, months) if now >= WEIGHT_MIN else 1.0 for now in share])
    single = np.array([holm(row[weight > 0]).min() for row in panel.p])
    allowed = int(alarm_p * _SHARE_OF_MANY * (len(months) + 1)) - 1
    highest = np.sort(months)[::-1]
    return InputsDrift(
        features=int((weight > 0).sum()),
        drifted=(beyond & (weight > 0)).sum(axis=1),
        share=share,
        usual_share=float(np.median(months)),
        share_line=max(WEIGHT_MIN, float(highest[allowed])) if allowed >= 0 else 1.0,
        p_many=many,
        p_single=single,
        p=np.minimum(np.minimum(many / _SHARE_OF_MANY, single / _SHARE_OF_SINGLE), 1.0),
    )
