"""From features to weights: six strategies over 2,000 stocks, beside the bare calls of the libraries on such matrices.

Ours scores every stock, ranks, explains the best hundred in words, lays out the best fifty and asks a policy of ten
seeds for exact weights. The bare calls are XGBoost's fastest score of every stock, its contributions of the hundred,
and onnxruntime's run of the same graph. Models are made here: what they know does not matter, how large they are does.
Memory is that of a process of its own, after a hundred nights and after a thousand.
"""

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnxruntime
import polars as pl
import xgboost

from benchmarks.claim import Claim, at_most, side_by_side
from database.tables.regimes import LABELS
from features.library import FEATURES
from ml_models.algorithms.xgboost_trees import WEEKLY, XgboostModel, library_parameters
from ml_models.dataset import Matrix
from ml_models.explain import stand
from ml_models.recipes import RECIPES
from ml_models.screening import TOP, Shown, screen
from rl_trading import artefact
from rl_trading.artefact import Policy
from rl_trading.export import export
from rl_trading.night import Candidates, lay_out
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.prices import PastPrices
from rl_trading.settings import SEEDS
from rl_trading.weights import STANDARD_LIMITS, quantise
from rl_trading.windows import STOCKS

UNIVERSE, LESSONS, TREES = 2_000, 4_000, 120
NIGHTS, NIGHTS_WARM = 1_000, 100
UNIVERSE_SMALL, TREES_SMALL = 500, 20
NIGHT = date(2017, 6, 30)
_FEATURES = tuple(FEATURES.values())
_NAMES = list(FEATURES)
_REGIME = dict.fromkeys(LABELS, 1 / len(LABELS))


@dataclass(frozen=True)
class Evening:
    """What a night begins with: the day's features as they are read from the store, and past prices."""

    frame: pl.DataFrame
    prices: PastPrices


def make_evening(stocks: int) -> Evening:
    """Features of noise, one in twenty unknown, and two years of random walks."""
    random = np.random.default_rng(0)
    values = random.standard_normal((len(FEATURES), stocks), dtype=np.float32)
    values[random.random(values.shape) < 0.05] = np.nan
    ids = np.arange(1, stocks + 1)
    closes = 50.0 * np.exp(random.normal(0.0003, 0.018, (505, stocks)).cumsum(axis=0))
    days = np.array([NIGHT - timedelta(days=back) for back in range(504, -1, -1)], dtype="datetime64[D]")
    keys = {"session_on": [NIGHT] * stocks, "instrument_id": ids.astype(np.int32), "close": closes[-1]}
    frame = pl.DataFrame({**keys, **dict(zip(FEATURES, values, strict=True))})
    return Evening(frame, PastPrices(days, ids, closes))


def make_model(seed: int, trees: int) -> XgboostModel:
    """A screener of the usual shape."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((LESSONS, len(FEATURES)), dtype=np.float32)
    labels = (X[:, :30].sum(axis=1) + 4.0 * random.standard_normal(LESSONS) > 0).astype(np.float32)
    rows = xgboost.QuantileDMatrix(X, label=labels, feature_names=_NAMES, nthread=1, max_bin=WEEKLY["bins_max"])
    parameters = library_parameters({**WEEKLY, "leaf_rows_min": 10, "seed": seed}) | {"nthread": 1}
    return XgboostModel(xgboost.train(parameters, rows, num_boost_round=trees))


@cache
def make_graph() -> bytes:
    """A policy of the usual number of seeds, untrained."""
    features, context = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)
    networks = [StockEncoder(Layout(STOCKS, features, context)).eval() for _ in range(SEEDS)]
    scales = Scales(np.zeros(features), np.ones(features), np.zeros(context), np.ones(context))
    return export(networks, scales, STANDARD_LIMITS)


def load_policy(graph: bytes) -> Policy:
    """The policy through the loader that serves."""
    with TemporaryDirectory() as folder:
        path, digest, _ = artefact.save(Path(folder), NIGHT.year, graph, {"year": NIGHT.year})
        return artefact.load(Path(folder) / path, digest)


def run_night(evening: Evening, models: list[XgboostModel], policy: Policy) -> None:
    """From the features of the store to exact weights of every strategy."""
    X = np.ascontiguousarray(evening.frame.select(_NAMES).to_numpy(), dtype=np.float32)
    shown = Shown(evening.frame["instrument_id"].to_numpy(), X, _FEATURES, stand(X))
    for model in models:
        rows = screen(model, shown, explained=True)
        chosen = list(zip(rows.instrument_ids[:STOCKS].tolist(), rows.scores[:STOCKS].tolist(), strict=True))
        seen = lay_out(chosen, evening.frame, _REGIME, evening.prices)
        quantise(_weigh(policy, seen)[:-1])


def _weigh(policy: Policy, seen: Candidates) -> npt.NDArray[np.float64]:
    held, account = np.zeros((1, STOCKS)), np.array([[1.0, 0.0]])
    weights = policy.weights(seen.stocks[None], seen.mask[None], seen.context[None], held, account)
    return np.asarray(weights[0])


def call_libraries(
    X: Matrix,
    boosters: list[xgboost.Booster],
    best: list[Matrix],
    session: onnxruntime.InferenceSession,
    inputs: list[dict[str, npt.NDArray[np.float32]]],
) -> None:
    """The libraries' calls and nothing else; which stocks are best is known to them."""
    for booster, top, listed in zip(boosters, best, inputs, strict=True):
        booster.inplace_predict(X, predict_type="margin")
        booster.predict(xgboost.DMatrix(top, feature_names=_NAMES, nthread=1), pred_contribs=True)
        session.run(["allocation"], listed)


