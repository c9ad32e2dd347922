"""Positive and negative controls: a weak signal that was planted is found, and none is invented where it was shuffled.

A pipeline that cannot find what is there proves nothing by finding nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from ml_models.algorithms import ALGORITHMS
from ml_models.configuration import Configuration
from ml_models.dataset import Dataset
from ml_models.evaluate import rank_ic
from ml_models.labels import PricePanel
from ml_models.recipe import Keep, Recipe, RuleTerm
from ml_models.training import TrainedFold, plan_fold, train_fold
from rl_trading.dynamics import STANDARD_RULES
from rl_trading.export import played
from rl_trading.observation import Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.ppo import learn
from rl_trading.settings import Training
from rl_trading.windows import Decisions, Market, record
from tests.factories.allocations import fit_scales, make_decisions, make_market
from tests.factories.scores import SCREENER_FEATURES, make_panel, make_snapshots, signal_reader

WEAK_IC = 0.05
TOY = Recipe(
    strategy="toy_largecap",
    keeps=(Keep("momentum_252_21", "high", 0.7),),
    emphasis={},
    rule=(RuleTerm("momentum_252_21", "high"),),
)


class Found(NamedTuple):
    """A mean rank IC out of sample, and how far it may lie from the truth by chance."""

    ic: float
    error: float


def _screen(seed: int, algorithm: str, *, shuffled: bool) -> Found:
    """Train on 2010 to 2012 by the platform's own path and be judged on 2013. The IC of one feature is WEAK_IC.

    Shuffled: up to 2013 each stock carries the returns, and so the labels, of its neighbour.
    """
    panel = make_panel(first_year=2010, last_year=2013, instruments=400, seed=seed)
    chosen = ALGORITHMS[algorithm]
    rows = Dataset(
        panel=_neighbours(panel) if shuffled else panel,
        features=tuple(feature.name for feature in SCREENER_FEATURES),
        read_year=signal_reader(panel, strength=WEAK_IC, seed=seed),
        every_sessions=5,
        label_sessions=21,
        years_kept=5,
    )
    plan = plan_fold(
        Configuration(TOY, chosen, chosen.configured({})),
        make_snapshots(2010, 2013),
        SCREENER_FEATURES,
        valid_from_on=date(2013, 1, 1),
    )
    trained: TrainedFold = train_fold(plan, rows, SCREENER_FEATURES)
    ic, t = trained.metrics["rank_ic"], trained.metrics["rank_ic_t"]
    return Found(ic, abs(ic / t))


def _neighbours(panel: PricePanel) -> PricePanel:
    returns = np.diff(np.log(panel.prices), axis=0, prepend=np.log(panel.prices[:1]))
    before = sum(day.year < 2013 for day in panel.sessions)
    returns[:before] = np.roll(returns[:before], 1, axis=1)
    return replace(panel, prices=50.0 * np.exp(returns.cumsum(axis=0)))


class TestScreener:
    @pytest.mark.parametrize("algorithm", list(ALGORITHMS))
    def test_finds_the_weak_signal(self, algorithm: str) -> None:
        found = _screen(4, algorithm, shuffled=False)
        assert found.ic > 2 * found.error
        # Of an IC of 0.05 no model can show much more out of sample, unless it has seen the future.
        assert found.ic < WEAK_IC + 2 * found.error

    @pytest.mark.parametrize("algorithm", list(ALGORITHMS))
    def test_shuffled_labels_teach_nothing(self, algorithm: str) -> None:
        found = _screen(4, algorithm, shuffled=True)
        assert abs(found.ic) < 2 * found.error

    def test_shuffled_labels_teach_nothing_over_several_markets(self) -> None:
        found = [_screen(seed, "xgboost", shuffled=True) for seed in (5, 6, 7)]
        error = np.sqrt(np.mean([each.error**2 for each in found]) / len(found))
        assert abs(np.mean([each.ic for each in found])) < 2 * error


STOCKS, INSTRUMENTS, WEEK = 30, 40, 5
LAYOUT = Layout(stocks=STOCKS, features=4, context=3)
TRAINING = Training(steps=20_480)
# Of a week's return: make_market gives each stock 0.012 a day of its own.
DEVIATION = 0.012 * np.sqrt(WEEK)


def _market(seed: int, *, shuffled: bool) -> tuple[Market, Decisions]:
    """Feature 0 of a decision has an IC of WEAK_IC with the week that follows; shuffled, it is another stock's."""
    generator = np.random.default_rng(seed)
    told, signal = np.zeros((2000, INSTRUMENTS)), np.zeros((2000, INSTRUMENTS))
    for day in range(30, 2000 - WEEK, WEEK):
        told[day] = generator.normal(size=INSTRUMENTS)
        signal[day + 1 : day + 1 + WEEK] += WEAK_IC * DEVIATION / WEEK * told[day]
        if shuffled:
            told[day] = generator.permutation(told[day])
    market = make_market(sessions=2000, instruments=INSTRUMENTS, signal=signal, seed=seed)
    return market, make_decisions(market, stocks=STOCKS, informative=told, seed=seed)


