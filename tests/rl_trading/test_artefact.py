"""Policies on disk: refused where anything differs from what was stored, loaded without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import IntegrityBroken
from rl_trading import artefact
from rl_trading.artefact import MANIFEST_FILE, POLICY_FILE, Policy, load, save
from rl_trading.export import export
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.weights import Limits
from rl_trading.windows import STOCKS

FEATURES, CONTEXT = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)


def make_graph(*seeds: int) -> bytes:
    """One policy of networks with these seeds."""
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        network = StockEncoder(Layout(STOCKS, FEATURES, CONTEXT)).eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
        networks.append(network)
    scales = Scales(np.zeros(FEATURES), np.ones(FEATURES), np.zeros(CONTEXT), np.ones(CONTEXT))
    return export(networks, scales, Limits())


def make_inputs(rows: int = 3) -> tuple[np.ndarray, ...]:
    """Stocks, mask, context, weights held, account; one row has fewer stocks, one unknown values."""
    mask = np.ones((rows, STOCKS), dtype=np.bool_)
    mask[1, 30:] = False
    stocks = np.random.default_rng(0).normal(size=(rows, STOCKS, FEATURES)).astype(np.float32)
    stocks[2, :, 3] = np.nan
    context = np.zeros((rows, CONTEXT), dtype=np.float32)
    return stocks, mask, context, np.zeros((rows, STOCKS)), np.tile([1.0, 0.0], (rows, 1))


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, str]:
    folder, digest, _ = save(tmp_path, 2017, make_graph(1, 2), {"year": 2017})
    return tmp_path / folder, digest


class TestSave:
    def test_same_content_same_folder_and_nothing_rewritten(self, tmp_path: Path) -> None:
        graph = make_graph(1)
        first = save(tmp_path, 2017, graph, {"year": 2017})
        before = (tmp_path / first[0] / MANIFEST_FILE).stat().st_mtime_ns
        assert save(tmp_path, 2017, graph, {"year": 2017}) == first
        assert (tmp_path / first[0] / MANIFEST_FILE).stat().st_mtime_ns == before
        assert not list((tmp_path / first[0]).parent.glob(".building-*"))

    def test_damaged_artefact_is_made_whole(self, stored: tuple[Path, str]) -> None:
        target, _ = stored
        (target / POLICY_FILE).write_bytes(b"")
        save(target.parent.parent, 2017, make_graph(1, 2), {"year": 2017})
        assert (target / POLICY_FILE).read_bytes() == make_graph(1, 2)


class TestLoad:
    def test_weighs(self, stored: tuple[Path, str]) -> None:
        weights = load(*stored).weights(*make_inputs())
        assert weights.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
        assert (weights[1, 30:STOCKS] == 0).all()
        assert weights[:, :-1].max() <= 0.08 + 1e-6

    def test_the_policy_is_the_mean_of_its_seeds(self, stored: tuple[Path, str]) -> None:
        policy = load(*stored)
        by_seed = policy.weights_by_seed(*make_inputs())
        assert (policy.seeds, by_seed.shape) == (2, (2, 3, STOCKS + 1))
        assert policy.weights(*make_inputs()) == pytest.approx(by_seed.mean(axis=0), abs=1e-7)
        for seed in (1, 2):
            alone = Policy(make_graph(seed)).weights(*make_inputs())
            assert by_seed[seed - 1] == pytest.approx(alone, abs=1e-6)
        assert np.abs(by_seed[0] - by_seed[1]).max() > 0.01

    @pytest.mark.parametrize("name", [MANIFEST_FILE, POLICY_FILE])
    def test_refuses_an_edited_file(self, stored: tuple[Path, str], name: str) -> None:
        path = stored[0] / name
        path.write_bytes(path.read_bytes()[:-1] + b" ")
        with pytest.raises(IntegrityBroken, match="not the"):
            load(*stored)

    def test_refuses_another_fold_s_graph(self, stored: tuple[Path, str]) -> None:
        (stored[0] / POLICY_FILE).write_bytes(make_graph(2, 1))
        with pytest.raises(IntegrityBroken, match="not the file of its manifest"):
            load(*stored)

    def test_refuses_a_missing_file_and_names_the_remedy(self, stored: tuple[Path, str]) -> None:
        (stored[0] / POLICY_FILE).unlink()
        with pytest.raises(IntegrityBroken, match="acis train allocator"):
            load(*stored)

    def test_refuses_other_columns(self, stored: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert json.loads((stored[0] / MANIFEST_FILE).read_text())["stock_columns"] == list(STOCK_COLUMNS)
        monkeypatch.setattr(artefact, "STOCK_COLUMNS", (*STOCK_COLUMNS[1:], STOCK_COLUMNS[0]))
        with pytest.raises(IntegrityBroken, match="stock_columns differ"):
            load(*stored)


class TestWithoutTorch:
    def test_neither_the_night_nor_the_training_job_loads_it(self, repository: Path) -> None:
        modules = "rl_trading.service, rl_trading.training, mlops.jobs.train_allocator"
        heavy = ("torch", "stable_baselines3", "gymnasium")
        check = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", check], cwd=repository, capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stdout.strip() == "[]"
