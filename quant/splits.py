"""Splits of time in which nothing that is learned from reaches what judges it: walk-forward and combinatorial.

A label formed on the evening of session t looks ahead until session t + label_sessions, so its span is the closed
interval [t, t + label_sessions]. A training row is purged when its span comes nearer than the embargo to what judges
it, on either side; a validation row is purged when its span reaches the test sessions.
Source: López de Prado, Advances in Financial Machine Learning (2018), chapters 7.4 and 12.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, pairwise
from math import comb

import numpy as np
import numpy.typing as npt

from core.errors import DataMissing, InputError

Sessions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One model's time: what it may learn from, what stops its training, when it may serve.

    `train`, `validation` and `test` are slices of the sessions that the fold was cut from; `_on` dates are
    inclusive, except `valid_to_on`: the model serves sessions in [valid_from_on, valid_to_on). `year` is the calendar
    year in which it begins to serve.
    """

    year: int
    train: slice
    validation: slice
    test: slice
    train_from_on: date
    train_to_on: date
    validation_from_on: date
    validation_to_on: date
    last_label_on: date
    valid_from_on: date
    valid_to_on: date


@dataclass(frozen=True)
class Split:
    """One way to set `test_groups` of the groups apart; `train` and `test` are rising row numbers."""

    test_groups: tuple[int, ...]
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def fold_at(
    sessions: Sequence[date],
    *,
    valid_from_on: date,
    valid_to_on: date,
    train_years: int = 5,
    validation_sessions: int = 126,
    label_sessions: int = 21,
    embargo_sessions: int = 21,
) -> Fold:
    """The fold that serves [valid_from_on, valid_to_on), built from the sessions before `valid_from_on` alone.

    Every training label ends more than `embargo_sessions` before the first validation session, every validation
    label before the first test session. Training starts at most `train_years` before `valid_from_on`, or where the
    sessions start. `sessions` must be strictly rising. DataMissing names a fold without training rows.
    """
    if any(later <= earlier for earlier, later in pairwise(sessions)):
        raise InputError("sessions must be strictly rising dates; sort them and drop duplicates")
    if min(train_years, validation_sessions, label_sessions) < 1 or embargo_sessions < 0:
        raise InputError("train_years, validation_sessions and label_sessions must be at least 1, the embargo 0")
    if valid_from_on >= valid_to_on:
        raise InputError(f"valid_from_on {valid_from_on} must lie before valid_to_on {valid_to_on}")
    test_start, test_stop = bisect_left(sessions, valid_from_on), bisect_left(sessions, valid_to_on)
    validation_stop = test_start - label_sessions
    validation_start = validation_stop - validation_sessions
    train_start = bisect_left(sessions, _years_before(valid_from_on, train_years))
    train_stop = validation_start - embargo_sessions - label_sessions
    if train_stop <= train_start:
        raise DataMissing(
            f"fold {_name(valid_from_on)} has no training sessions: of the {test_start} sessions before it,"
            f" {validation_sessions} validate and {2 * label_sessions + embargo_sessions} are purged; load earlier bars"
            " or start with a later year"
        )
    train, judged = np.arange(train_start, train_stop), np.array([validation_start, test_stop])
    assert purge(
        train,
        train + label_sessions,
        test_first=judged[:1],
        test_last=judged[1:],
        embargo_sessions=embargo_sessions,
    ).all(), "a training label reaches what judges it"
    return Fold(
        year=valid_from_on.year,
        train=slice(train_start, train_stop),
        validation=slice(validation_start, validation_stop),
        test=slice(test_start, test_stop),
        train_from_on=sessions[train_start],
        train_to_on=sessions[train_stop - 1],
        validation_from_on=sessions[validation_start],
        validation_to_on=sessions[validation_stop - 1],
        last_label_on=sessions[validation_stop - 1 + label_sessions],
        valid_from_on=valid_from_on,
        valid_to_on=valid_to_on,
    )


def purge(
    train_first: Sessions,
    train_last: Sessions,
    *,
    test_first: Sessions,
    test_last: Sessions,
    embargo_sessions: int,
) -> npt.NDArray[np.bool_]:
    """True for each training span that may stay: it comes nearer than the embargo to no test span.

    Spans are closed intervals of session numbers, [first, last], in parallel arrays and in any order; test spans may
    overlap or lie apart. A span goes if and only if it meets [first - embargo, last + embargo] of a test span.
    """
    if (train_last < train_first).any() or (test_last < test_first).any() or embargo_sessions < 0:
        raise InputError("a span must not end before it begins, and the embargo must not be negative")
    if not len(test_first):
        return np.ones(len(train_first), dtype=np.bool_)
    order = np.argsort(test_first, kind="stable")
    opens = test_first[order] - embargo_sessions
    # Of all test spans that open by a session, the one that reaches furthest decides.
    reaches = np.maximum.accumulate(test_last[order]) + embargo_sessions
    opened = np.searchsorted(opens, train_last, side="right")
    is_before_all: npt.NDArray[np.bool_] = opened == 0
    return is_before_all | (reaches[np.maximum(opened - 1, 0)] < train_first)


def combinatorial(
    first: Sessions, last: Sessions, *, groups: int, test_groups: int, embargo_sessions: int
) -> list[Split]:
    """Every choice of `test_groups` out of `groups` neighbouring blocks of rows as the test, purged from the rest.

    Row i has the label span [first[i], last[i]]; `first` must not fall. Blocks hold near equal numbers of sessions,
    and no session is divided. There are comb(groups, test_groups) splits, in lexicographic order of `test_groups`.
    """
    if not 1 <= test_groups < groups or comb(groups, test_groups) > 20_000:
        raise InputError(f"test_groups {test_groups} of groups {groups}: needs 1 <= test_groups < groups, both small")
    if (np.diff(first) < 0).any():
        raise InputError("first must not fall: sort the rows by session")
    sessions = np.unique(first)
    if len(sessions) < groups:
        raise DataMissing(f"{len(sessions)} sessions cannot make {groups} groups; use fewer groups")
    opening = sessions[[part[0] for part in np.array_split(np.arange(len(sessions)), groups)]]
    group_of_row = np.searchsorted(opening, first, side="right") - 1
    begins = np.array([first[group_of_row == group].min() for group in range(groups)])
    ends = np.array([last[group_of_row == group].max() for group in range(groups)])
    splits = []
    for chosen in combinations(range(groups), test_groups):
        is_test = np.isin(group_of_row, chosen)
        blocks = list(chosen)
        kept = purge(first, last, test_first=begins[blocks], test_last=ends[blocks], embargo_sessions=embargo_sessions)
        splits.append(Split(chosen, np.flatnonzero(kept & ~is_test), np.flatnonzero(is_test)))
    return splits


def paths(splits: Sequence[Split], *, groups: int) -> npt.NDArray[np.int64]:
    """(paths, groups): which split tests each group on each path, so that every path tests all groups once.

    `splits` as `combinatorial` gives them; there are comb(groups, test_groups) * test_groups / groups paths.
    """
    testing = [[number for number, split in enumerate(splits) if group in split.test_groups] for group in range(groups)]
    return np.array(testing, dtype=np.int64).T


def _years_before(day: date, years: int) -> date:
    """The same calendar day `years` before; of a 29 February the day after the 28th."""
    if (day.month, day.day) == (2, 29):
        return date(day.year - years, 2, 28) + timedelta(days=1)
    return day.replace(year=day.year - years)


def _name(valid_from_on: date) -> str:
    is_a_year = (valid_from_on.month, valid_from_on.day) == (1, 1)
    return str(valid_from_on.year) if is_a_year else valid_from_on.isoformat()
