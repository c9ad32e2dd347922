"""That learning works: a planted signal is found, noise is not mistaken for one, and seeds decide everything."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from core.errors import InputError
from rl_trading.dynamics import Portfolios, Rules
from rl_trading.observation import Layout
from rl_trading.policy import StockEncoder
from rl_trading.ppo import Exam, learn
from rl_trading.settings import Training
from rl_trading.weights import Limits
from rl_trading.windows import Recording, record
from tests.factories.allocations import fit_scales, make_decisions, make_market

LAYOUT = Layout(stocks=10, features=4, context=3)
SHORT = Training(steps=24_576, environments=64, rollout=8, batch=256)


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


def _planted_by_regime(seed: int) -> Recording:
    """Feature 0 tells the drift of the window that follows in one regime and its opposite in the other.

    The regime is seen as two probabilities of the context, and by nothing else.
    """
    generator = np.random.default_rng(seed)
    told, signal = np.zeros((400, 20)), np.zeros((400, 20))
    sign = np.where(generator.random(400) < 0.5, 1.0, -1.0)
    for day in range(30, 394, 5):
        told[day] = generator.normal(size=20)
        signal[day + 1 : day + 6] += 0.004 * sign[day] * told[day]
    market = make_market(sessions=400, signal=signal, seed=seed)
    decisions = make_decisions(market, informative=told, seed=seed)
    decisions.context[:] = 0.0
    decisions.context[:, 0] = sign[decisions.session_index] > 0
    decisions.context[:, 1] = sign[decisions.session_index] < 0
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

    def test_noise_is_not_mistaken_for_skill(self) -> None:
        """The same features with nothing behind them: on fresh prices nothing but luck leads."""
        rules = Rules(limits=Limits(position_weight_max=0.3))
        network = learn(_planted(1, 0.0), LAYOUT, seed=1, training=replace(SHORT, steps=8_192), rules=rules)
        leads = np.array(
            [
                Exam(fresh, rules).score(network) - Exam(fresh, rules).score(_untrained())
                for fresh in (_planted(seed, 0.0) for seed in range(20, 32))
            ]
        )
        assert abs(leads.mean()) < 2 * leads.std(ddof=1) / len(leads) ** 0.5

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


class TestRegimes:
    def test_acts_on_a_signal_that_turns_with_the_regime(self) -> None:
        """Ten stocks under a cap of 8 % leave nothing to choose, so the cap is wide here."""
        rules = Rules(limits=Limits(position_weight_max=0.3))
        training = Training(steps=24_576, environments=64, rollout=8, batch=256)
        network = learn(_planted_by_regime(1), LAYOUT, seed=1, training=training, rules=rules)
        fresh = _planted_by_regime(2)
        # The same stocks seen in the two regimes: what is liked in one is avoided in the other.
        static = fresh.tape.static
        seen = np.concatenate([static, np.zeros((len(static), 12), dtype=np.float32)], axis=1)
        seen[:, -2] = 1.0
        first, second = static[:, 50] > 0, static[:, 50] < 0
        assert first.sum() > 10 < second.sum()
        leaning = []
        for regime in (first, second):
            means = _means(network, seen[regime])[:, :10]
            leaning.append(np.corrcoef(means.ravel(), seen[regime][:, 0:40:4].ravel())[0, 1])
        assert leaning[0] > 0.6
        assert leaning[1] < -0.6
        assert Exam(fresh, rules).score(network) > Exam(fresh, rules).score(_untrained()) + 0.1


def _untrained() -> StockEncoder:
    torch.manual_seed(0)
    return StockEncoder(LAYOUT).eval()


class TestExam:
    def test_is_the_mean_daily_sharpe_ratio_of_the_segments(self) -> None:
        recording = _planted(3, 0.002)
        network = _untrained()
        portfolios = Portfolios(recording, 1)
        (segment,) = recording.segments
        portfolios.start(np.array([0]), np.array([segment.first]))
        values = [100_000_000]
        for row in range(segment.first, segment.last):
            portfolios.act(_means(network, portfolios.observe()))
            values += portfolios.outcome.values[0, : recording.tape.days[row]].tolist()
        returns = np.array(values[1:]) / np.array(values[:-1]) - 1
        assert Exam(recording).score(network) == pytest.approx(returns.mean() / returns.std(), rel=1e-6)

    def test_segments_of_other_lengths_do_not_disturb_each_other(self) -> None:
        market = make_market(sessions=400)
        long = make_decisions(market, strategy="long")
        short = make_decisions(market, strategy="short", first=300)
        scales = fit_scales(market, long, short)
        network = _untrained()
        alone = [Exam(record(market, [part], scales)).score(network) for part in (long, short)]
        together = Exam(record(market, [long, short], scales)).score(network)
        assert together == pytest.approx(np.mean(alone), rel=1e-5)

    def test_the_network_that_did_best_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sat: list[dict[str, torch.Tensor]] = []
        marks = [0.1, 0.3, 0.9, 0.2, 0.8]

        def score(exam: Exam, network: StockEncoder) -> float:
            sat.append({name: value.clone() for name, value in network.state_dict().items()})
            return marks[len(sat) - 1]

        monkeypatch.setattr(Exam, "score", score)
        training = Training(steps=1_280, environments=16, rollout=8, batch=128, exams=5)
        kept = learn(_planted(1, 0.0), LAYOUT, seed=1, training=training, validation=_planted(2, 0.0))
        assert len(sat) == len(marks)
        for name, value in kept.state_dict().items():
            assert torch.equal(value, sat[2][name])
        assert any(not torch.equal(sat[2][name], sat[4][name]) for name in sat[2])


class TestDevice:
    def test_cuda_where_there_is_none_names_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(InputError, match=r"(?s)no GPU.*--device.*CUDA build"):
            learn(_planted(1, 0.0), LAYOUT, seed=1, training=Training(device="cuda"))
