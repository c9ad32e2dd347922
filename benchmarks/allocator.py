"""The allocator's environment and its inference: steps beside a single environment, weights beside bare onnxruntime.

50 stocks, 14 features, five sessions a step, whole shares and costs. The peer is the same game written the ordinary
way, one portfolio in NumPy and Python under DummyVecEnv (tests hold the two together to the cent); beside it our own
single form, which calls the same compiled dynamics and pays Python only for the calls.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from gymnasium import Env
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.claim import Claim, Cost, at_least, at_most, side_by_side
from rl_trading import artefact
from rl_trading.env import AllocationEnv, AllocationVecEnv
from rl_trading.export import export
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.settings import SEEDS
from rl_trading.weights import STANDARD_LIMITS
from rl_trading.windows import REBALANCE_SESSIONS, STOCKS, Decisions, Market, Recording, record
from tests.factories.plain_allocation import PlainAllocationEnv

_SESSIONS, _INSTRUMENTS = 1_500, 500
_PORTFOLIOS = 64
_STEPS = 200
_STEPS_SINGLE = 1_000
_STEPS_PLAIN = 200
_STRATEGIES = 6
_NIGHTS = 300
_FEATURES, _CONTEXT = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)
_SCALES = Scales(np.zeros(_FEATURES), np.ones(_FEATURES), np.zeros(_CONTEXT), np.ones(_CONTEXT))


def make_game(seed: int = 0) -> tuple[Market, Decisions]:
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
    return market, decisions


def _step_of_many(recording: Recording) -> Callable[[], None]:
    many = AllocationVecEnv(recording, _PORTFOLIOS, seed=1)
    actions = np.random.default_rng(1).uniform(-1, 1, (16, _PORTFOLIOS, STOCKS + 1)).astype(np.float32)

    def steps() -> None:
        for step in range(_STEPS):
            many.step(actions[step % 16])

    many.reset()
    many.step(actions[0])  # the kernels are compiled, or read from their cache, at the first step
    return steps


def _step_of_single(make: Callable[[], Env[Any, Any]], count: int) -> Callable[[], None]:
    single = DummyVecEnv([make])
    actions = np.random.default_rng(1).uniform(-1, 1, (16, 1, STOCKS + 1)).astype(np.float32)

    def steps() -> None:
        for step in range(count):
            single.step(actions[step % 16])

    single.reset()
    single.step(actions[0])
    return steps


def _cost_of_weights(folder: Path) -> tuple[Cost, Cost]:
    networks = [StockEncoder(Layout(STOCKS, _FEATURES, _CONTEXT)).eval() for _ in range(SEEDS)]
    graph = export(networks, _SCALES, STANDARD_LIMITS)
    path, digest, _ = artefact.save(folder, 2017, graph, {"year": 2017})
    policy = artefact.load(folder / path, digest)
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
    """Steps of 64 portfolios in arrays beside one; six strategies' weights beside the bare graph."""
    market, decisions = make_game()
    recording = record(market, [decisions], _SCALES)
    many = _step_of_many(recording)
    plain = _step_of_single(lambda: PlainAllocationEnv(market, decisions, _SCALES), _STEPS_PLAIN)
    ours, peer = side_by_side(many, plain)
    yield at_least(
        f"environment: steps per CPU second of {_PORTFOLIOS} portfolios of {STOCKS} stocks in arrays, beside a single"
        " Gymnasium environment of the same dynamics in NumPy and Python under DummyVecEnv",
        ours=_STEPS * _PORTFOLIOS / ours.cpu_s,
        peer=_STEPS_PLAIN / peer.cpu_s,
        bar=50.0,
        unit="steps per CPU second",
    )
    yield at_least(
        "environment: the same against the number that was asked for",
        ours=_STEPS * _PORTFOLIOS / ours.cpu_s,
        peer=100_000.0,
        bar=1.0,
        unit="steps per CPU second",
    )
    ours, peer = side_by_side(many, _step_of_single(lambda: AllocationEnv(recording), _STEPS_SINGLE))
    yield at_least(
        "environment: the same beside our own single form, which has the compiled dynamics, under DummyVecEnv",
        ours=_STEPS * _PORTFOLIOS / ours.cpu_s,
        peer=_STEPS_SINGLE / peer.cpu_s,
        bar=5.0,
        unit="steps per CPU second",
    )
    with TemporaryDirectory() as folder:
        weights, graph = _cost_of_weights(Path(folder))
    yield at_most(
        f"inference: weights of {_STRATEGIES} strategies x {STOCKS} stocks by {SEEDS} seeds through the loader, beside"
        " bare onnxruntime",
        ours=weights.cpu_s / _NIGHTS,
        peer=graph.cpu_s / _NIGHTS,
        bar=2.0,
        unit="CPU seconds a night",
    )
