"""The trained networks of all seeds as one ONNX graph: raw features in, weights under the limits out, scales inside.

The seeds lie along a first axis of every tensor, so the graph is as long as that of one. What it answers is the mean of
the seeds' weights, which keeps every limit that each of them keeps, and the weights of each seed. Written node by node:
torch's exporter takes four to sixteen seconds for this network and cannot export a whole Stable-Baselines3 policy.
`export` compares the graph with the networks and the environment's own projection before it hands it out, so they
cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from core.errors import IntegrityBroken
from rl_trading.observation import CLIP, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.weights import ACTION_SCALE, Limits, weigh_actions

TOLERANCE = 1e-5
_OPSET = 18
_IR_VERSION = 10
INPUTS = ("stocks", "mask", "context", "weights", "account")
OUTPUT, SEEDS_OUTPUT = "allocation", "seeds"
_TRIAL_ROWS = 64


# By name: the seeds' weights (k, out, in) and biases (k, out), with axes of one for those of x in between.
Parameters = Mapping[str, npt.NDArray[np.float32]]


class _Graph:
    """Nodes and constants of a graph under construction; every call names its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: npt.ArrayLike, kind: type = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def __call__(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operation.lower()}_{len(self.nodes)}"
        # TopK alone answers two tensors; the second, the places, is not used.
        outputs = [name, f"{name}_places"] if operation == "TopK" else [name]
        self.nodes.append(helper.make_node(operation, list(inputs), outputs, **attributes))
        return name

    def linear(self, x: str, parameters: Parameters, layer: str) -> str:
        """`layer` of every seed on x (1 or k, b, ...), whose last axis it maps."""
        weight, bias = parameters[f"{layer}.weight"], parameters[f"{layer}.bias"]
        product = self("MatMul", x, self.constant(np.moveaxis(weight, -1, -2)))
        return self("Add", product, self.constant(bias))

    def scaled(self, x: str, mean: npt.ArrayLike, spread: npt.ArrayLike) -> str:
        z = self("Div", self("Sub", x, self.constant(mean)), self.constant(spread))
        z = self("Clip", z, self.constant(-CLIP), self.constant(CLIP))
        return self("Where", self("IsNaN", x), self.constant(0.0), z)

    def total(self, x: str, axis: int, *, keep: bool = True) -> str:
        return self("ReduceSum", x, self.constant([axis], np.int64), keepdims=int(keep))


def _stacked(networks: Sequence[StockEncoder]) -> tuple[Parameters, Parameters]:
    """The networks' parameters side by side: for tensors (k, b, n, width) and for tensors (k, b, width)."""
    states = [network.state_dict() for network in networks]
    stacked = {name: np.stack([state[name].cpu().numpy() for state in states]) for name in states[0]}
    biases = {name: value[:, None, :] for name, value in stacked.items() if name.endswith("bias")}
    flat = stacked | biases
    deep = {name: np.expand_dims(value, 1) for name, value in flat.items()}
    return deep, flat


def _means(g: _Graph, deep: Parameters, flat: Parameters, scales: Scales, layout: Layout) -> tuple[str, str]:
    """`StockEncoder.see` without the value: action means of the stocks (k, b, n) and of cash (k, b, 1)."""
    two, three = g.constant([2], np.int64), g.constant([3], np.int64)
    present = g("Unsqueeze", "mask", two)
    stocks = g("Mul", g.scaled("stocks", scales.stock_mean, scales.stock_spread), present)
    market = g("Concat", g.scaled("context", scales.context_mean, scales.context_spread), "account", axis=1)
    share = g("Unsqueeze", g("Mul", "weights", g.constant(layout.stocks)), two)
    seed_axis = g.constant([0], np.int64)
    seen = g("Unsqueeze", g("Concat", stocks, share, axis=2), seed_axis)
    encoded = g("Relu", g.linear(seen, deep, "encoder.0"))
    encoded = g("Relu", g.linear(encoded, deep, "encoder.2"))
    count = g("Max", g.total("mask", 1), g.constant(1.0))
    mean = g("Div", g.total(g("Mul", encoded, present), 2, keep=False), count)
    pooled = g("Tanh", _pooled(g, flat, mean, g("Unsqueeze", market, seed_axis)))
    scale = g("Add", g("Unsqueeze", g.linear(pooled, flat, "gate"), two), g.constant(1.0))
    shift = g("Unsqueeze", g.linear(pooled, flat, "shared"), two)
    mixed = g("Tanh", g("Add", g("Mul", g.linear(encoded, deep, "own"), scale), shift))
    return g("Squeeze", g.linear(mixed, deep, "stock_head"), three), g.linear(pooled, flat, "cash_head")


def _pooled(g: _Graph, flat: Parameters, mean: str, market: str) -> str:
    """The layer `pooled.0` on (mean, market), part by part: the market is the same for all seeds."""
    weight, bias = flat["pooled.0.weight"], flat["pooled.0.bias"]
    width = weight.shape[1]
    of_mean = {"part.weight": weight[:, :, :width], "part.bias": bias}
    of_market = {"part.weight": weight[:, :, width:], "part.bias": np.zeros_like(bias)}
    return g("Add", g.linear(mean, of_mean, "part"), g.linear(market, of_market, "part"))


def _preferences(g: _Graph, means: str) -> str:
    clipped = g("Clip", means, g.constant(-1.0), g.constant(1.0))
    return g("Exp", g("Mul", clipped, g.constant(ACTION_SCALE)))


