"""That learning works: a planted signal is found, noise is not mistaken for one, and seeds decide everything."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rl_trading.dynamics import Portfolios
from rl_trading.observation import Layout
from rl_trading.policy import StockEncoder
from rl_trading.ppo import learn
from rl_trading.settings import Training
from rl_trading.windows import Recording, record
from tests.factories.allocations import fit_scales, make_decisions, make_market

LAYOUT = Layout(stocks=10, features=4, context=3)
SHORT = Training(steps=16_384, environments=64, rollout=8, batch=256)


def _planted(seed: int, drift: float) -> Recording:
    """Feature 0 of a decision tells the drift of the window that follows; nothing else tells anything."""
    generator = np.random.default_rng(seed)
    told = np.zeros((400, 20))
    signal = np.zeros((400, 20))
    for day in range(30, 394, 5):
        told[day] = generator.normal(size=20)
        signal[day + 1 : day + 6] += drift * told[day]
    market = make_market(sessions=400, signal=signal, seed=seed)
    decisions = make_decisions(market, informative=told, seed=seed)
    return record(market, [decisions], fit_scales(market, decisions))


def _growth(recording: Recording, act: "StockEncoder | None", seed: int = 0) -> float:
    """Final over initial value; without a policy, actions at random."""
    portfolios = Portfolios(recording, 1)
    (segment,) = recording.segments
    portfolios.start(np.array([0]), np.array([segment.first]))
    generator = np.random.default_rng(seed)
    for _ in range(segment.first, segment.last):
        seen = portfolios.observe()
        portfolios.act(generator.uniform(-1, 1, (1, 11)) if act is None else _means(act, seen))
    return float(portfolios.state.value[0]) / 1e8


def _means(network: StockEncoder, seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    with torch.no_grad():
        means: npt.NDArray[np.float64] = network(torch.from_numpy(seen))[0].numpy().astype(np.float64)
    return means


@pytest.fixture(scope="module")
def trained() -> StockEncoder:
    return learn(_planted(1, 0.004), LAYOUT, seed=1, training=SHORT)


class TestLearn:
    def test_finds_a_planted_signal_on_prices_it_has_not_seen(self, trained: StockEncoder) -> None:
        fresh = _planted(2, 0.004)
        chance = [_growth(fresh, None, seed) for seed in range(5)]
        assert _growth(fresh, trained) > 1.3 * max(chance)

    def test_leans_towards_the_feature_that_tells(self, trained: StockEncoder) -> None:
        seen = np.random.default_rng(3).normal(size=(64, LAYOUT.size)).astype(np.float32)
        seen[:, 40:50] = 1.0
        seen[:, 53:] = 0.0
        means = _means(trained, seen)[:, :10]
        correlations = [abs(np.corrcoef(means.ravel(), seen[:, k:40:4].ravel())[0, 1]) for k in range(4)]
        assert correlations[0] > 0.8
        assert max(correlations[1:]) < 0.4

    def test_same_seed_same_network(self) -> None:
        recording = _planted(1, 0.0)
        short = Training(steps=1_024, environments=32, rollout=8, batch=128)
        first, again, other = (learn(recording, LAYOUT, seed=seed, training=short) for seed in (4, 4, 5))
        for name, value in first.state_dict().items():
            assert torch.equal(value, again.state_dict()[name])
        assert any(not torch.equal(value, other.state_dict()[name]) for name, value in first.state_dict().items())

    def test_tells_its_steps(self) -> None:
        heard: list[int] = []
        short = Training(steps=1_024, environments=32, rollout=8, batch=128)
        learn(_planted(1, 0.0), LAYOUT, seed=1, training=short, heard=heard.append)
        assert heard == [256, 512, 768, 1024]
