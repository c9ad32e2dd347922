"""The probability of overfitting against a slow reading of the paper, and on what is known to be noise or skill."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, rankdata

from core.errors import InputError
from quant.overfitting import Overfitting, measure_overfitting

Floats = npt.NDArray[np.float64]


def by_the_paper(returns: Floats, blocks: int) -> tuple[list[float], float, float, float]:
    """Steps 1 to 6 of section 2.2 and the statistics of section 3, one halving after the other."""
    parts = np.array_split(returns, blocks)
    logits, pairs = [], []
    for chosen in combinations(range(blocks), blocks // 2):
        past = np.concatenate([parts[block] for block in chosen])
        future = np.concatenate([parts[block] for block in range(blocks) if block not in chosen])
        past_ratios, future_ratios = past.mean(axis=0) / past.std(axis=0), future.mean(axis=0) / future.std(axis=0)
        pick = int(np.argmax(past_ratios))
        relative = rankdata(future_ratios)[pick] / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
        pairs.append((past_ratios[pick], future_ratios[pick]))
    probability = sum(logit <= 0 for logit in logits) / len(logits)
    loss = sum(future < 0 for _, future in pairs) / len(pairs)
    return logits, probability, loss, linregress([past for past, _ in pairs], [future for _, future in pairs]).slope


def noise(seed: int, sessions: int = 1260, trials: int = 50) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.01, (sessions, trials))


class TestMeasureOverfitting:
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        sessions=st.integers(20, 90),
        trials=st.integers(2, 12),
        blocks=st.sampled_from([2, 4, 6, 8]),
        drift=st.floats(-0.01, 0.01),
    )
    def test_agrees_with_the_paper_step_by_step(
        self, seed: int, sessions: int, trials: int, blocks: int, drift: float
    ) -> None:
        returns = noise(seed, sessions, trials) + drift
        found = measure_overfitting(returns, blocks=blocks)
        logits, probability, loss, slope = by_the_paper(returns, blocks)
        np.testing.assert_allclose(found.logits, logits, atol=1e-12)
        assert (found.trials, found.halvings) == (trials, math.comb(blocks, blocks // 2))
        assert found.probability == probability
        assert found.loss_probability == loss
        assert found.slope == pytest.approx(slope, rel=1e-6, abs=1e-9)

    def test_noise_is_overfitted_half_of_the_time(self) -> None:
        found = np.array([measure_overfitting(noise(seed)).probability for seed in range(400)])
        # Measured by others over the same 10 blocks and 50 strategies: mean 0.49, 5 to 95 % 0.21 to 0.74.
        assert found.mean() == pytest.approx(0.49, abs=0.03)
        assert np.quantile(found, 0.05) == pytest.approx(0.21, abs=0.06)
        assert np.quantile(found, 0.95) == pytest.approx(0.74, abs=0.06)

    def test_one_that_is_truly_better_is_found(self) -> None:
        returns = noise(5)
        returns[:, 17] += 0.01 * 3.0 / math.sqrt(252)
        found = measure_overfitting(returns)
        assert found.probability < 0.02
        assert found.loss_probability < 0.02

    def test_picking_what_must_turn_is_overfitting(self) -> None:
        # What did well in one half did as badly in the other: the ratio of the pick falls as its past rises.
        rising = np.linspace(-0.01, 0.01, 8)
        returns = noise(6, 1000, 8) + np.where(np.arange(1000)[:, None] < 500, rising, -rising)
        found: Overfitting = measure_overfitting(returns, blocks=2)
        assert found.probability == 1.0
        assert found.loss_probability == 1.0

    def test_twins_share_a_rank(self) -> None:
        series = noise(7, 100, 1)
        found = measure_overfitting(np.hstack([series, series]))
        assert set(found.logits) == {0.0}
        assert found.probability == 1.0

    @pytest.mark.parametrize(
        ("returns", "blocks"),
        [
            (noise(1, 100, 1), 10),
            (noise(1, 100, 3)[:, 0], 10),
            (noise(1, 15, 3), 10),
            (noise(1, 100, 3), 7),
            (noise(1, 100, 3), 20),
            (np.where(np.arange(100)[:, None] == 5, np.nan, noise(1, 100, 3)), 10),
            (np.column_stack([noise(1, 100, 2), np.full(100, 0.001)]), 10),
        ],
        ids=["one trial", "one series", "too short", "odd", "too many blocks", "a gap", "a constant"],
    )
    def test_what_cannot_be_judged_is_refused(self, returns: Floats, blocks: int) -> None:
        with pytest.raises(InputError):
            measure_overfitting(returns, blocks=blocks)
