"""No label that trains a model may reach what judges it."""

from datetime import date, timedelta
from math import comb

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV

from core.errors import DataMissing, InputError
from quant.splits import Fold, combinatorial, fold_at, paths, purge

Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _weekdays(first: date, last: date) -> list[date]:
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


SESSIONS = _weekdays(date(2006, 1, 3), date(2014, 6, 30))


@st.composite
def calendars(draw: st.DrawFn) -> list[date]:
    """Rising dates over five to nine years with gaps of one to six days, as after storms or imports."""
    start = date(draw(st.integers(1990, 2015)), draw(st.integers(1, 12)), draw(st.integers(1, 28)))
    gaps = draw(st.lists(st.integers(1, 6), min_size=20, max_size=60))
    days = [start]
    while (days[-1] - start).days < 365 * 7:
        days.append(days[-1] + timedelta(days=gaps[len(days) % len(gaps)]))
    return days


def fold_of(sessions: list[date], year: int, **lengths: int) -> Fold:
    """The fold that serves one calendar year."""
    return fold_at(sessions, valid_from_on=date(year, 1, 1), valid_to_on=date(year + 1, 1, 1), **lengths)


class TestFoldOfAYear:
    @given(
        sessions=calendars(),
        train_years=st.integers(1, 6),
        validation=st.integers(1, 130),
        label=st.integers(1, 40),
        embargo=st.integers(0, 40),
    )
    def test_no_label_span_meets_what_judges_it(
        self, sessions: list[date], train_years: int, validation: int, label: int, embargo: int
    ) -> None:
        for year in range(sessions[0].year + 1, sessions[-1].year + 2):
            try:
                fold = fold_of(
                    sessions,
                    year,
                    train_years=train_years,
                    validation_sessions=validation,
                    label_sessions=label,
                    embargo_sessions=embargo,
                )
            except DataMissing:
                continue
            spans = [set(range(t, t + label + 1)) for t in range(len(sessions))[fold.train]]
            validation_spans = [set(range(t, t + label + 1)) for t in range(len(sessions))[fold.validation]]
            judged = set(range(fold.validation.start - embargo, fold.test.stop))
            assert spans
            assert not any(span & judged for span in spans)
            assert len(validation_spans) == validation
            assert not any(span & set(range(fold.test.start, len(sessions))) for span in validation_spans)
            assert fold.last_label_on == sessions[max(max(span) for span in validation_spans)]
            assert fold.last_label_on < fold.valid_from_on
            assert all(fold.valid_from_on <= day < fold.valid_to_on for day in sessions[fold.test])

    def test_purging_is_tight(self) -> None:
        fold = fold_of(SESSIONS, 2013)
        # One session more would bring a label into the embargo before validation, or into the test year.
        assert fold.train.stop - 1 + 21 + 21 == fold.validation.start - 1
        assert fold.validation.stop - 1 + 21 == fold.test.start - 1
        assert fold.validation.stop - fold.validation.start == 126

    def test_one_fold_a_year_serves_that_year(self) -> None:
        folds = [fold_of(SESSIONS, year) for year in range(2009, 2015)]
        assert [fold.year for fold in folds] == list(range(2009, 2015))
        served = [day for fold in folds for day in SESSIONS[fold.test]]
        assert served == [day for day in SESSIONS if day >= date(2009, 1, 1)]
        assert folds[0].train_from_on == SESSIONS[0]
        assert folds[-1].train_from_on == date(2009, 1, 1)
        assert (folds[0].valid_from_on, folds[0].valid_to_on) == (date(2009, 1, 1), date(2010, 1, 1))

    def test_the_coming_year_has_a_model_before_its_first_session(self) -> None:
        fold = fold_of([day for day in SESSIONS if day.year < 2013], 2013)
        assert fold.test == slice(fold.test.start, fold.test.start)
        assert fold.valid_from_on == date(2013, 1, 1)

    def test_year_without_history_is_refused_by_name(self) -> None:
        with pytest.raises(DataMissing, match="fold 2006"):
            fold_of(SESSIONS, 2006)

    def test_unsorted_sessions_are_refused(self) -> None:
        with pytest.raises(InputError, match="strictly rising"):
            fold_of(SESSIONS[::-1], 2010)

    def test_label_of_zero_sessions_is_refused(self) -> None:
        with pytest.raises(InputError, match="at least 1"):
            fold_of(SESSIONS, 2010, label_sessions=0)


