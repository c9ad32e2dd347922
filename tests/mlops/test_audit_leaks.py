"""Planted leaks are found, their honest twins are not, and the platform's own path has none."""

import json
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from cli.main import run
from database.session import transaction
from features.feature import StockFeature
from features.library import FEATURES
from mlops.jobs.audit_leaks import SUBJECT, LeakReport, run_audit_leaks
from mlops.leaks import audit, probes, stored
from mlops.leaks.probes import PROBES, Subject
from quant.guards import Checked, Finding, Probe
from registry.alerts import open_alerts
from registry.leaks import leak_state
from tests.factories.leaks import MEMORY, PLANTS, Plant, tomorrow

DAY = date(2017, 6, 30)
BY_NAME = {probe.name: probe for probe in PROBES}


@cache
def checked(probe: str, subject: Callable[[], Subject]) -> Checked:
    """Twins that are the same are probed once."""
    return BY_NAME[probe].run(subject())


class TestPlants:
    def test_there_are_enough(self) -> None:
        assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 30

    def test_every_probe_has_a_plant(self) -> None:
        assert {plant.probe for plant in PLANTS} == set(BY_NAME)

    @pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
    def test_leak_is_found(self, plant: Plant) -> None:
        assert checked(plant.probe, plant.leaky).status == "found"

    @pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
    def test_without_the_leak_nothing_is_found(self, plant: Plant) -> None:
        found = checked(plant.probe, plant.honest)
        assert (found.status, found.findings) == ("clean", ())


@pytest.fixture(scope="module")
def report(committed_database: str) -> LeakReport:
    """One audit with few cuts, on a database that holds nothing yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_CUTS_EACH", 1)
        patch.setattr(audit, "_CUTS_DEEP", 2)
        return run_audit_leaks()


class TestHonestPath:
    """The platform's own path has no leak."""

    def test_nothing_is_found_and_all_that_must_run_ran(self, report: LeakReport) -> None:
        assert {probe.name: probe.findings for probe in report.probes if probe.findings} == {}
        assert {probe.name for probe in report.probes if probe.status == "clean"} == set(BY_NAME)
        assert report.status == "clean"

    def test_probes_of_stored_rows_say_what_is_missing(self, report: LeakReport) -> None:
        left_out = [probe for probe in report.probes if probe.status == "not_run"]
        assert {probe.name for probe in left_out} == {probe.name for probe in stored.PROBES}
        assert all("`acis " in str(probe.left_out) for probe in left_out)

    def test_the_gate_can_read_it(self, report: LeakReport) -> None:
        with transaction() as session:
            state = leak_state(session)
        assert (state.status, state.leak_audit_id) == ("clean", report.leak_audit_id)

    def test_page_and_json_hold_every_probe(self, report: LeakReport) -> None:
        page = report.page()
        assert page.startswith("# Leak audit\n\n**clean**")
        assert all(f"| {probe.name}" in page for probe in report.probes)
        answer = json.loads(json.dumps(report.as_dict(), default=str, allow_nan=False))
        assert len(answer["probes"]) == len(report.probes)


def test_leak_in_the_feature_library_reaches_the_gate(committed_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = StockFeature(name="planted", compute=lambda stock: tomorrow(stock.returns), **MEMORY)
    monkeypatch.setitem(FEATURES, "planted", ahead)
    monkeypatch.setattr(probes, "PROBES", (BY_NAME["prefix-invariance"],))
    monkeypatch.setattr(audit, "_CUTS_EACH", 1)
    monkeypatch.setattr(audit, "_CUTS_DEEP", 1)
    report = run_audit_leaks()
    assert report.status == "found"
    assert {finding.where for finding in report.probes[0].findings} >= {"features.planted"}
    with transaction() as session:
        assert leak_state(session).status == "found"


class TestAnswers:
    """What a person and the gate are told, by what the probes say."""

    FOUND = Finding("features.planted", "features.planted changes", {"before": float("nan"), "cut_on": DAY})

    @pytest.fixture(autouse=True)
    def database(self, committed_database: str) -> None:
        """Rows of this module's own."""

    def answer(
        self, checked: Checked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
    ) -> tuple[int, str]:
        probe = Probe[Subject]("planted-probe", "Nothing.", lambda subject: checked)
        monkeypatch.setattr(probes, "PROBES", (probe,))
        monkeypatch.setattr(stored, "PROBES", ())
        monkeypatch.setattr("sys.argv", ["acis", "audit", "leaks", *options])
        with pytest.raises(SystemExit) as ended:
            run()
        return int(ended.value.code or 0), capsys.readouterr().out

    @pytest.mark.parametrize(
        ("checked", "status", "code"),
        [
            (Checked("all", ()), "clean", 0),
            (Checked("all", (FOUND,)), "found", 1),
            (Checked("", (), "nothing to look at"), "not_run", 2),
        ],
    )
    def test_exit_code_tells(
        self,
        checked: Checked,
        status: str,
        code: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        said, out = self.answer(checked, monkeypatch, capsys, "--json")
        answer = json.loads(out)
        assert (said, answer["status"]) == (code, status)
        with transaction() as session:
            assert leak_state(session).status == status

    def test_alert_is_open_until_an_audit_is_clean(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for checked, count in ((Checked("", (self.FOUND,)), 1), (Checked("", (), "blind"), 1), (Checked("", ()), 0)):
            self.answer(checked, monkeypatch, capsys)
            with transaction() as session:
                assert len(open_alerts(session, subject=SUBJECT)) == count

    def test_report_is_written_where_asked(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        page = tmp_path / "leaks.md"
        self.answer(Checked("", (self.FOUND,)), monkeypatch, capsys, "--report", str(page), "--as-of", "2017-06-30")
        text = page.read_text()
        assert "| planted-probe | **LEAK** |" in text
        assert "- features.planted changes (before unknown, cut on 2017-06-30)" in text
        code, _ = self.answer(Checked("", ()), monkeypatch, capsys, "--report", str(tmp_path / "no" / "leaks.md"))
        assert code == 2
