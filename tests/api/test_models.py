"""Models over the API: what is read, what is begun, and who may decide."""

from collections.abc import Callable
from datetime import date
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.schemas.decisions import ALGORITHMS
from database.session import transaction
from database.tables.alerts import Alert
from database.tables.jobs import QueuedJob
from database.tables.roles import ModelRole
from database.tables.shadow import START_CENTS, ShadowDay
from database.tables.verdicts import GateVerdict
from ml_models.algorithms import ALGORITHMS as TRAINABLE
from tests.api.conftest import Firm
from tests.api.counting import counted
from tests.factories.market import create_market
from tests.factories.trials import create_audit, create_candidate, create_reading

AsRole = Callable[[str], TestClient]
URL = "/api/v1/models"
NIGHT = date(2017, 1, 3)
GOOD, BAD, HELD = "screener-momentum_largecap", "screener-value_largecap", "screener-quality_largecap"
SKILL, NOISE = 6.0, 4
REASON = "the desk has looked at every fold of it"
_keys = iter(range(10_000))


def once() -> dict[str, str]:
    """A key for new work."""
    return {"Idempotency-Key": f"work-{next(_keys)}"}


@pytest.fixture(scope="module")
def models(firm: Firm) -> None:
    """Three screeners: one that the gate would pass, one without skill, one that has served; the code is audited."""
    with transaction() as session:
        create_market(session, instruments=2, sessions=30, last_on=NIGHT)
        create_audit(session)
        metrics = {"degeneracy": [], "importance": {"beta_252": 0.7, "momentum_252": 0.3}, "auc": 0.55}
        metrics["calibration"] = [[0.4, 0.45, -0.01], [0.6, 0.55, 0.02]]
        good = create_candidate(session, ratio=SKILL, metrics=metrics, manifest={"parameters": {"depth_max": 3}})
        bad = create_candidate(session, strategy="value_largecap", seed=NOISE)
        held = create_candidate(session, strategy="quality_largecap", ratio=SKILL)
        for model in (good, bad, held):
            create_reading(session, model, on=NIGHT)
        session.add(Alert(severity="warning", subject=BAD, text="it has drifted", details={}))
        for number, day in enumerate((date(2017, 1, 3), date(2017, 1, 4), date(2017, 1, 5))):
            session.add(
                ShadowDay(
                    strategy="momentum_largecap",
                    lane="plain",
                    session_on=day,
                    value_cents=START_CENTS + number * 1_000_000,
                    cash_cents=START_CENTS,
                    traded_cents=0,
                    costs_cents=0,
                    holdings={},
                    allocation_id=None,
                )
            )


class TestListModels:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_tells_versions_verdict_drift_and_alerts(self, as_role: AsRole, models: None) -> None:
        told = {row["name"]: row for row in as_role("viewer").get(URL).json()}
        assert list(told) == sorted(told)
        assert (told[BAD]["versions"], told[BAD]["newest"], told[BAD]["champion"]) == (5, 1, None)
        assert (told[BAD]["drift"], told[BAD]["alerts"], told[GOOD]["alerts"]) == ("calm", 1, 0)

    def test_questions_do_not_grow_with_models(self, as_role: AsRole, models: None) -> None:
        with counted() as statements:
            as_role("viewer").get(URL, params={"as_of": NIGHT.isoformat()})
        assert len(statements) <= 9

    def test_of_one_kind(self, as_role: AsRole, models: None) -> None:
        assert as_role("viewer").get(URL, params={"kind": "allocator"}).json() == []


class TestShowModel:
    def test_unknown_name_gets_the_list(self, as_role: AsRole, models: None) -> None:
        answer = as_role("viewer").get(f"{URL}/screener-astrology")
        assert answer.status_code == 404
        assert GOOD in answer.json()["detail"]

    def test_versions_stand_newest_first_with_their_record(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}").json()
        begins = [row["valid_from_on"] for row in told["versions"]]
        assert begins == sorted(begins, reverse=True)
        assert [row["series"] for row in told["versions"][0]["record"]][:2] == ["model", "universe"]
        assert told["mlflow_url"] is None

    def test_shadow_is_never_annualised(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}", params={"as_of": "2017-01-31"}).json()
        (plain,) = told["shadow"]
        assert (plain["sessions"], plain["annual_return"], plain["sharpe"]) == (2, None, None)
        assert plain["total_return"] == pytest.approx(0.02)


class TestShowVersion:
    def test_measures_stand_in_words_of_their_own(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}/versions/1").json()
        assert told["quality"]["auc"] == 0.55
        assert [row["feature"] for row in told["importance"]] == ["beta_252", "momentum_252"]
        assert told["calibration"][1] == {"score": 0.6, "beat_share": 0.55, "forward_return": 0.02}
        assert told["parameters"] == {"depth_max": 3}

    @pytest.mark.parametrize("version", [77, 0, "x"])
    def test_unknown_version_is_told(self, as_role: AsRole, models: None, version: Any) -> None:
        assert as_role("analyst").get(f"{URL}/{GOOD}/versions/{version}").status_code in (404, 422)


