"""The measuring instrument itself: sides of the bar, the JSON line, CPU seconds of threads and children."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

import benchmarks.__main__ as door
from benchmarks.claim import Claim, at_least, at_most, cost_of, side_by_side


class TestBars:
    @pytest.mark.parametrize(("ours", "ok"), [(1.9, True), (2.0, True), (2.1, False)])
    def test_at_most(self, ours: float, ok: bool) -> None:
        assert at_most("cheap", ours=ours, peer=10.0, bar=0.2, unit="s").ok is ok

    @pytest.mark.parametrize(("ours", "ok"), [(8.9, False), (9.0, True), (12.0, True)])
    def test_at_least(self, ours: float, ok: bool) -> None:
        assert at_least("fast", ours=ours, peer=10.0, bar=0.9, unit="rows/s").ok is ok

    @pytest.mark.parametrize(("ours", "peer"), [(1.0, 0.0), (float("nan"), 1.0), (1.0, float("inf"))])
    def test_numbers_that_prove_nothing_are_refused(self, ours: float, peer: float) -> None:
        with pytest.raises(ValueError, match="finite numbers and a positive peer"):
            at_most("void", ours=ours, peer=peer, bar=1.0, unit="s")


def test_json_line_has_the_agreed_keys_only() -> None:
    line = json.loads(at_most("features", ours=1.0, peer=3.0, bar=0.4, unit="cpu s").to_json())
    assert list(line) == ["claim", "ours", "peer", "ratio", "bar", "ok", "unit"]
    assert line["ratio"] == 0.333333


class TestCost:
    def test_sleep_costs_wall_time_only(self) -> None:
        cost = cost_of(lambda: time.sleep(0.05), best_of=2)
        assert cost.wall_s >= 0.05
        assert cost.cpu_s < 0.04

    def test_children_count(self) -> None:
        burn = "import time\nwhile time.process_time() < 0.3: pass"
        cost = cost_of(lambda: subprocess.run([sys.executable, "-c", burn], check=True), best_of=1)
        assert cost.cpu_s >= 0.25

    def test_taken_in_turns(self) -> None:
        calls: list[str] = []
        side_by_side(lambda: calls.append("ours"), lambda: calls.append("peer"), best_of=3)
        assert calls == ["ours", "peer"] * 3


class TestDoor:
    def test_unknown_name_lists_the_known_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert door.main(["no_such_claim"]) == 2
        assert "no benchmark is called no_such_claim" in capsys.readouterr().err

    @pytest.mark.parametrize(("ours", "code"), [(1.0, 0), (3.0, 1)])
    def test_exit_code_tells_whether_all_hold(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ours: float, code: int
    ) -> None:
        def measure() -> Iterator[Claim]:
            yield at_most("toy", ours=ours, peer=2.0, bar=1.0, unit="s")

        monkeypatch.setattr(door, "BENCHMARKS", ("toy",))
        monkeypatch.setitem(sys.modules, "benchmarks.toy", cast(ModuleType, SimpleNamespace(measure=measure)))
        assert door.main(["toy"]) == code
        assert json.loads(capsys.readouterr().out)["ours"] == ours