def _project(g: _Graph, stocks: str, cash: str, limits: Limits, count: int) -> None:
    """`weights.project` without loops: sorted by size, the capped stocks are the first ones, as many as it takes for
    the next to stay under the cap. Seed by seed, then the mean of the seeds."""
    cap, one = g.constant(limits.position_weight_max), g.constant(1.0)
    wanted = g("Mul", stocks, "mask")
    total = g.total(wanted, 2)
    cash_share = g("Max", g("Div", cash, g("Add", total, cash)), g.constant(limits.cash_weight_min))
    ordered = g("TopK", wanted, g.constant([count], np.int64), axis=2, largest=1, sorted=1)
    before = g("CumSum", ordered, g.constant(2, np.int64), exclusive=1)
    # Scale of the uncapped, were the j largest capped: (budget - j * cap) / (mass from place j on).
    left = g("Sub", g("Sub", one, cash_share), g.constant(np.arange(count)[None, :] * limits.position_weight_max))
    scale = g("Div", g("Max", left, g.constant(0.0)), g("Max", g("Sub", total, before), g.constant(1e-12)))
    fits = g("Cast", g("LessOrEqual", g("Mul", scale, ordered), cap), to=TensorProto.FLOAT)
    first = g("ArgMax", fits, axis=2, keepdims=1, select_last_index=0)
    some = g("ReduceMax", fits, g.constant([2], np.int64), keepdims=1)
    free = g("Min", g("Mul", wanted, g("GatherElements", scale, first, axis=2)), cap)
    # Where even the last does not fit, every stock there is gets the cap and the rest stays cash.
    full = g("Mul", g("Mul", "mask", cap), g("Sub", one, some))
    weights = g("Add", g("Mul", free, some), full)
    rest = g("Max", g("Sub", one, g.total(weights, 2)), g.constant(0.0))
    g.nodes.append(helper.make_node("Concat", [weights, rest], [SEEDS_OUTPUT], axis=2))
    seeds = g.constant([0], np.int64)
    g.nodes.append(helper.make_node("ReduceMean", [SEEDS_OUTPUT, seeds], [OUTPUT], keepdims=0))


def _model(networks: Sequence[StockEncoder], scales: Scales, limits: Limits) -> Any:
    layout, g = networks[0].layout, _Graph()
    stocks, cash = _means(g, *_stacked(networks), scales, layout)
    _project(g, _preferences(g, stocks), _preferences(g, cash), limits, layout.stocks)
    shapes = {
        "stocks": [layout.stocks, layout.features],
        "mask": [layout.stocks],
        "context": [layout.context],
        "weights": [layout.stocks],
        "account": [2],
    }
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shapes[name]]) for name in INPUTS]
    size = layout.stocks + 1
    results = [
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", size]),
        helper.make_tensor_value_info(SEEDS_OUTPUT, TensorProto.FLOAT, [len(networks), "batch", size]),
    ]
    graph = helper.make_graph(g.nodes, "allocator", tensors, results, initializer=g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def export(networks: Sequence[StockEncoder], scales: Scales, limits: Limits) -> bytes:
    """The graph's bytes. IntegrityBroken if it differs from the networks in the environment by more than 1e-5.

    Inputs, all float32 with a free batch axis: stocks (b, n, c) and context (b, m) raw with NaN = unknown, mask (b, n)
    of 0 and 1, weights (b, n) held now, account (b, 2) = cash weight, weight of what is held outside the list.
    Outputs, cash last: allocation (b, n + 1), the mean of the seeds (k, b, n + 1).
    """
    content: bytes = _model(networks, scales, limits).SerializeToString()
    inputs = _trial_inputs(networks[0].layout)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    mean, seeds = graph.run([OUTPUT, SEEDS_OUTPUT], inputs)
    here = np.stack([played(network, scales, limits, inputs) for network in networks])
    off = max(float(np.abs(seeds - here).max()), float(np.abs(mean - here.mean(axis=0)).max()))
    if not off <= TOLERANCE:
        raise IntegrityBroken(f"the exported graph differs from the networks by {off:.2e}, more than {TOLERANCE}")
    return content


def played(
    network: StockEncoder, scales: Scales, limits: Limits, inputs: Mapping[str, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:
    """What the network does with the same inputs in the environment: encode, act, project."""
    mask = inputs["mask"] > 0
    static = scales.encode(inputs["stocks"], mask, inputs["context"])
    observation = np.concatenate([static, inputs["weights"], inputs["account"]], axis=1)
    with torch.no_grad():
        means, _ = network(torch.from_numpy(observation))
    weights = np.empty((len(mask), mask.shape[1] + 1))
    actions = means.numpy().astype(np.float64)
    weigh_actions(actions, mask, limits.position_weight_max, limits.cash_weight_min, weights)
    return weights


def _trial_inputs(layout: Layout) -> dict[str, npt.NDArray[np.float32]]:
    """Rows with wild, missing and masked values."""
    generator = np.random.default_rng(0)
    rows, n = _TRIAL_ROWS, layout.stocks
    stocks = 3.0 * generator.normal(size=(rows, n, layout.features))
    stocks[generator.random(stocks.shape) < 0.05] = np.nan
    present = generator.integers(0, n + 1, size=rows)
    weights = generator.random((rows, n)) / n
    inputs = {
        "stocks": stocks,
        "mask": np.arange(n)[None, :] < present[:, None],
        "context": 3.0 * generator.normal(size=(rows, layout.context)),
        "weights": weights,
        "account": np.stack([1.0 - weights.sum(axis=1), np.zeros(rows)], axis=1),
    }
    return {name: values.astype(np.float32) for name, values in inputs.items()}