class TestFoldAt:
    @given(day=st.dates(date(2008, 6, 1), date(2014, 6, 1)), served=st.integers(1, 400), embargo=st.integers(0, 40))
    def test_starts_on_any_day_and_learns_from_before_it_alone(self, day: date, served: int, embargo: int) -> None:
        fold = fold_at(SESSIONS, valid_from_on=day, valid_to_on=day + timedelta(days=served), embargo_sessions=embargo)
        assert fold.year == day.year
        assert SESSIONS[fold.test] == [d for d in SESSIONS if day <= d < day + timedelta(days=served)]
        # Tight: one session more would bring a label into the embargo before validation, or into the test sessions.
        assert fold.train.stop - 1 + 21 + embargo == fold.validation.start - 1
        assert fold.validation.stop - 1 + 21 == fold.test.start - 1
        assert fold.last_label_on < day
        assert fold.train_from_on >= date(day.year - 5, day.month, min(day.day, 28))

    def test_five_years_before_a_leap_day(self) -> None:
        fold = fold_at(SESSIONS, valid_from_on=date(2012, 2, 29), valid_to_on=date(2013, 1, 1))
        assert fold.train_from_on == date(2007, 3, 1)

    def test_without_history_is_refused_by_its_date(self) -> None:
        with pytest.raises(DataMissing, match="fold 2006-07-01 has no training sessions"):
            fold_at(SESSIONS, valid_from_on=date(2006, 7, 1), valid_to_on=date(2007, 1, 1))

    def test_service_that_ends_before_it_begins_is_refused(self) -> None:
        with pytest.raises(InputError, match="valid_from_on 2012-01-01 must lie before"):
            fold_at(SESSIONS, valid_from_on=date(2012, 1, 1), valid_to_on=date(2012, 1, 1))


def random_spans(generator: np.random.Generator, *, count: int, sessions: int, longest: int) -> Spans:
    """Closed spans in no order, of lengths 0 to `longest`."""
    first = generator.integers(0, sessions, count)
    return first, first + generator.integers(0, longest + 1, count)


def touched(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], train: Spans, embargo: int) -> list[bool]:
    """For each training span, whether it holds a session of a test span or of its embargo: by marking sessions."""
    shift = embargo + 1
    marked = np.zeros(max(train[1].max(), last.max()) + 2 * shift, dtype=np.int64)
    for begin, end in zip(first, last, strict=True):
        marked[max(begin - embargo, 0) : end + embargo + 1] = 1
    before = np.concatenate([[0], marked.cumsum()])
    return list(before[train[1] + 1] > before[train[0]])


class TestPurge:
    @settings(max_examples=100, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        sessions=st.integers(20, 400),
        longest=st.integers(0, 60),
        blocks=st.integers(2, 8),
        embargo=st.integers(0, 40),
    )
    def test_spans_that_stay_meet_no_test_span_plus_embargo_and_no_other_goes(
        self, seed: int, sessions: int, longest: int, blocks: int, embargo: int
    ) -> None:
        # One hundred examples of one hundred sets each: 10,000 random sets with several test blocks.
        generator = np.random.default_rng(seed)
        for _ in range(100):
            train = random_spans(generator, count=40, sessions=sessions, longest=longest)
            first, last = random_spans(generator, count=blocks, sessions=sessions, longest=longest)
            kept = purge(*train, test_first=first, test_last=last, embargo_sessions=embargo)
            assert list(~kept) == touched(first, last, train, embargo)

    @given(st.data())
    def test_each_pair_of_spans_by_its_definition(self, data: st.DataObject) -> None:
        spans = st.tuples(st.integers(0, 12), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))
        train, test = data.draw(st.lists(spans, min_size=1, max_size=4)), data.draw(st.lists(spans, max_size=3))
        embargo = data.draw(st.integers(0, 4))
        train_first, train_last = np.array(train).T
        test_first, test_last = np.array(test, dtype=np.int64).reshape(-1, 2).T
        kept = purge(train_first, train_last, test_first=test_first, test_last=test_last, embargo_sessions=embargo)
        for stays, (begin, end) in zip(kept, train, strict=True):
            widened = [set(range(first - embargo, last + embargo + 1)) for first, last in test]
            assert stays == (not any(set(range(begin, end + 1)) & judged for judged in widened))

    def test_a_span_that_ends_before_it_begins_is_refused(self) -> None:
        one, two = np.array([1]), np.array([2])
        with pytest.raises(InputError, match="must not end before it begins"):
            purge(two, one, test_first=one, test_last=one, embargo_sessions=0)