class Taught(NamedTuple):
    """Policies of several seeds, which serve as their mean, and the scales of what they have seen."""

    networks: list[StockEncoder]
    scales: Scales


@pytest.fixture(scope="module")
def taught() -> Taught:
    return _teach(shuffled=False, seeds=(1, 2, 3))


def _teach(*, shuffled: bool, seeds: Sequence[int]) -> Taught:
    """Learn on one market by the platform's own path."""
    market, decisions = _market(1, shuffled=shuffled)
    scales = fit_scales(market, decisions)
    recording = record(market, [decisions], scales)
    return Taught([learn(recording, LAYOUT, seed=seed, training=TRAINING) for seed in seeds], scales)


def _weekly(policy: Taught, seed: int, *, shuffled: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(decisions, stocks) each: weights that the policies give on an unseen market, and returns of the week after."""
    market, decisions = _market(seed, shuffled=shuffled)
    rows = np.arange(len(decisions.session_index) - 1)
    inputs = {
        "stocks": decisions.stocks[rows],
        "mask": np.ones((len(rows), STOCKS), dtype=np.float32),
        "context": decisions.context[rows],
        "weights": np.full((len(rows), STOCKS), 0.98 / STOCKS, dtype=np.float32),
        "account": np.tile(np.array([0.02, 0.0], dtype=np.float32), (len(rows), 1)),
    }
    each = [played(network, policy.scales, STANDARD_RULES.limits, inputs) for network in policy.networks]
    weights = np.mean(each, axis=0)[:, :STOCKS]
    at = decisions.session_index[rows]
    growth = np.log(market.adj_close[at + WEEK] / market.adj_close[at])
    return weights, np.take_along_axis(growth, decisions.slots[rows], axis=1)


def _found(values: npt.NDArray[np.float64]) -> Found:
    return Found(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _correlations(weights: npt.NDArray[np.float64], returns: npt.NDArray[np.float64]) -> Found:
    """Of the weeks' rank correlations; weeks are independent, so the plain error holds."""
    daily = (rank_ic(held, earned) for held, earned in zip(weights, returns, strict=True))
    return _found(np.array([ic for ic in daily if ic is not None]))


@pytest.mark.slow
class TestAllocator:
    def test_finds_the_weak_signal(self, taught: Taught) -> None:
        found = _correlations(*_weekly(taught, 101, shuffled=False))
        assert 2 * found.error < found.ic < WEAK_IC + 2 * found.error

    def test_earns_more_than_equal_weight_by_it(self, taught: Taught) -> None:
        weights, returns = _weekly(taught, 102, shuffled=False)
        excess = _found(((weights - weights.mean(axis=1, keepdims=True)) * returns).sum(axis=1))
        assert excess.ic > 2 * excess.error

    def test_what_it_learned_is_nothing_where_the_signal_is_shuffled(self, taught: Taught) -> None:
        found = _correlations(*_weekly(taught, 103, shuffled=True))
        assert abs(found.ic) < 2 * found.error

    def test_shuffled_signal_teaches_nothing(self) -> None:
        found = _correlations(*_weekly(_teach(shuffled=True, seeds=(1,)), 104, shuffled=True))
        assert abs(found.ic) < 2 * found.error
