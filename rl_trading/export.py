"""The trained network as an ONNX graph: raw features in, weights under the limits out, scales inside.

Written node by node: torch's exporter takes four to sixteen seconds for this network and cannot export a whole
Stable-Baselines3 policy. `export` compares the graph with the network and the environment's own projection before it
hands it out, so the two cannot drift apart.
"""

from collections.abc import Mapping
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
OUTPUT = "allocation"
_TRIAL_ROWS = 64


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

    def linear(self, x: str, parameters: Mapping[str, torch.Tensor], layer: str) -> str:
        weight = self.constant(parameters[f"{layer}.weight"].numpy().T)
        return self("Add", self("MatMul", x, weight), self.constant(parameters[f"{layer}.bias"].numpy()))

    def scaled(self, x: str, mean: npt.ArrayLike, spread: npt.ArrayLike) -> str:
        z = self("Div", self("Sub", x, self.constant(mean)), self.constant(spread))
        z = self("Clip", z, self.constant(-CLIP), self.constant(CLIP))
        return self("Where", self("IsNaN", x), self.constant(0.0), z)

    def total(self, x: str, axis: int, *, keep: bool = True) -> str:
        return self("ReduceSum", x, self.constant([axis], np.int64), keepdims=int(keep))


def _means(g: _Graph, parameters: Mapping[str, torch.Tensor], scales: Scales, layout: Layout) -> tuple[str, str]:
    """`StockEncoder.see` without the value: action means of the stocks (b, n) and of cash (b, 1)."""
    one, two = g.constant([1], np.int64), g.constant([2], np.int64)
    present = g("Unsqueeze", "mask", two)
    stocks = g("Mul", g.scaled("stocks", scales.stock_mean, scales.stock_spread), present)
    market = g("Concat", g.scaled("context", scales.context_mean, scales.context_spread), "account", axis=1)
    share = g("Unsqueeze", g("Mul", "weights", g.constant(layout.stocks)), two)
    encoded = g("Relu", g.linear(g("Concat", stocks, share, axis=2), parameters, "encoder.0"))
    encoded = g("Relu", g.linear(encoded, parameters, "encoder.2"))
    count = g("Max", g.total("mask", 1), g.constant(1.0))
    mean = g("Div", g.total(g("Mul", encoded, present), 1, keep=False), count)
    pooled = g("Tanh", g.linear(g("Concat", mean, market, axis=1), parameters, "pooled.0"))
    scale = g("Add", g("Unsqueeze", g.linear(pooled, parameters, "gate"), one), g.constant(1.0))
    shift = g("Unsqueeze", g.linear(pooled, parameters, "shared"), one)
    mixed = g("Tanh", g("Add", g("Mul", g.linear(encoded, parameters, "own"), scale), shift))
    return g("Squeeze", g.linear(mixed, parameters, "stock_head"), two), g.linear(pooled, parameters, "cash_head")


def _preferences(g: _Graph, means: str) -> str:
    clipped = g("Clip", means, g.constant(-1.0), g.constant(1.0))
    return g("Exp", g("Mul", clipped, g.constant(ACTION_SCALE)))


def _project(g: _Graph, stocks: str, cash: str, limits: Limits, count: int) -> None:
    """`weights.project` without loops: sorted by size, the capped stocks are the first ones, as many as it takes for
    the next to stay under the cap."""
    cap, one = g.constant(limits.position_weight_max), g.constant(1.0)
    wanted = g("Mul", stocks, "mask")
    total = g.total(wanted, 1)
    cash_share = g("Max", g("Div", cash, g("Add", total, cash)), g.constant(limits.cash_weight_min))
    ordered = g("TopK", wanted, g.constant([count], np.int64), axis=1, largest=1, sorted=1)
    before = g("CumSum", ordered, g.constant(1, np.int64), exclusive=1)
    # Scale of the uncapped, were the j largest capped: (budget - j * cap) / (mass from place j on).
    left = g("Sub", g("Sub", one, cash_share), g.constant(np.arange(count)[None, :] * limits.position_weight_max))
    scale = g("Div", g("Max", left, g.constant(0.0)), g("Max", g("Sub", total, before), g.constant(1e-12)))
    fits = g("Cast", g("LessOrEqual", g("Mul", scale, ordered), cap), to=TensorProto.FLOAT)
    first = g("ArgMax", fits, axis=1, keepdims=1, select_last_index=0)
    some = g("ReduceMax", fits, g.constant([1], np.int64), keepdims=1)
    free = g("Min", g("Mul", wanted, g("GatherElements", scale, first, axis=1)), cap)
    # Where even the last does not fit, every stock there is gets the cap and the rest stays cash.
    full = g("Mul", g("Mul", "mask", cap), g("Sub", one, some))
    weights = g("Add", g("Mul", free, some), full)
    rest = g("Max", g("Sub", one, g.total(weights, 1)), g.constant(0.0))
    g.nodes.append(helper.make_node("Concat", [weights, rest], [OUTPUT], axis=1))


def _model(network: StockEncoder, scales: Scales, limits: Limits) -> Any:
    layout, g = network.layout, _Graph()
    stocks, cash = _means(g, network.state_dict(), scales, layout)
    _project(g, _preferences(g, stocks), _preferences(g, cash), limits, layout.stocks)
    shapes = {
        "stocks": [layout.stocks, layout.features],
        "mask": [layout.stocks],
        "context": [layout.context],
        "weights": [layout.stocks],
        "account": [2],
    }
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shapes[name]]) for name in INPUTS]
    result = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", layout.stocks + 1])
    graph = helper.make_graph(g.nodes, "allocator", tensors, [result], initializer=g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def export(network: StockEncoder, scales: Scales, limits: Limits) -> bytes:
    """The graph's bytes. IntegrityBroken if it differs from the network in the environment by more than 1e-5.

    Inputs, all float32 with a free batch axis: stocks (b, n, c) and context (b, m) raw with NaN = unknown, mask (b, n)
    of 0 and 1, weights (b, n) held now, account (b, 2) = cash weight, weight of what is held outside the list.
    Output: allocation (b, n + 1), cash last.
    """
    content: bytes = _model(network, scales, limits).SerializeToString()
    inputs = _trial_inputs(network.layout)
    served = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, inputs)[0]
    off = float(np.abs(served - played(network, scales, limits, inputs)).max())
    if not off <= TOLERANCE:
        raise IntegrityBroken(f"the exported graph differs from the network by {off:.2e}, more than {TOLERANCE}")
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
