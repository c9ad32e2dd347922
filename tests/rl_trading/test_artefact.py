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
from rl_trading.artefact import MANIFEST_FILE, load, policy_file, save
from rl_trading.export import export
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.policy import StockEncoder
from rl_trading.weights import Limits
from rl_trading.windows import STOCKS

FEATURES, CONTEXT = len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)


def make_graph(seed: int) -> bytes:
    torch.manual_seed(seed)
    network = StockEncoder(Layout(STOCKS, FEATURES, CONTEXT)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    scales = Scales(np.zeros(FEATURES), np.ones(FEATURES), np.zeros(CONTEXT), np.ones(CONTEXT))
    return export(network, scales, Limits())


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, str]:
    folder, digest, _ = save(tmp_path, 2017, {1: make_graph(1), 2: make_graph(2)}, {"year": 2017})
    return tmp_path / folder, digest


class TestSave:
    def test_same_content_same_folder_and_nothing_rewritten(self, tmp_path: Path) -> None:
        graphs = {1: make_graph(1)}
        first = save(tmp_path, 2017, graphs, {"year": 2017})
        before = (tmp_path / first[0] / MANIFEST_FILE).stat().st_mtime_ns
        assert save(tmp_path, 2017, graphs, {"year": 2017}) == first
        assert (tmp_path / first[0] / MANIFEST_FILE).stat().st_mtime_ns == before
        assert not list((tmp_path / first[0]).parent.glob(".building-*"))

    def test_damaged_artefact_is_made_whole(self, stored: tuple[Path, str]) -> None:
        target, _ = stored
        (target / policy_file(1)).write_bytes(b"")
        save(target.parent.parent, 2017, {1: make_graph(1), 2: make_graph(2)}, {"year": 2017})
        assert (target / policy_file(1)).read_bytes() == make_graph(1)


class TestLoad:
    def test_weighs(self, stored: tuple[Path, str]) -> None:
        policy = load(*stored, 2)
        mask = np.ones((3, STOCKS), dtype=np.bool_)
        mask[1, 30:] = False
        stocks = np.random.default_rng(0).normal(size=(3, STOCKS, FEATURES)).astype(np.float32)
        stocks[2, :, 3] = np.nan
        context = np.zeros((3, CONTEXT), dtype=np.float32)
        weights = policy.weights(stocks, mask, context, np.zeros((3, STOCKS)), np.tile([1.0, 0.0], (3, 1)))
        assert weights.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
        assert (weights[1, 30:STOCKS] == 0).all()
        assert weights[:, :-1].max() <= 0.08 + 1e-6

    @pytest.mark.parametrize("name", [MANIFEST_FILE, policy_file(1)])
    def test_refuses_an_edited_file(self, stored: tuple[Path, str], name: str) -> None:
        path = stored[0] / name
        path.write_bytes(path.read_bytes()[:-1] + b" ")
        with pytest.raises(IntegrityBroken, match="not the"):
            load(*stored, 1)

    def test_refuses_a_swapped_seed(self, stored: tuple[Path, str]) -> None:
        (stored[0] / policy_file(1)).write_bytes((stored[0] / policy_file(2)).read_bytes())
        with pytest.raises(IntegrityBroken, match="not the file of its manifest"):
            load(*stored, 1)

    def test_refuses_a_missing_file_and_names_the_remedy(self, stored: tuple[Path, str]) -> None:
        (stored[0] / policy_file(1)).unlink()
        with pytest.raises(IntegrityBroken, match="acis train allocator"):
            load(*stored, 1)

    def test_refuses_an_unknown_seed(self, stored: tuple[Path, str]) -> None:
        with pytest.raises(IntegrityBroken, match="no policy of seed 9"):
            load(*stored, 9)

    def test_refuses_other_columns(self, stored: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert json.loads((stored[0] / MANIFEST_FILE).read_text())["stock_columns"] == list(STOCK_COLUMNS)
        monkeypatch.setattr(artefact, "STOCK_COLUMNS", (*STOCK_COLUMNS[1:], STOCK_COLUMNS[0]))
        with pytest.raises(IntegrityBroken, match="stock_columns differ"):
            load(*stored, 1)


class TestWithoutTorch:
    def test_neither_the_night_nor_the_training_job_loads_it(self, repository: Path) -> None:
        modules = "rl_trading.service, rl_trading.training, mlops.jobs.train_allocator"
        heavy = ("torch", "stable_baselines3", "gymnasium")
        check = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", check], cwd=repository, capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stdout.strip() == "[]"