class TestShowReturns:
    def test_stops_at_the_day_asked_for(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}/versions/1/returns", params={"as_of": "2015-06-30"}).json()
        assert told["hypothetical"] is True
        assert {row["sessions"][-1] for row in told["items"]} == {"2015-06-30"}
        assert all(len(row["sessions"]) == len(row["returns"]) for row in told["items"])

    def test_shadow_lanes_come_from_the_ledger(self, as_role: AsRole, models: None) -> None:
        url = f"{URL}/{GOOD}/versions/1/shadow"
        (lane,) = as_role("analyst").get(url, params={"as_of": "2017-01-31"}).json()["items"]
        assert (lane["series"], lane["sessions"]) == ("plain", ["2017-01-04", "2017-01-05"])
        assert lane["returns"] == pytest.approx([0.01, 1.02 / 1.01 - 1])


class TestShowImportance:
    def test_folds_stand_side_by_side(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}/importance", params={"limit": 1}).json()
        assert told["folds"] == [f"{year}-01-01" for year in range(2013, 2018)]
        (best,) = told["features"]
        assert (best["feature"], best["by_fold"]) == ("beta_252", [0.7] * 5)


class TestShowDrift:
    def test_of_one_model_in_columns(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/{GOOD}/drift").json()
        (inputs,) = told["measures"]
        assert (inputs["measure"], inputs["sessions"], inputs["alarms"]) == ("inputs", [NIGHT.isoformat()], [False])
        assert told["state"]["state"] == "calm"

    def test_of_the_newest_session(self, as_role: AsRole, models: None) -> None:
        told = as_role("analyst").get(f"{URL}/drift").json()
        assert (told["read_on"], told["drifted"], told["models"]) == (NIGHT.isoformat(), [], [])


class TestListAlerts:
    def test_open_ones_of_a_subject(self, as_role: AsRole, models: None) -> None:
        page = as_role("viewer").get(f"{URL}/alerts", params={"subject": BAD}).json()
        assert [row["text"] for row in page["items"]] == ["it has drifted"]


class TestCompareVersions:
    def test_two_versions_side_by_side(self, as_role: AsRole, models: None) -> None:
        answer = as_role("analyst").get(f"{URL}/{GOOD}/comparison", params={"first": 1, "second": 100})
        assert [row["version"] for row in answer.json()["versions"]] == [1, 100]

    def test_without_roles_two_must_be_named(self, as_role: AsRole, models: None) -> None:
        answer = as_role("analyst").get(f"{URL}/{BAD}/comparison")
        assert answer.status_code == 409
        assert "name two versions" in answer.json()["detail"]


class TestStartTraining:
    def test_only_who_learns_may_train(self, as_role: AsRole, models: None) -> None:
        for role in ("advisor", "viewer", "service"):
            answer = as_role(role).post(f"{URL}/trainings", json={"kind": "allocator"}, headers=once())
            assert answer.status_code == 403, role

    @pytest.mark.parametrize(
        ("body", "name", "payload"),
        [
            ({"kind": "screener", "years": [2017]}, "train-screener", {"years": [2017], "full": False}),
            ({"kind": "tuning", "trials": 5, "strategies": ["value_largecap"]}, "tune-screener", {"trials": 5}),
            ({"kind": "allocator"}, "train-allocator", {}),
        ],
    )
    def test_makes_one_job_however_often_it_is_asked(
        self, as_role: AsRole, models: None, firm: Firm, body: dict[str, Any], name: str, payload: dict[str, Any]
    ) -> None:
        key = once()
        first, second = (as_role("analyst").post(f"{URL}/trainings", json=body, headers=key) for _ in range(2))
        assert (first.status_code, first.json()) == (202, second.json())
        with transaction() as session:
            (job,) = session.scalars(select(QueuedJob).where(QueuedJob.name == name))
        assert (job.job_id, job.requested_by) == (first.json()["job_id"], firm.users["analyst"])
        assert payload.items() <= job.payload.items()

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"kind": "screener", "strategies": ["astrology"]}, "unknown strategy 'astrology'"),
            ({"kind": "tuning", "trials": 0}, "trials"),
            ({"kind": "screener", "algorithm": "tea_leaves"}, "algorithm"),
            ({"kind": "guessing"}, "guessing"),
        ],
    )
    def test_wrong_input_names_itself(self, as_role: AsRole, models: None, body: dict[str, Any], words: str) -> None:
        answer = as_role("analyst").post(f"{URL}/trainings", json=body, headers=once())
        assert answer.status_code in (404, 422)
        assert words in answer.text

    def test_algorithms_are_those_that_can_be_trained(self) -> None:
        assert set(get_args(ALGORITHMS)) == set(TRAINABLE)

    def test_judging_is_a_job_too(self, as_role: AsRole, models: None) -> None:
        body = {"as_of": NIGHT.isoformat()}
        assert as_role("analyst").post(f"{URL}/judgements", json=body, headers=once()).status_code == 202


