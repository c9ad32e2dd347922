"""The tables of the results as text, and where two sets of them differ."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.commands import reproduce
from cli.results import ResultTable, algorithms_table, disagreements, drift_table, loop_table
from core.config import REPOSITORY
from core.errors import InputError, IntegrityBroken
from core.progress import Progress
from ml_models.comparison import Line, Spread, Table
from registry.drift_history import YearOfAlarms

TABLE = ResultTable("Title", "Hypothetical.", ("name", "what", "value"), (("a", "b", "+0.10"), ("c", "d", "-")))
YEAR = YearOfAlarms(
    year=2013, months=12, features=89, moved=0.001, gaps=0.0, ks=0.865, psi_moderate=0.7, psi_large=0.6,
    model_months=1, drifted=("vix_level",),
)  # fmt: skip


def compared() -> Table:
    known, unknown = Spread(0.0123, 0.001), Spread(None, None)
    line = Line(
        strategy="momentum_largecap", algorithm="xgboost", seeds=2, ic=known, icir=known, rank_ic=known,
        rank_icir=known, excess_return_annual=unknown, information_ratio=unknown, drawdown_max=Spread(-0.05, 0.0),
        deflated_sharpe=None,
    )  # fmt: skip
    return Table(
        years=(2012,), from_on="2012-01-04", to_on="2012-12-31", seeds=2, trials=16, lines=(line,),
        overfitting={"momentum_largecap": None},
    )  # fmt: skip


class TestTables:
    def test_what_is_unknown_is_a_dash_and_not_zero(self) -> None:
        (row,) = algorithms_table(compared()).rows
        assert row == (
            "momentum_largecap",
            "xgboost",
            *("+0.0123 ± 0.0010", "+0.01 ± 0.00", "+0.0123 ± 0.0010", "+0.01 ± 0.00"),
            *("-", "-", "-5.0%", "-"),
        )

    def test_the_note_names_period_trials_costs_and_that_it_is_hypothetical(self) -> None:
        note = algorithms_table(compared()).note
        for said in ("Hypothetical", "2012-01-04 to 2012-12-31", "16 series tried", "net of", "DSR", "PBO"):
            assert said in note

    def test_markdown_has_a_column_for_each_cell(self) -> None:
        lines = TABLE.lines()
        assert lines[:3] == ["## Title", "", "Hypothetical."]
        assert {line.count("|") for line in lines if line.startswith("|")} == {4}

    def test_drift_by_year(self) -> None:
        (row,) = drift_table([YEAR]).rows
        assert row == ("2013", "89", "0.1%", "0.0%", "86.5%", "70.0%", "60.0%", "1 of 12")

    def test_a_session_without_alarm_says_none(self) -> None:
        session = {"session_on": "2020-03-09", "features_drifted": 3, "features": 127, "models": [], "responses": []}
        assert loop_table([session]).rows == (("2020-03-09", "3 of 127", "none", "-"),)


class TestDisagreements:
    def test_the_same_tables_do_not_differ(self) -> None:
        assert disagreements([TABLE], json.loads(json.dumps([TABLE.as_dict()]))) == []

    def test_a_changed_cell_is_named_with_both_values(self) -> None:
        other = replace(TABLE, rows=(("a", "b", "+0.11"), TABLE.rows[1]))
        assert disagreements([other], [TABLE.as_dict()]) == ["Title, a b, value: +0.10 was stored, now +0.11"]

    def test_rows_notes_and_tables_that_come_and_go_are_told(self) -> None:
        shorter = replace(TABLE, note="Other.", rows=TABLE.rows[:1])
        told = disagreements(
            [shorter, replace(TABLE, title="New")], [TABLE.as_dict(), TABLE.as_dict() | {"title": "Old"}]
        )
        assert [line.split(":")[0] for line in told] == ["Title", "Title", "New", "Old"]


class TestCommand:
    @pytest.fixture
    def rebuilt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def reproduce_at_once(scope: object, *, progress: Progress) -> list[ResultTable]:
            return [TABLE]

        monkeypatch.setattr(reproduce, "reproduce", reproduce_at_once)

    def test_a_file_that_holds_no_tables_is_refused_before_anything_is_rebuilt(self, tmp_path: Path) -> None:
        for content in ("no json", "{}"):
            (tmp_path / "kept.json").write_text(content)
            with pytest.raises(InputError, match=r"--check is .*kept\.json.*write them with --store"):
                reproduce.command(check=tmp_path / "kept.json")
        with pytest.raises(InputError, match="--check is"):
            reproduce.command(check=tmp_path / "absent.json")

    @pytest.mark.usefixtures("rebuilt")
    def test_what_was_stored_is_found_again_and_a_difference_fails(self, tmp_path: Path) -> None:
        kept = tmp_path / "kept.json"
        reproduce.command(store=kept, page=tmp_path / "page.md", short=True)
        assert "| a | b | +0.10 |" in (tmp_path / "page.md").read_text()
        reproduce.command(check=kept, short=True)
        kept.write_text(kept.read_text().replace("+0.10", "+0.20"))
        with pytest.raises(IntegrityBroken, match="1 figures differ"):
            reproduce.command(check=kept, short=True)


def test_the_page_was_not_written_by_hand() -> None:
    """The page and the stored figures come from one run."""
    stored = json.loads((REPOSITORY / "docs/results.json").read_text())
    tables = [
        ResultTable(table["title"], table["note"], tuple(table["columns"]), tuple(map(tuple, table["rows"])))
        for table in stored
    ]
    assert (REPOSITORY / "docs/results.md").read_text() == reproduce.page_of(tables)
