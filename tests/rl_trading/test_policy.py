"""The network: no sense of place, and the exported graph is the same function."""

import numpy as np
import onnxruntime
import pytest
import torch

from core.errors import IntegrityBroken
from rl_trading import export as exporting
from rl_trading.export import OUTPUT, SEEDS_OUTPUT, TOLERANCE, export, played
from rl_trading.observation import Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.weights import Limits

LAYOUT = Layout(stocks=20, features=5, context=4)
LIMITS = Limits(position_weight_max=0.12, cash_weight_min=0.02)


def _network(seed: int = 0, spread: float = 0.5) -> StockEncoder:
    torch.manual_seed(seed)
    network = StockEncoder(LAYOUT).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, spread)
    return network


def _scales(seed: int = 0) -> Scales:
    generator = np.random.default_rng(seed)
    return Scales(
        generator.normal(size=5), generator.uniform(0.5, 2, 5), generator.normal(size=4), generator.uniform(0.5, 2, 4)
    )


def _inputs(rows: int, seed: int = 1, missing: float = 0.1) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    stocks = generator.normal(size=(rows, 20, 5))
    stocks[generator.random(stocks.shape) < missing] = np.nan
    held = generator.random((rows, 20)) / 25
    values = {
        "stocks": stocks,
        "mask": np.arange(20)[None, :] < generator.integers(0, 21, rows)[:, None],
        "context": generator.normal(size=(rows, 4)),
        "weights": held,
        "account": np.stack([1 - held.sum(axis=1), np.zeros(rows)], axis=1),
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def _shuffled(inputs: dict[str, np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    return {name: value[:, order] if name in {"stocks", "mask", "weights"} else value for name, value in inputs.items()}


def _serve(content: bytes, inputs: dict[str, np.ndarray]) -> np.ndarray:
    result: np.ndarray = onnxruntime.InferenceSession(content).run(None, inputs)[0]
    return result


class TestStockEncoder:
    def test_permuting_stocks_permutes_weights(self) -> None:
        inputs, order = _inputs(8), np.random.default_rng(3).permutation(20)
        straight = played(_network(), _scales(), LIMITS, inputs)
        shuffled = played(_network(), _scales(), LIMITS, _shuffled(inputs, order))
        assert np.ptp(straight[:, :-1], axis=1).max() > 0.01
        assert shuffled[:, :-1] == pytest.approx(straight[:, order], abs=1e-6)
        assert shuffled[:, -1] == pytest.approx(straight[:, -1], abs=1e-6)

    def test_value_does_not_know_the_order(self) -> None:
        inputs, order = _inputs(8, missing=0.0), np.random.default_rng(3).permutation(20)
        parts = [[torch.from_numpy(v) for v in i.values()] for i in (inputs, _shuffled(inputs, order))]
        with torch.no_grad():
            straight, shuffled = (_network().see(*part)[1] for part in parts)
        assert torch.allclose(straight, shuffled, atol=1e-5)

    def test_empty_slots_do_not_matter(self) -> None:
        inputs = _inputs(8)
        changed = {name: value.copy() for name, value in inputs.items()}
        changed["stocks"][inputs["mask"] == 0] = 9.0
        same = [played(_network(), _scales(), LIMITS, i) for i in (inputs, changed)]
        assert same[0] == pytest.approx(same[1], abs=1e-9)

    def test_starts_near_equal_weight(self) -> None:
        torch.manual_seed(1)
        inputs = _inputs(4)
        inputs["mask"][:] = 1.0
        weights = played(StockEncoder(LAYOUT).eval(), _scales(), LIMITS, inputs)
        assert weights[:, :-1] == pytest.approx(np.full((4, 20), 1 / 21), abs=0.01)


class TestExport:
    @pytest.mark.parametrize("rows", [1, 2, 33])
    @pytest.mark.parametrize("spread", [0.05, 0.4])
    def test_graph_equals_network_and_environment(self, rows: int, spread: float) -> None:
        network, inputs = _network(spread=spread), _inputs(rows)
        served = _serve(export([network], _scales(), LIMITS), inputs)
        assert np.abs(served - played(network, _scales(), LIMITS, inputs)).max() <= TOLERANCE

    def test_seeds_lie_side_by_side_and_the_answer_is_their_mean(self) -> None:
        networks, inputs = [_network(seed) for seed in range(4)], _inputs(7)
        graph = onnxruntime.InferenceSession(export(networks, _scales(), LIMITS))
        mean, seeds = graph.run([OUTPUT, SEEDS_OUTPUT], inputs)
        here = np.stack([played(network, _scales(), LIMITS, inputs) for network in networks])
        assert np.abs(seeds - here).max() <= TOLERANCE
        assert np.abs(mean - here.mean(axis=0)).max() <= TOLERANCE
        # A mean of weights keeps the limits that each keeps.
        assert mean[:, :-1].max() <= 0.12 + 1e-6
        assert mean[:, -1].min() >= 0.02 - 1e-6

    def test_limits_bind_in_the_graph(self) -> None:
        served = _serve(export([_network(spread=0.8)], _scales(), LIMITS), _inputs(200))
        assert served[:, :-1].max() == pytest.approx(0.12, abs=1e-6)
        assert served[:, -1].min() >= 0.02 - 1e-5
        assert served.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)

    def test_same_network_same_bytes(self) -> None:
        assert export([_network()], _scales(), LIMITS) == export([_network()], _scales(), LIMITS)

    def test_a_graph_that_differs_is_not_handed_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exporting, "ACTION_SCALE", 2.9)
        with pytest.raises(IntegrityBroken, match="differs from the networks"):
            export([_network()], _scales(), LIMITS)
