"""`acis status`: tells what is there without making anything, and what ran last."""

import json
import sys
from datetime import date
from pathlib import Path

import pytest

import cli.main
from core.config import get_settings
from database.queries import runs
from database.schema import newest_revision
from database.session import dispose, transaction
from tests.factories.market import create_market


def answered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["acis", "status", *words])
    with pytest.raises(SystemExit) as left:
        cli.main.run()
    assert left.value.code == 0
    return capsys.readouterr().out


class TestStatus:
    def test_of_a_fresh_clone_makes_no_database(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("DATABASE_URL", "REDIS_URL", "ACIS_MLFLOW_TRACKING_URI"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path / "var"))
        get_settings.cache_clear()
        dispose()
        status = json.loads(answered(capsys, monkeypatch, "--json"))
        get_settings.cache_clear()
        names = [server["name"] for server in status["servers"]]
        assert names == ["postgres", "redis", "mlflow", "api", "worker", "dispatcher"]
        assert not any(server["running"] for server in status["servers"])
        assert status["revision"] is None
        assert status["newest_revision"] == newest_revision()
        assert not (tmp_path / "var" / "postgres").exists()

    @pytest.mark.usefixtures("committed_database")
    def test_names_the_newest_bars_and_runs(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with transaction() as session:
            market = create_market(session)
            run = runs.claim_run(session, job="nightly", as_of=date(2017, 6, 30), book="paper", code_commit="abc")
            runs.fail_run(session, run_id=run.run_id, error="no scores")
        status = json.loads(answered(capsys, monkeypatch, "--json"))
        assert status["servers"][0] | {"address": ""} == {
            "name": "postgres",
            "running": True,
            "ready": True,
            "address": "",
        }
        assert status["last_bars_on"] == market.last_on.isoformat()
        assert [(run["as_of"], run["status"], run["error"]) for run in status["runs"]] == [
            ("2017-06-30", "failed", "no scores")
        ]
        assert "no scores" in answered(capsys, monkeypatch)
