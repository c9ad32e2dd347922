"""Ranks and standard scores against pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ranking import rank_in_groups, score_in_groups

# Few distinct values, so that ties, zeros of both signs and lonely rows are met.
values = st.one_of(st.sampled_from([-0.0, 0.0, 1.5, -2.5, float("nan")]), st.floats(-(2.0**90), 2.0**90, width=32))
rows = st.lists(st.tuples(values, st.integers(-1, 3), st.booleans()), max_size=50)


def columns(drawn: list[tuple[float, int, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, group and membership as arrays."""
    return (
        np.array([row[0] for row in drawn], dtype=np.float32),
        np.array([row[1] for row in drawn], dtype=np.int64),
        np.array([row[2] for row in drawn], dtype=np.bool_),
    )


class TestRankInGroups:
    @given(rows)
    def test_is_that_of_pandas(self, drawn: list[tuple[float, int, bool]]) -> None:
        value, group, member = columns(drawn)
        known = pd.Series(value, dtype="float64").where(pd.Series(member & (group >= 0), dtype=bool))
        grouped = known.groupby(group)
        count = grouped.transform("count")
        expected = ((grouped.rank() - 0.5) / count).where(count > 1)
        found = rank_in_groups(value, group, member)
        assert np.allclose(found, expected.to_numpy(float), atol=1e-6, equal_nan=True)

    def test_by_hand(self) -> None:
        value = np.array([3.0, 1.0, 3.0, 2.0], dtype=np.float32)
        everyone = np.ones(4, dtype=np.bool_)
        found = rank_in_groups(value, np.zeros(4, dtype=np.int64), everyone)
        assert found == pytest.approx([0.75, 0.125, 0.75, 0.375])


class TestScoreInGroups:
    def test_by_hand(self) -> None:
        value = np.array([1.0, 2.0, 3.0, 7.0, np.nan], dtype=np.float32)
        group = np.array([0, 0, 0, 1, 0])
        found = score_in_groups(value, group, np.ones(5, dtype=np.bool_))
        assert found[:3] == pytest.approx([-1.0, 0.0, 1.0])
        assert np.isnan(found[3:]).all()

    def test_where_nothing_differs_nothing_stands_out(self) -> None:
        value = np.full(4, 5.0, dtype=np.float32)
        assert np.isnan(score_in_groups(value, np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.bool_))).all()