def roles_of(name: str) -> list[tuple[str, str, str | None]]:
    with transaction() as session:
        rows = session.scalars(select(ModelRole).where(ModelRole.name == name).order_by(ModelRole.model_role_id))
        return [(row.action, row.actor, row.second_actor) for row in rows]


def verdicts_of(name: str) -> int:
    with transaction() as session:
        versions = session.scalars(select(GateVerdict).where(GateVerdict.reason.is_not(None))).all()
        return len(versions)


class TestPromote:
    def test_only_who_learns_may_promote(self, as_role: AsRole, models: None) -> None:
        for role in ("advisor", "viewer", "service"):
            answer = as_role(role).post(f"{URL}/{GOOD}/versions/1/promotion", json={}, headers=once())
            assert answer.status_code == 403, role

    def test_without_the_gates_pass_nobody_serves_and_its_word_stays(self, as_role: AsRole, models: None) -> None:
        before = verdicts_of(BAD)
        answer = as_role("admin").post(f"{URL}/{BAD}/versions/1/promotion", json={}, headers=once())
        assert answer.status_code == 409
        assert "the gate says not proven" in answer.json()["detail"]
        assert roles_of(BAD) == []
        assert verdicts_of(BAD) == before + 1
        told = as_role("viewer").get(f"{URL}/{BAD}/versions/1").json()["gate"]
        assert told["verdict"] == "not_proven"
        assert {check["name"] for check in told["checks"]} >= {"leaks", "deflated_sharpe", "overfitting"}

    def test_what_the_gate_passes_becomes_champion_by_the_signed_in_persons_word(
        self, as_role: AsRole, models: None
    ) -> None:
        key = once()
        first = as_role("analyst").post(f"{URL}/{GOOD}/versions/1/promotion", json={}, headers=key)
        assert first.status_code == 200, first.text
        assert (first.json()["action"], first.json()["effective_on"]) == ("promote", NIGHT.isoformat())
        again = as_role("analyst").post(f"{URL}/{GOOD}/versions/1/promotion", json={}, headers=key)
        assert again.json() == first.json()
        assert roles_of(GOOD)[-1] == ("promote", "analyst@firm.example", None)
        assert [action for action, *_ in roles_of(GOOD)].count("promote") == 1
        (line,) = [row for row in as_role("viewer").get(URL).json() if row["name"] == GOOD]
        assert line["champion"] == 1

    def test_hold_and_release_keep_their_reasons(self, as_role: AsRole, models: None) -> None:
        client = as_role("analyst")
        client.post(f"{URL}/{HELD}/versions/1/promotion", json={}, headers=once())
        held = client.post(f"{URL}/{HELD}/hold", json={"reason": "the data look odd"}, headers=once())
        assert (held.status_code, held.json()["action"]) == (200, "hold")
        assert client.post(f"{URL}/{HELD}/hold", json={"reason": "again"}, headers=once()).status_code == 409
        released = client.post(f"{URL}/{HELD}/release", json={"reason": "they were right"}, headers=once())
        assert released.json()["action"] == "release"
        out = client.post(f"{URL}/{HELD}/rollback", json={"reason": "enough", "to_nobody": True}, headers=once())
        assert (out.json()["action"], out.json()["version"]) == ("rollback", None)
        history = client.get(f"{URL}/{HELD}").json()["history"]
        assert [row["reason"] for row in history][:3] == ["enough", "they were right", "the data look odd"]

    def test_without_a_reason_nothing_is_held(self, as_role: AsRole, models: None) -> None:
        assert as_role("analyst").post(f"{URL}/{GOOD}/hold", json={"reason": ""}, headers=once()).status_code == 422


class TestOverride:
    def test_takes_two_people(self, as_role: AsRole, models: None) -> None:
        url = f"{URL}/{BAD}/versions/1"
        lonely = as_role("admin").post(f"{url}/override-confirmation", headers=once())
        assert lonely.status_code == 409
        assert "nobody has asked" in lonely.json()["detail"]
        asked = as_role("analyst").post(f"{url}/override-request", json={"reason": REASON}, headers=once())
        assert (asked.status_code, asked.json()["action"]) == (200, "request_override")
        own = as_role("analyst").post(f"{url}/override-confirmation", headers=once())
        assert own.status_code == 409
        assert "a second person must confirm" in own.json()["detail"]
        (line,) = [row for row in as_role("viewer").get(URL).json() if row["name"] == BAD]
        assert line["champion"] is None
        done = as_role("admin").post(f"{url}/override-confirmation", headers=once())
        assert done.status_code == 200, done.text
        assert (done.json()["actor"], done.json()["second_actor"]) == ("analyst@firm.example", "admin@firm.example")
        assert done.json()["reason"] == REASON

    def test_a_reason_that_says_nothing_is_refused(self, as_role: AsRole, models: None) -> None:
        answer = as_role("analyst").post(
            f"{URL}/{GOOD}/versions/1/override-request", json={"reason": "because"}, headers=once()
        )
        assert answer.status_code == 422
