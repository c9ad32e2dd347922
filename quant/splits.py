"""Walk-forward folds by calendar year, purged and with an embargo.

A label formed on the evening of session t looks ahead until session t + label_sessions, so its span is the closed
interval [t, t + label_sessions]. A training row is purged when its span comes nearer than the embargo to the
validation window; a validation row is purged when its span reaches the test year.
Source: López de Prado, Advances in Financial Machine Learning (2018), chapter 7.4.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from core.errors import DataMissing, InputError


@dataclass(frozen=True)
class Fold:
    """One year's model: what it may learn from, what stops its training, when it may serve.

    `train`, `validation` and `test` are slices of the sessions that `walk_forward` was given; `_on` dates are
    inclusive, except `valid_to_on`: the model serves sessions in [valid_from_on, valid_to_on).
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


def walk_forward(
    sessions: Sequence[date],
    *,
    fold_years: Iterable[int],
    train_years: int = 5,
    validation_sessions: int = 126,
    label_sessions: int = 21,
    embargo_sessions: int = 21,
) -> list[Fold]:
    """One fold a year of `fold_years`, each built from the sessions before that year alone.

    Every training label ends more than `embargo_sessions` before the first validation session, every validation
    label before the first session of the test year. Training starts at most `train_years` before the test year, or
    where the sessions start. `sessions` must be strictly rising. DataMissing names a year without training rows.
    """
    if any(later <= earlier for earlier, later in pairwise(sessions)):
        raise InputError("sessions must be strictly rising dates; sort them and drop duplicates")
    if min(train_years, validation_sessions, label_sessions) < 1 or embargo_sessions < 0:
        raise InputError("train_years, validation_sessions and label_sessions must be at least 1, the embargo 0")
    return [
        _fold(sessions, year, train_years, validation_sessions, label_sessions, embargo_sessions) for year in fold_years
    ]


def _fold(sessions: Sequence[date], year: int, train_years: int, validation: int, label: int, embargo: int) -> Fold:
    valid_from_on, valid_to_on = date(year, 1, 1), date(year + 1, 1, 1)
    test_start, test_stop = bisect_left(sessions, valid_from_on), bisect_left(sessions, valid_to_on)
    validation_stop = test_start - label
    validation_start = validation_stop - validation
    train_start = bisect_left(sessions, date(year - train_years, 1, 1))
    train_stop = validation_start - embargo - label
    if train_stop <= train_start:
        raise DataMissing(
            f"fold {year} has no training sessions: of the {test_start} sessions before it, {validation} validate and"
            f" {2 * label + embargo} are purged; load earlier bars or start with a later year"
        )
    return Fold(
        year=year,
        train=slice(train_start, train_stop),
        validation=slice(validation_start, validation_stop),
        test=slice(test_start, test_stop),
        train_from_on=sessions[train_start],
        train_to_on=sessions[train_stop - 1],
        validation_from_on=sessions[validation_start],
        validation_to_on=sessions[validation_stop - 1],
        last_label_on=sessions[validation_stop - 1 + label],
        valid_from_on=valid_from_on,
        valid_to_on=valid_to_on,
    )
