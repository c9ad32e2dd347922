"""No label that trains a model may reach what judges it."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataMissing, InputError
from quant.splits import walk_forward


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


class TestWalkForward:
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
                (fold,) = walk_forward(
                    sessions,
                    fold_years=[year],
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
        (fold,) = walk_forward(SESSIONS, fold_years=[2013])
        # One session more would bring a label into the embargo before validation, or into the test year.
        assert fold.train.stop - 1 + 21 + 21 == fold.validation.start - 1
        assert fold.validation.stop - 1 + 21 == fold.test.start - 1
        assert fold.validation.stop - fold.validation.start == 126

    def test_one_fold_a_year_serves_that_year(self) -> None:
        folds = walk_forward(SESSIONS, fold_years=range(2009, 2015))
        assert [fold.year for fold in folds] == list(range(2009, 2015))
        served = [day for fold in folds for day in SESSIONS[fold.test]]
        assert served == [day for day in SESSIONS if day >= date(2009, 1, 1)]
        assert folds[0].train_from_on == SESSIONS[0]
        assert folds[-1].train_from_on == date(2009, 1, 1)
        assert (folds[0].valid_from_on, folds[0].valid_to_on) == (date(2009, 1, 1), date(2010, 1, 1))

    def test_the_coming_year_has_a_model_before_its_first_session(self) -> None:
        (fold,) = walk_forward([day for day in SESSIONS if day.year < 2013], fold_years=[2013])
        assert fold.test == slice(fold.test.start, fold.test.start)
        assert fold.valid_from_on == date(2013, 1, 1)

    def test_year_without_history_is_refused_by_name(self) -> None:
        with pytest.raises(DataMissing, match="fold 2006"):
            walk_forward(SESSIONS, fold_years=[2009, 2006])

    def test_unsorted_sessions_are_refused(self) -> None:
        with pytest.raises(InputError, match="strictly rising"):
            walk_forward(SESSIONS[::-1], fold_years=[2010])

    def test_label_of_zero_sessions_is_refused(self) -> None:
        with pytest.raises(InputError, match="at least 1"):
            walk_forward(SESSIONS, fold_years=[2010], label_sessions=0)