def _bare(evening: Evening, models: list[XgboostModel], graph: bytes) -> Callable[[], None]:
    """The libraries' calls on the matrices that ours makes on the way."""
    X = np.ascontiguousarray(evening.frame.select(_NAMES).to_numpy(), dtype=np.float32)
    best = [np.ascontiguousarray(X[np.argsort(-model.margins(X), kind="stable")[:TOP]]) for model in models]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = {
        "stocks": np.random.default_rng(1).standard_normal((1, STOCKS, len(STOCK_COLUMNS)), dtype=np.float32),
        "mask": np.ones((1, STOCKS), dtype=np.float32),
        "context": np.zeros((1, len(CONTEXT_COLUMNS)), dtype=np.float32),
        "weights": np.zeros((1, STOCKS), dtype=np.float32),
        "account": np.array([[1.0, 0.0]], dtype=np.float32),
    }
    return partial(call_libraries, X, [model.booster for model in models], best, session, [inputs] * len(models))


def _memory_bytes(graph: bytes) -> tuple[float, float]:
    """Resident memory after `NIGHTS_WARM` nights and after `NIGHTS`; small ones: a leak counts calls, not stocks."""
    evening = make_evening(UNIVERSE_SMALL)
    models = [make_model(seed, TREES_SMALL) for seed in range(len(RECIPES))]
    policy, found = load_policy(graph), []
    for night in range(1, NIGHTS + 1):
        run_night(evening, models, policy)
        if night in {NIGHTS_WARM, NIGHTS}:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found.append(float(pages * resource.getpagesize()))
    return found[0], found[1]


def measure() -> Iterator[Claim]:
    """A night's inference beside the libraries' calls, its seconds, and memory over a thousand nights."""
    evening = make_evening(UNIVERSE)
    models = [make_model(seed, TREES) for seed in range(len(RECIPES))]
    graph = make_graph()
    night, bare = partial(run_night, evening, models, load_policy(graph)), _bare(evening, models, graph)
    night(), bare()  # the first calls set up what later ones find
    ours, peer = side_by_side(night, bare, best_of=15)
    name = f"a night's inference, {len(models)} strategies over {UNIVERSE:,} stocks, from features to weights"
    yield at_most(
        f"{name}, reasons in words included: CPU beside the bare calls of XGBoost and onnxruntime",
        ours=ours.cpu_s,
        peer=peer.cpu_s,
        bar=1.3,
        unit="CPU s",
    )
    yield at_most(f"{name}: warm, within one second of one core", ours=ours.cpu_s, peer=1.0, bar=1.0, unit="CPU s")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        warm, last = pool.apply(_memory_bytes, (graph,))
    yield at_most(
        f"resident memory after {NIGHTS:,} nights beside after {NIGHTS_WARM}",
        ours=last,
        peer=warm,
        bar=1.02,
        unit="bytes",
    )
