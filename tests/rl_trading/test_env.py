"""Both forms of the game: the checkers' opinion, and that they are the same game."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as stable_baselines_check

from core.errors import InputError
from quant.costs import STANDARD_COSTS, CostModel
from rl_trading.dynamics import Rules
from rl_trading.env import AllocationEnv, AllocationVecEnv
from rl_trading.windows import Recording, record
from tests.factories.allocations import fit_scales, make_decisions, make_market, make_recording
from tests.factories.plain_allocation import PlainAllocationEnv


@pytest.fixture(scope="module")
def recording() -> Recording:
    return make_recording()


class TestAllocationEnv:
    def test_passes_gymnasiums_checker(self, recording: Recording) -> None:
        with warnings.catch_warnings():
            # It recommends environments made by gymnasium.make; nothing else may be said.
            warnings.filterwarnings("ignore", message=".*not registered|.*spec.*", category=UserWarning)
            gymnasium_check(AllocationEnv(recording), skip_render_check=True)

    def test_passes_stable_baselines_checker(self, recording: Recording) -> None:
        stable_baselines_check(AllocationEnv(recording))

    def test_starts_where_it_is_told_to(self, recording: Recording) -> None:
        env = AllocationEnv(recording)
        env.reset(seed=1, options={"row": 50})
        steps = 0
        truncated = False
        while not truncated:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            steps += 1
            assert not terminated
        assert steps == recording.segments[0].last - 50


class TestAllocationVecEnv:
    def test_steps_as_the_single_form_does(self, recording: Recording) -> None:
        env = AllocationVecEnv(recording, 3, seed=5, episode_steps=6)
        first = np.asarray(env.reset())
        rows = env.portfolios.state.row.copy()
        actions = np.random.default_rng(2).uniform(-1, 1, (6, 3, 11)).astype(np.float32)
        singles = [AllocationEnv(recording, episode_steps=6) for _ in rows]
        for e, single in enumerate(singles):
            seen, _ = single.reset(seed=0, options={"row": rows[e]})
            assert (seen == first[e]).all()
        for step in range(6):
            after, rewards, dones, infos = env.step(actions[step])
            for e, single in enumerate(singles):
                theirs, reward, _, _, _ = single.step(actions[step, e])
                assert rewards[e] == pytest.approx(reward, rel=1e-6)
                last = infos[e]["terminal_observation"] if dones[e] else np.asarray(after)[e]
                assert (theirs == last).all()
        assert dones.all()
        assert all(info["TimeLimit.truncated"] for info in infos)

    def test_seed_decides_everything(self, recording: Recording) -> None:
        def play(seed: int) -> np.ndarray:
            env = AllocationVecEnv(recording, 4, seed=seed, episode_steps=3)
            env.reset()
            actions = np.random.default_rng(0).uniform(-1, 1, (8, 4, 11))
            return np.array([env.step(action)[1] for action in actions])

        assert (play(1) == play(1)).all()
        assert (play(1) != play(2)).any()

    def test_control_is_what_equal_weights_earn(self) -> None:
        recording = make_recording()
        plain, controlled = (
            AllocationVecEnv(recording, 2, seed=1, episode_steps=50, controlled=flag) for flag in (False, True)
        )
        plain.reset()
        controlled.reset()
        equal = np.zeros((2, 11), dtype=np.float32)
        rewards, left = [], []
        for _ in range(20):
            rewards.append(plain.step(equal)[1])
            left.append(controlled.step(equal)[1])
        # What is left of an equal-weight portfolio's reward is costs, cash and drift.
        assert np.std(left) < 0.35 * np.std(rewards)

    def test_refuses_a_recording_without_steps(self) -> None:
        market = make_market(sessions=40)
        decisions = make_decisions(market, first=38)
        with pytest.raises(InputError, match="two consecutive decisions"):
            AllocationVecEnv(record(market, [decisions], fit_scales(market, decisions)), 1, seed=0)


class TestAgainstPlainPython:
    """The oracle knows neither the tape nor the simulator: it trades one share count at a time from the market."""

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("costs", [STANDARD_COSTS, CostModel(half_spread_bps=20.0, impact_by_volatility=True)])
    def test_whole_random_episodes_agree_to_the_cent(self, seed: int, costs: CostModel) -> None:
        generator = np.random.default_rng(seed)
        market = make_market(sessions=320, instruments=60, seed=seed)
        market.volume[:] = np.round(market.volume / 50)
        # A stock is delisted, one is suspended for a while, one pays every fortnight.
        for prices in (market.open, market.close, market.adj_close, market.volume):
            prices[150:, 4] = np.nan
            prices[90:103, 7] = np.nan
        market.dividend[::10, 2] = 0.11
        decisions = make_decisions(market, stocks=30, seed=seed, every=4 + seed % 3)
        scales = fit_scales(market, decisions)
        recording = record(market, [decisions], scales)
        plain = PlainAllocationEnv(market, decisions, scales, costs)
        batched = AllocationVecEnv(recording, 3, seed=seed, episode_steps=400, rules=Rules(costs=costs))
        batched.reset()
        portfolios = batched.portfolios
        portfolios.start(np.arange(3), np.zeros(3, dtype=np.int64))
        seen, _ = plain.reset(options={"row": 0})
        assert (portfolios.observe()[1] == seen).all()
        truncated = False
        # Actions that swing, so that caps, full sales and cuts of purchases all occur.
        bold = generator.uniform(0.2, 2.5)
        while not truncated:
            actions = np.clip(bold * generator.normal(size=(3, 31)), -1, 1).astype(np.float32)
            portfolios.act(actions.astype(np.float64))
            seen, reward, _, truncated, info = plain.step(actions[1])
            days = len(info["values"])
            assert portfolios.outcome.values[1, :days].tolist() == info["values"]
            assert portfolios.outcome.reward[1] == pytest.approx(reward, rel=1e-9, abs=1e-12)
            np.testing.assert_allclose(portfolios.observe()[1], seen, rtol=2e-7, atol=1e-9)
