"""The allocator's environment and its inference: steps beside the single form, weights beside bare onnxruntime.

50 stocks, 14 features, five sessions a step, whole shares and costs. The single form has the same compiled dynamics;
what it pays for is a call of Python for every step of every portfolio. The bars are what this first version holds.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnxruntime
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.claim import Claim, Cost, at_least, at_most, side_by_side
from rl_trading import artefact
from rl_trading.env import AllocationEnv, AllocationVecEnv
from rl_trading.export import export
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.weights import STANDARD_LIMITS
from rl_trading.windows import REBALANCE_SESSIONS, STOCKS, Decisions, Market, Recording, record

_SESSIONS, _INSTRUMENTS = 1_500, 500
_PORTFOLIOS = 64
_STEPS = 200
_STEPS_SINGLE = 1_000
_STRATEGIES = 6
_NIGHTS = 300
_FEATURES, _CONTEXT = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)
_SCALES = Scales(np.zeros(_FEATURES), np.ones(_FEATURES), np.zeros(_CONTEXT), np.ones(_CONTEXT))


def make_recording(seed: int = 0) -> Recording:
    """One strategy's weekly decisions on random walks; a third of the list changes from week to week."""
    random = np.random.default_rng(seed)
    shape = (_SESSIONS, _INSTRUMENTS)
    close = 50 * np.exp(np.cumsum(random.normal(0.0003, 0.015, shape), axis=0))
    market = Market(
        sessions=np.arange(np.datetime64("2010-01-01"), np.datetime64("2010-01-01") + _SESSIONS),
        instrument_ids=np.arange(1, _INSTRUMENTS + 1),
        open=close * np.exp(random.normal(0, 0.004, shape)),
        close=close,
        adj_close=close,
        volume=random.integers(500_000, 20_000_000, shape).astype(np.float64),
        dividend=np.where(random.random(shape) < 0.01, 0.3, 0.0),
    )
    index = np.arange(30, _SESSIONS, REBALANCE_SESSIONS)
    taste = np.zeros(_INSTRUMENTS)
    slots = np.empty((len(index), STOCKS), dtype=np.int64)
    for row in range(len(index)):
        taste = 0.97 * taste + random.normal(size=_INSTRUMENTS)
        slots[row] = np.argsort(-taste)[:STOCKS]
    decisions = Decisions(
        strategy="momentum_largecap",
        session_index=index,
        slots=slots,
        stocks=random.normal(size=(len(index), STOCKS, _FEATURES)).astype(np.float32),
        context=random.normal(size=(len(index), _CONTEXT)).astype(np.float32),
    )
    return record(market, [decisions], _SCALES)


def _cost_of_a_step(recording: Recording) -> tuple[Cost, Cost]:
    random = np.random.default_rng(1)
    many = AllocationVecEnv(recording, _PORTFOLIOS, seed=1)
    single = DummyVecEnv([lambda: AllocationEnv(recording)])
    actions = random.uniform(-1, 1, (16, _PORTFOLIOS, STOCKS + 1)).astype(np.float32)

    def steps_of_many() -> None:
        for step in range(_STEPS):
            many.step(actions[step % 16])

    def steps_of_single() -> None:
        for step in range(_STEPS_SINGLE):
            single.step(actions[step % 16, :1])

    for environment, step in ((many, actions[0]), (single, actions[0, :1])):
        environment.reset()
        environment.step(step)  # the kernels are compiled, or read from their cache, at the first step
    return side_by_side(steps_of_many, steps_of_single)


def _cost_of_weights(folder: Path) -> tuple[Cost, Cost]:
    graph = export(StockEncoder(Layout(STOCKS, _FEATURES, _CONTEXT)).eval(), _SCALES, STANDARD_LIMITS)
    path, digest, _ = artefact.save(folder, 2017, {1: graph}, {"year": 2017})
    policy = artefact.load(folder / path, digest, 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    bare = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(2)
    stocks = random.normal(size=(_STRATEGIES, STOCKS, _FEATURES)).astype(np.float32)
    mask = np.ones((_STRATEGIES, STOCKS), dtype=np.bool_)
    context = random.normal(size=(_STRATEGIES, _CONTEXT)).astype(np.float32)
    held = np.full((_STRATEGIES, STOCKS), 0.0196)
    account = np.tile([0.02, 0.0], (_STRATEGIES, 1))
    ready: dict[str, npt.NDArray[np.float32]] = {
        "stocks": stocks,
        "mask": mask.astype(np.float32),
        "context": context,
        "weights": held.astype(np.float32),
        "account": account.astype(np.float32),
    }

    def ours() -> None:
        for _ in range(_NIGHTS):
            policy.weights(stocks, mask, context, held, account)

    def peer() -> None:
        for _ in range(_NIGHTS):
            bare.run(None, ready)

    return side_by_side(ours, peer)


def measure() -> Iterator[Claim]:
    """Steps of 64 portfolios in arrays beside one under DummyVecEnv; six strategies' weights beside the bare graph."""
    many, single = _cost_of_a_step(make_recording())
    yield at_least(
        f"environment: steps per CPU second of {_PORTFOLIOS} portfolios of {STOCKS} stocks in arrays, beside the single"
        " Gymnasium form of the same dynamics under DummyVecEnv",
        ours=_STEPS * _PORTFOLIOS / many.cpu_s,
        peer=_STEPS_SINGLE / single.cpu_s,
        bar=3.0,
        unit="steps per CPU second",
    )
    with TemporaryDirectory() as folder:
        weights, graph = _cost_of_weights(Path(folder))
    yield at_most(
        f"inference: weights of {_STRATEGIES} strategies x {STOCKS} stocks through the loader, beside bare onnxruntime",
        ours=weights.cpu_s / _NIGHTS,
        peer=graph.cpu_s / _NIGHTS,
        bar=2.0,
        unit="CPU seconds a night",
    )