class TestCombinatorial:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        groups=st.integers(2, 7),
        embargo=st.integers(0, 15),
        longest=st.integers(0, 30),
        data=st.data(),
    )
    def test_no_training_label_meets_a_test_label(
        self, seed: int, groups: int, embargo: int, longest: int, data: st.DataObject
    ) -> None:
        test_groups = data.draw(st.integers(1, groups - 1))
        generator = np.random.default_rng(seed)
        first = np.sort(generator.integers(0, 200, 300))
        last = first + generator.integers(0, longest + 1, 300)
        splits = combinatorial(first, last, groups=groups, test_groups=test_groups, embargo_sessions=embargo)
        assert len(splits) == comb(groups, test_groups)
        for split in splits:
            assert len(split.test_groups) == test_groups
            assert not set(split.train) & set(split.test)
            assert not set(first[split.train]) & set(first[split.test]), "a session is divided"
            if len(split.train):
                assert not any(
                    touched(first[split.test], last[split.test], (first[split.train], last[split.train]), embargo)
                )

    @given(groups=st.integers(2, 8), data=st.data())
    def test_each_path_tests_every_row_once(self, groups: int, data: st.DataObject) -> None:
        test_groups = data.draw(st.integers(1, groups - 1))
        first = np.repeat(np.arange(60), 2)
        splits = combinatorial(first, first + 3, groups=groups, test_groups=test_groups, embargo_sessions=2)
        walks = paths(splits, groups=groups)
        assert walks.shape == (comb(groups, test_groups) * test_groups // groups, groups)
        used = [(int(split), group) for walk in walks for group, split in enumerate(walk)]
        assert len(set(used)) == len(used) == sum(len(split.test_groups) for split in splits)
        assert all(group in splits[split].test_groups for split, group in used)

    @pytest.mark.parametrize(("groups", "test_groups", "label", "embargo"), [(6, 2, 4, 3), (8, 3, 1, 0), (5, 2, 9, 9)])
    def test_agrees_with_another_library(self, groups: int, test_groups: int, label: int, embargo: int) -> None:
        # Theirs knows one row a session and labels of one length, which they call the purged size.
        peer = CombinatorialPurgedCV(n_folds=groups, n_test_folds=test_groups, purged_size=label + embargo)
        first = np.arange(groups * 40)
        ours = combinatorial(first, first + label, groups=groups, test_groups=test_groups, embargo_sessions=embargo)
        for split, (train, test) in zip(ours, peer.split(np.zeros((len(first), 1))), strict=True):
            np.testing.assert_array_equal(split.train, train)
            np.testing.assert_array_equal(split.test, np.concatenate(test))

    @pytest.mark.parametrize(("groups", "test_groups"), [(5, 0), (5, 5), (40, 20)])
    def test_impossible_choices_are_refused(self, groups: int, test_groups: int) -> None:
        first = np.arange(100)
        with pytest.raises(InputError, match="test_groups"):
            combinatorial(first, first, groups=groups, test_groups=test_groups, embargo_sessions=0)

    def test_rows_out_of_order_are_refused(self) -> None:
        with pytest.raises(InputError, match="sort the rows"):
            combinatorial(np.array([2, 1, 3]), np.array([3, 3, 3]), groups=2, test_groups=1, embargo_sessions=0)

    def test_too_few_sessions_are_refused(self) -> None:
        with pytest.raises(DataMissing, match="1 sessions cannot make 2 groups"):
            combinatorial(np.array([1, 1]), np.array([3, 3]), groups=2, test_groups=1, embargo_sessions=0)
