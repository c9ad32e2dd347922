"""PPO as the allocator trains beside Stable-Baselines3 with its usual settings on a single environment, same game.

The usual settings: one environment, 2,048 steps, batch 64, ten epochs, MlpPolicy. Both count all that training takes,
game and optimiser, on one torch thread. `python -m benchmarks.ppo` draws the learning curve of 100,000 and 1,000,000
steps on a market with a planted signal, which takes some minutes and is no part of `make bench`.
"""

import json
import time
from collections.abc import Iterator

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.allocator import make_game
from benchmarks.claim import Claim, at_least, at_most, side_by_side
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.ppo import Exam, learn
from rl_trading.settings import FULL_STEPS, Training
from rl_trading.windows import REBALANCE_SESSIONS, STOCKS, Decisions, Market, Recording, record, tradable
from tests.factories.plain_allocation import PlainAllocationEnv

_STEPS, _STEPS_USUAL = 16_384, 2_048
_FULL_SECONDS = 360.0
_FEATURES, _CONTEXT = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)
_LAYOUT = Layout(STOCKS, _FEATURES, _CONTEXT)
_IC = 0.06
_SESSIONS, _INSTRUMENTS, _YEAR = 2_600, 200, 52


def measure() -> Iterator[Claim]:
    """Frames per CPU second, and what they make of a million steps."""
    torch.set_num_threads(1)
    market, decisions = make_game()
    scales = Scales(np.zeros(_FEATURES), np.ones(_FEATURES), np.zeros(_CONTEXT), np.ones(_CONTEXT))
    recording = record(market, [decisions], scales)

    def ours() -> None:
        learn(recording, _LAYOUT, seed=1, training=Training(steps=_STEPS))

    def usual() -> None:
        environment = DummyVecEnv([lambda: PlainAllocationEnv(market, decisions, scales)])
        PPO("MlpPolicy", environment, n_steps=2_048, batch_size=64, n_epochs=10, device="cpu").learn(_STEPS_USUAL)

    learn(recording, _LAYOUT, seed=1, training=Training(steps=1_024))
    mine, theirs = side_by_side(ours, usual, best_of=2)
    yield at_least(
        f"PPO: frames per CPU second of our settings, {STOCKS} stocks, beside Stable-Baselines3 with the usual ones on"
        " a single environment of the same dynamics",
        ours=_STEPS / mine.cpu_s,
        peer=_STEPS_USUAL / theirs.cpu_s,
        bar=10.0,
        unit="frames per CPU second",
    )
    yield at_most(
        f"PPO: {FULL_STEPS:,} steps of one seed at that rate, on one of two cores, against six minutes",
        ours=FULL_STEPS * mine.cpu_s / _STEPS,
        peer=_FULL_SECONDS,
        bar=1.0,
        unit="CPU seconds",
    )


def _planted(seed: int) -> tuple[Market, list[Decisions]]:
    """Three strategies; one feature tells the coming week, another does so with a sign that turns with the regime."""
    random = np.random.default_rng(seed)
    days = np.arange(30, _SESSIONS, REBALANCE_SESSIONS)
    told, turning = random.normal(size=(2, len(days), _INSTRUMENTS))
    regime = np.where(np.sin(np.arange(len(days)) / 20) > 0, 1.0, -1.0)
    shocks = random.normal(0.0003, 0.018, (_SESSIONS, _INSTRUMENTS)) + random.normal(0, 0.008, (_SESSIONS, 1))
    for row, day in enumerate(days):
        drift = _IC * (told[row] + regime[row] * turning[row]) * 0.018 / REBALANCE_SESSIONS**0.5
        shocks[day + 1 : day + 1 + REBALANCE_SESSIONS] += drift
    close = 50 * np.exp(np.cumsum(shocks, axis=0))
    market = Market(
        sessions=np.arange(np.datetime64("2009-01-01"), np.datetime64("2009-01-01") + _SESSIONS),
        instrument_ids=np.arange(_INSTRUMENTS),
        open=np.vstack([close[:1], close[:-1]]) * np.exp(random.normal(0, 0.003, close.shape)),
        close=close,
        adj_close=close,
        volume=random.uniform(1e6, 1e7, close.shape),
        dividend=np.zeros_like(close),
    )
    return market, [_decisions(f"planted_{k}", days, told, turning, regime, random) for k in range(3)]


def _decisions(
    name: str,
    days: np.ndarray,
    told: np.ndarray,
    turning: np.ndarray,
    regime: np.ndarray,
    random: np.random.Generator,
) -> Decisions:
    slots = np.array([random.permutation(_INSTRUMENTS)[:STOCKS] for _ in days])
    rows = np.arange(len(days))[:, None]
    stocks = random.normal(size=(len(days), STOCKS, _FEATURES)).astype(np.float32)
    stocks[:, :, 0], stocks[:, :, 1] = told[rows, slots], turning[rows, slots]
    context = random.normal(size=(len(days), _CONTEXT)).astype(np.float32)
    context[:, -1], context[:, -2] = regime > 0, regime < 0
    return Decisions(name, days, slots, stocks, context)


def _cut(decisions: Decisions, rows: slice) -> Decisions:
    return Decisions(
        decisions.strategy,
        decisions.session_index[rows],
        decisions.slots[rows],
        decisions.stocks[rows],
        decisions.context[rows],
    )


def learning_curve(seed: int = 7) -> Iterator[dict[str, float]]:
    """Yearly Sharpe ratios after 100,000 and 1,000,000 steps of one seed: the validation year and two years after it.

    Without the exams, too: what the same steps come to where the last network is taken.
    """
    market, decisions = _planted(seed)
    parts = [slice(None, -3 * _YEAR), slice(-3 * _YEAR, -2 * _YEAR), slice(-2 * _YEAR, None)]
    lessons = [_cut(d, parts[0]) for d in decisions]
    scales = Scales.fit(
        np.concatenate([d.stocks for d in lessons]),
        np.concatenate([tradable(market, d) for d in lessons]),
        np.concatenate([d.context for d in lessons]),
    )
    recordings: list[Recording] = [record(market, [_cut(d, part) for d in decisions], scales) for part in parts]
    exams = [Exam(recording) for recording in recordings[1:]]
    for steps in (100_352, FULL_STEPS):
        for validation in (recordings[1], None):
            begun = time.process_time()
            network = learn(recordings[0], _LAYOUT, seed=1, training=Training(steps=steps), validation=validation)
            yield {
                "steps": steps,
                "exams": float(validation is not None),
                "cpu_s": time.process_time() - begun,
                "validation_sharpe": exams[0].score(network) * 252**0.5,
                "test_sharpe": exams[1].score(network) * 252**0.5,
            }


if __name__ == "__main__":
    for point in learning_curve():
        print(json.dumps({name: round(value, 4) for name, value in point.items()}), flush=True)
