"""Drawdowns: hand-worked paths, and what must hold for any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.drawdown import find_drawdown

paths = st.lists(st.floats(0.1, 1_000.0), min_size=1, max_size=60)


def test_fall_and_recovery() -> None:
    found = find_drawdown(np.array([100.0, 120.0, 90.0, 110.0, 125.0, 120.0]))
    assert (found.peak, found.trough, found.recovered) == (1, 2, 4)
    assert found.depth == pytest.approx(-0.25)
    assert found.current == pytest.approx(-0.04)


def test_not_recovered_and_never_fallen() -> None:
    assert find_drawdown(np.array([100.0, 50.0, 99.0])).recovered is None
    rising = find_drawdown(np.array([1.0, 2.0, 3.0]))
    assert (rising.depth, rising.current, rising.recovered) == (0.0, 0.0, None)


@given(path=paths)
def test_no_pair_of_days_fell_further(path: list[float]) -> None:
    found = find_drawdown(np.array(path))
    worst = min(path[b] / max(path[: b + 1]) - 1 for b in range(len(path)))
    assert found.depth == pytest.approx(worst)
    assert found.peak <= found.trough
    if found.recovered is not None:
        assert path[found.recovered] >= path[found.peak]
