"""The command line as a person meets it: help, refusals in one line with exit code 2, JSON on stdout alone."""

import json
from datetime import date
from pathlib import Path

import pytest

from cli.commands import COMMANDS
from cli.main import build_app, run
from core.config import get_settings
from database.session import transaction
from tests.factories.market import create_market


@pytest.fixture(scope="module", autouse=True)
def market(committed_database: str) -> None:
    """A small market, so that dates have bars."""
    with transaction() as session:
        create_market(session, instruments=12, sessions=120, last_on=date(2017, 6, 30))


def acis(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Run one command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr("sys.argv", ["acis", *line.split()])
    with pytest.raises(SystemExit) as ended:
        run()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


class TestHelp:
    def test_every_word_is_listed_and_loads(self) -> None:
        app = build_app(list(COMMANDS))
        names = {command.name for command in app.registered_commands} | {one.name for one in app.registered_groups}
        assert names == set(COMMANDS)


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("nigthly", "unknown command 'nigthly'; known: api, audit, client, data, demo"),
            ("nightly --as-of 2017-07-04", "2017-07-04 is not a trading session; the previous one is 2017-07-03"),
            ("nightly --as-of yesterday", "--as-of is 'yesterday': give a date as YYYY-MM-DD"),
            ("nightly --as-of 2017-06-30", "book 'paper' has no accounts"),
            ("nightly --sa-of 2017-06-30", "No such option: --sa-of"),
            ("screen growht", "unknown strategy 'growht'; known: dividend_largecap, growth_largecap"),
            ("train screener --strategy magic", "unknown strategy 'magic'"),
            ("train screener --years 20x7", "--years is '20x7': give years as 2017, 2016,2017 or 2009-2020"),
            ("replay --from 2017-06-30 --to 2017-06-01", "the first must not be later than the last"),
            ("explain order 1", "order"),
            ("data import nowhere.csv", "nowhere.csv"),
            ("client add Ada --risk-tolerance reckless", "unknown risk tolerance 'reckless'"),
            ("client add Ada --cash lots", "initial_cash_usd is 'lots'"),
            ("client mandate 1 cash_weight_min --effective-on 2017-06-30", "give field=value"),
            ("client autonomous 1 maybe", "mode is 'maybe': give on, off or pause"),
        ],
    )
    def test_one_line_on_stderr_and_exit_code_2(
        self, line: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, out, err = acis(line, capsys, monkeypatch)
        refusal = [said for said in err.splitlines() if said.startswith("acis: ")]
        assert code == 2
        assert out == ""
        assert len(refusal) == 1
        assert err.splitlines()[-1] == refusal[0]
        assert message in refusal[0]

    def test_a_bad_setting_names_itself(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACIS_THREADS", "0")
        get_settings.cache_clear()
        code, _, err = acis("status", capsys, monkeypatch)
        get_settings.cache_clear()
        assert code == 2
        assert "threads" in err


class TestClient:
    def test_add_then_list_as_json(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        code, out, _ = acis("client add Ada --strategy momentum --approval --json", capsys, monkeypatch)
        added = json.loads(out)
        assert code == 0
        assert added["opened_on"] == "2017-06-30"
        _, out, _ = acis("client list --json", capsys, monkeypatch)
        (account,) = json.loads(out)
        assert account["account_id"] == added["account_id"]
        assert account["mandate"]["preferred_strategy"] == "momentum_largecap"
        assert account["autonomous"] is False

    def test_the_same_name_twice_is_refused(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acis("client add Twin", capsys, monkeypatch)
        code, _, err = acis("client add Twin", capsys, monkeypatch)
        assert code == 2
        assert "has a client of that name" in err


class TestData:
    def test_import_counts_and_status_reads_back(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "ZZZ.csv"
        file.write_text(
            "Date,Open,High,Low,Close,Adj Close,Volume\n"
            "2017-06-28,10,11,9,10.5,10.5,1000\n"
            "2017-06-29,10,11,9,10.5,10.5,1000\n"
            "2017-07-01,10,11,9,10.5,10.5,1000\n"
        )
        code, out, _ = acis(f"data import {file} --json", capsys, monkeypatch)
        (done,) = json.loads(out)
        assert code == 0
        assert (done["rows_read"], done["rows_inserted"], done["rows_quarantined"]) == (3, 2, 1)
        _, out, _ = acis("data status --json", capsys, monkeypatch)
        assert sum(json.loads(out)["quarantined_by_reason"].values()) == 1
