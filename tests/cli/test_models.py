"""`acis models`: what people and their programs are told, and what they cannot do."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from cli.main import run
from database.session import transaction
from database.tables.shadow import START_CENTS, ShadowDay
from registry.service import judge_candidates
from tests.factories.market import create_market
from tests.factories.trials import create_audit, create_candidate, create_reading

NEWEST = date(2017, 6, 30)
SKILLED, LUCKY = "screener-momentum_largecap", "screener-value_largecap"
WHY = "--reason a_mandate_that_the_record_does_not_cover"
Acis = Callable[[str], tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def models(committed_database: str) -> None:
    """A model that the gate passes and one that it does not, each with the folds of the years before."""
    with transaction() as session:
        create_market(session, instruments=2, sessions=40, last_on=NEWEST)
        create_audit(session)
        for strategy, ratio, seed in (("momentum_largecap", 4.0, 1), ("value_largecap", 0.0, 4)):
            model = create_candidate(session, strategy=strategy, ratio=ratio, seed=seed)
            create_reading(session, model, on=NEWEST)
        for number, day in enumerate((date(2017, 6, 28), date(2017, 6, 29), NEWEST)):
            session.add(
                ShadowDay(
                    strategy="momentum_largecap",
                    lane="plain",
                    session_on=day,
                    value_cents=START_CENTS + number * START_CENTS // 100,
                    cash_cents=START_CENTS,
                    traded_cents=0,
                    costs_cents=0,
                    holdings={},
                )
            )


@pytest.fixture
def acis(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Acis:
    """Run one command line in this process: (exit code, stdout, stderr)."""

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["acis", *line.split()])
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def told(acis: Acis, line: str) -> Any:
    code, out, err = acis(f"{line} --json")
    assert code == 0, err
    return json.loads(out)


class TestFromUnjudgedToServing:
    """In order: each test goes on from what the one before left."""

    def test_unjudged_models_are_listed_as_such(self, acis: Acis) -> None:
        listed = told(acis, "models list")
        assert listed["as_of"] == "2017-06-30"
        by_name = {line["name"]: line for line in listed["models"]}
        assert set(by_name) == {SKILLED, LUCKY}
        assert by_name[SKILLED]["verdict"] == "not judged"
        assert (by_name[SKILLED]["versions"], by_name[SKILLED]["newest"], by_name[SKILLED]["champion"]) == (5, 1, None)
        assert by_name[SKILLED]["drift"] == "calm"

    def test_a_promotion_that_the_gate_refuses_says_why_and_keeps_the_verdict(self, acis: Acis) -> None:
        code, out, err = acis(f"models promote {LUCKY} --version 1")
        assert (code, out) == (2, "")
        assert "version 1 is not promoted: the gate says not proven as of 2017-06-30: " in err
        assert err.count("\n") == 1

    def test_one_person_is_added_once(self, acis: Acis) -> None:
        told(acis, "people add eve@firm.example --name Eve --role viewer")
        code, out, err = acis("people add EVE@firm.example --name Eve --role admin")
        assert (code, out) == (2, "")
        assert "eve@firm.example is somebody already" in err
        shown = told(acis, f"models show {LUCKY}")
        assert (shown["newest"], shown["versions"][0]["version"]) == (1, 1)
        assert shown["versions"][0]["gate"]["verdict"] == "not_proven"
        assert shown["champion"] is None

    def test_the_gates_word_makes_the_champion(self, acis: Acis) -> None:
        code, _, err = acis(f"models promote {SKILLED} --version 1 --by ada@firm.example")
        assert code == 0
        assert "version 1 is champion from 2017-06-30 on, by ada@firm.example: All 9 checks pass." in err

    def test_show_has_versions_aliases_verdict_trials_drift_shadow_lineage_and_history(self, acis: Acis) -> None:
        shown = told(acis, f"models show {SKILLED}")
        assert shown["note"] == "out of sample, net of costs, hypothetical"
        assert (shown["champion"], shown["challenger"], shown["drift"]["state"]) == (1, 1, "calm")
        version = next(one for one in shown["versions"] if one["version"] == 1)
        assert version["aliases"] == ["champion", "challenger"]
        gate = version["gate"]
        assert (gate["verdict"], gate["trials"], gate["from_on"]) == ("pass", 8, "2013-01-01")
        assert gate["deflated_sharpe"] >= 0.95
        assert gate["overfitting"] <= 0.2
        assert {check["name"] for check in gate["checks"]} >= {"leaks", "drift", "costs_doubled", "baseline"}
        assert set(version["lineage"]) >= {"feature_hash", "code_commit", "artefact_sha256", "input_hash", "trial_id"}
        assert [one["series"] for one in version["record"]][:2] == ["model", "universe"]
        assert [row["action"] for row in shown["history"]] == ["promote", "register"]
        (lane,) = shown["shadow"]
        assert (lane["series"], lane["sessions"], lane["annual_return"]) == ("plain", 2, None)
        assert lane["total_return"] == pytest.approx(0.02)

    def test_people_read_the_same_in_words(self, acis: Acis) -> None:
        code, out, err = acis(f"models show {SKILLED}")
        assert code == 0
        assert "champion 1, challenger 1" in err
        assert "2013-01-01 to 2016-12-30, 1044 sessions, 8 trials" in out
        assert out.count("out of sample, net of costs, hypothetical") == 4, "beside every table of figures"
        assert acis("models list")[0] == 0

    def test_before_the_change_nobody_served(self, acis: Acis) -> None:
        assert told(acis, f"models show {SKILLED} --as-of 2017-06-29")["champion"] is None

    def test_compare_puts_two_side_by_side(self, acis: Acis) -> None:
        sides = told(acis, f"models compare {SKILLED} 1 100")["versions"]
        assert [side["version"] for side in sides] == [1, 100]
        code, out, _ = acis(f"models compare {SKILLED} 1 100")
        assert code == 0
        assert "deflated Sharpe ratio" in out
        code, _, err = acis(f"models compare {SKILLED}")
        assert code == 2
        assert "has champion 1 and challenger 1" in err

    def test_judging_again_changes_nothing(self, acis: Acis) -> None:
        outcomes = {one["name"]: one["outcome"] for one in told(acis, "models judge")}
        assert outcomes == {SKILLED: "champion", LUCKY: "registered"}
        assert {one["name"]: one["outcome"] for one in told(acis, "models judge")}[LUCKY] == "challenger"

    def test_hold_and_release_and_rollback(self, acis: Acis) -> None:
        who = "--by ada@firm.example --reason earnings_season"
        assert told(acis, f"models hold {SKILLED} {who}")["action"] == "hold"
        assert told(acis, f"models show {SKILLED}")["on_hold"] == 1
        assert told(acis, f"models release {SKILLED} {who}")["version"] == 1
        assert told(acis, f"models rollback {SKILLED} {who}")["version"] is None
        assert told(acis, f"models show {SKILLED}")["champion"] is None
        code, _, err = acis(f"models rollback {SKILLED} {who}")
        assert (code, "has no champion on 2017-06-30" in err) == (2, True)

    def test_an_override_takes_two_people(self, acis: Acis) -> None:
        for person, role in (("ada", "admin"), ("ben", "analyst")):
            told(acis, f"people add {person}@firm.example --name {person} --role {role}")
        assert {"ada@firm.example", "ben@firm.example"} <= {one["email"] for one in told(acis, "people list")}
        ask = f"models promote {LUCKY} --version 1"
        assert told(acis, f"{ask} --override --by ada@firm.example {WHY}")["action"] == "request_override"
        code, _, err = acis(f"{ask} --confirm --by ada@firm.example")
        assert (code, "a second person must confirm it" in err) == (2, True)
        decision = told(acis, f"{ask} --confirm --by ben@firm.example")
        assert (decision["action"], decision["actor"], decision["second_actor"]) == (
            "override",
            "ada@firm.example",
            "ben@firm.example",
        )
        assert told(acis, f"models show {LUCKY}")["champion"] == 1

    def test_the_night_lets_the_overridden_champion_be(self, acis: Acis) -> None:
        with transaction() as session:
            judge_candidates(session, as_of=NEWEST)
        assert told(acis, f"models show {LUCKY}")["champion"] == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("models show screener-magic", "unknown model 'screener-magic'; known: screener-momentum_largecap"),
            (f"models promote {SKILLED} --version 7", f"unknown version of {SKILLED} '7'; known: 1"),
            (f"models promote {SKILLED}", "Missing option '--version'"),
            (f"models promote {SKILLED} --version 1 --override", "--by is missing"),
            (f"models promote {SKILLED} --version 1 --override --by a@b.c", "--reason is missing"),
            (f"models promote {SKILLED} --version 1 --override --confirm --by a@b.c", "by two different people"),
            (f"models promote {SKILLED} --version 1 --on 2017-12-01", "nothing is decided for days after 2017-06-30"),
            (f"models promote {SKILLED} --version 1 --on tomorrow", "--on is 'tomorrow': give a date"),
            (f"models promote {SKILLED} --version 100", "may serve from 2013-01-01 up to, not including, 2014-01-01"),
            (f"models promote {LUCKY} --version 1 --override --by x@y.z {WHY}", "'x@y.z' may not override the gate"),
            (f"models compare {SKILLED} 1", "second is missing"),
            (f"models rollback {SKILLED}", "Missing option '--by'"),
            ("models show", "Missing argument 'name'"),
            ("people add ada --name Ada --role admin", "email is 'ada': give an address"),
            ("people add ida@firm.example --name Ida --role king", "unknown role 'king'"),
        ],
    )
    def test_one_line_and_exit_code_two(self, line: str, message: str, acis: Acis) -> None:
        code, out, err = acis(line)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
