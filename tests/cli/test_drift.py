"""`acis drift`: what was read and what followed, in JSON and in words."""

import json
from datetime import date
from typing import Any

import pytest

from cli.main import run
from database.queries.drift import put_readings
from database.queries.runs import claim_run, finish_run
from database.session import transaction
from database.tables.drift import DriftReading
from tests.factories.market import create_market
from tests.factories.models import create_model

NAME = "screener-momentum_largecap"
RESPONSE = {
    "name": NAME,
    "version": 1,
    "alarm": "far away",
    "on_hold": True,
    "retrained": 2,
    "verdict": "not_proven",
    "outcome": "registered",
    "decision": "kept: the new version does not serve clients",
}


@pytest.fixture(scope="module", autouse=True)
def day(committed_database: str) -> date:
    """A market whose last session was read: one model and one feature alarm, one feature is calm."""
    with transaction() as session:
        last = create_market(session, instruments=2, sessions=40).sessions[-1]
        model = create_model(session, year=last.year)
        subjects = ((NAME, True, "inputs"), ("volatility_252", True, "ks"), ("momentum_21", False, "ks"))
        put_readings(
            session,
            [
                DriftReading(
                    session_on=last,
                    subject_kind="screener" if subject == NAME else "feature",
                    subject=subject,
                    model_version_id=model.model_version_id if subject == NAME else None,
                    measure=measure,
                    value=0.4,
                    threshold=0.1,
                    p_value=0.001,
                    is_alarm=is_alarm,
                    summary=f"{subject} is {'far away' if is_alarm else 'at home'}",
                )
                for subject, is_alarm, measure in subjects
            ],
        )
        claimed = claim_run(session, job="respond-to-drift", as_of=last, book="models", code_commit="unknown")
        finish_run(session, run_id=claimed.run_id, steps={"looking": 0.1}, result={"responses": [RESPONSE]})
    return last


def _answer(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one command."""
    monkeypatch.setattr("sys.argv", ["acis", "drift", *line.split()])
    with pytest.raises(SystemExit) as ended:
        run()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def _json(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    code, out, _ = _answer(f"{line} --json", capsys, monkeypatch)
    assert code == 0
    return json.loads(out)


def test_overview(day: date, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = _json("", capsys, monkeypatch)
    assert told["report"]["session_on"] == day.isoformat()
    assert told["report"]["drifted"] == {"volatility_252": "volatility_252 is far away"}
    assert [(model["name"], model["state"]) for model in told["report"]["models"]] == [(NAME, "alarm")]
    assert told["responses"] == [{"session_on": day.isoformat(), **RESPONSE}]


def test_one_model(day: date, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = _json(f"show {NAME}", capsys, monkeypatch)
    assert told["state"]["state"] == "alarm"
    assert [(one["measure"], one["value"], one["is_alarm"]) for one in told["readings"]] == [("inputs", 0.4, True)]
    assert [one["retrained"] for one in told["responses"]] == [2]


def test_one_feature(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert _json("show momentum_21", capsys, monkeypatch)["state"]["state"] == "calm"


def test_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, _ = _answer("", capsys, monkeypatch)
    assert code == 0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("show nothing", "'nothing' was not read"),
        ("--as-of 2001-01-03", "no drift was read up to 2001-01-03"),
        ("run --as-of 2017-06-30 --from 2017-06-01", "give one or the other"),
        ("run --from 2017-07-01 --to 2017-07-02", "no session lies between"),
    ],
)
def test_wrong_input_says_what_to_do(
    line: str, complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, error = _answer(line, capsys, monkeypatch)
    assert code == 2
    assert complaint in error
