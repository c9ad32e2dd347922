"""Scales learn from training rows only and leave nothing unknown in an observation."""

import numpy as np
import pytest

from core.errors import InputError
from rl_trading.observation import CLIP, Layout, Scales


def _rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    stocks = generator.normal([3.0, -1.0], [2.0, 0.5], (40, 10, 2)).astype(np.float32)
    return stocks, generator.random((40, 10)) < 0.9, generator.normal(20.0, 5.0, (40, 1)).astype(np.float32)


class TestScales:
    def test_training_rows_become_standard(self) -> None:
        stocks, mask, context = _rows()
        scales = Scales.fit(stocks, mask, context)
        encoded = scales.encode(stocks, mask, context)[:, :20].reshape(40, 10, 2)[mask]
        assert encoded.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
        assert encoded.std(axis=0) == pytest.approx([1, 1], abs=1e-5)

    def test_empty_slots_do_not_count(self) -> None:
        stocks, mask, context = _rows()
        spoilt = stocks.copy()
        spoilt[~mask] = 1e9
        assert Scales.fit(spoilt, mask, context).to_json() == Scales.fit(stocks, mask, context).to_json()

    def test_unknown_is_the_mean_and_extremes_are_clipped(self) -> None:
        stocks, mask, context = _rows()
        scales = Scales.fit(stocks, mask, context)
        stocks[0, 0], stocks[0, 1], mask[0, :2] = np.nan, 1e6, True
        context[0] = np.nan
        encoded = scales.encode(stocks, mask, context)
        assert np.isfinite(encoded).all()
        assert encoded[0, :4].tolist() == [0.0, 0.0, CLIP, CLIP]
        assert encoded[0, -1] == 0.0

    def test_column_that_is_never_known_or_never_moves(self) -> None:
        stocks, mask, context = _rows()
        stocks[:, :, 0], stocks[:, :, 1] = np.nan, 7.0
        encoded = Scales.fit(stocks, mask, context).encode(stocks, mask, context)
        assert (encoded[:, :20] == 0.0).all()


class TestLayout:
    def test_sizes(self) -> None:
        layout = Layout(stocks=50, features=14, context=14)
        assert layout.static == 50 * 14 + 50 + 14
        layout.check(layout.static + 52)
        with pytest.raises(InputError, match="the layout"):
            layout.check(layout.static)
