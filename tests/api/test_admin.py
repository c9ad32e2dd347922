"""The machinery over the API: the audit, the settings, how each part stands, how far the nights came."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

import core.config
from auth.audit import record
from auth.seals import seal
from core.clock import fixed_clock
from core.config import get_settings
from database.queries import jobs as job_queries
from database.queries import runs
from database.session import transaction
from database.tables.alerts import Alert
from database.tables.jobs import QueuedJob
from database.tables.kill_switches import KillSwitch
from tests.api.conftest import Firm
from tests.conftest import NOW

AsRole = Callable[[str], TestClient]
ADMIN = "/api/v1/admin"
AUDIT = f"{ADMIN}/audit"
PATHS = (AUDIT, f"{AUDIT}/export", f"{AUDIT}/verification", f"{ADMIN}/settings", f"{ADMIN}/health", f"{ADMIN}/pipeline")
FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def trail(firm: Firm) -> Firm:
    """Thirty changes a minute apart by three people, one of them with a name that a spreadsheet would run; sealed."""
    with transaction() as session:
        for number in range(30):
            with fixed_clock(NOW + timedelta(minutes=number)):
                record(
                    session,
                    actor=("ann@firm.example", "bob@firm.example", FORMULA)[number % 3],
                    action="change" if number % 2 else "approve",
                    subject="mandate",
                    subject_id=number // 2,
                    after={"note": FORMULA, "number": number},
                )
        session.flush()
        with fixed_clock(NOW + timedelta(hours=1)):
            seal(session)
    return firm


@pytest.mark.parametrize("path", PATHS)
class TestDoors:
    def test_stranger_gets_nothing(self, service: TestClient, path: str) -> None:
        assert service.get(path).status_code == 401

    def test_others_are_refused(self, as_role: AsRole, path: str) -> None:
        for role in ("advisor", "analyst", "viewer", "service"):
            assert as_role(role).get(path).status_code == 403


class TestAudit:
    @pytest.mark.parametrize("sort", ["at", "-at"])
    def test_every_record_is_on_one_page(self, as_role: AsRole, trail: Firm, sort: str) -> None:
        seen, cursor = [], None
        while True:
            query: dict[str, str | int] = {
                "limit": 7,
                "sort": sort,
                "subject": "mandate",
                **({"cursor": cursor} if cursor else {}),
            }
            page = as_role("admin").get(AUDIT, params=query).json()
            seen += [item["after"]["number"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == sorted(range(30), reverse=sort == "-at")

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ({"actor": "ann@firm.example"}, list(range(0, 30, 3))),
            ({"action": "approve", "actor": "bob@firm.example"}, [4, 10, 16, 22, 28]),
            ({"subject": "mandate", "subject_id": "3"}, [6, 7]),
            ({"from_at": "2020-04-02T12:10:00Z", "to_at": "2020-04-02T12:12:00Z", "subject": "mandate"}, [10, 11]),
            ({"from_at": "2020-04-02T08:10:00-04:00", "to_at": "2020-04-02T12:12:00Z", "subject": "mandate"}, [10, 11]),
            ({"actor": "nobody"}, []),
            ({"actor": "ann@firm.example' or '1'='1"}, []),
            ({"actor": "%"}, []),
        ],
    )
    def test_filters_fit_word_for_word(
        self, as_role: AsRole, trail: Firm, query: dict[str, str], numbers: list[int]
    ) -> None:
        page = as_role("admin").get(AUDIT, params={**query, "sort": "at"}).json()
        assert [item["after"]["number"] for item in page["items"]] == numbers
        assert page["total"] == len(numbers)

    @pytest.mark.parametrize(
        "query", [{"from_at": "2020-04-02T12:00:00"}, {"sort": "actor"}, {"limit": "501"}, {"subject": "\u0000"}]
    )
    def test_bad_filter_is_told(self, as_role: AsRole, query: dict[str, str]) -> None:
        assert as_role("admin").get(AUDIT, params=query).status_code == 422

    def test_looking_leaves_a_trace(self, as_role: AsRole, trail: Firm) -> None:
        as_role("admin").get(AUDIT)
        page = as_role("admin").get(AUDIT, params={"action": "look", "subject": "audit"}).json()
        assert page["items"][0]["actor"] == "admin@firm.example"
        assert page["items"][0]["address"]
        assert page["items"][0]["request_id"]

    def test_record_knows_its_seal(self, as_role: AsRole, trail: Firm) -> None:
        page = as_role("admin").get(AUDIT, params={"subject": "mandate", "sort": "at"}).json()
        seals = [item["seal_id"] for item in page["items"]]
        assert seals == sorted(seals)
        assert None not in seals


class TestExport:
    def test_file_holds_what_the_list_holds_and_nothing_that_runs(self, as_role: AsRole, trail: Firm) -> None:
        answer = as_role("admin").get(f"{AUDIT}/export", params={"subject": "mandate"})
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [json.loads(row["after"])["number"] for row in rows] == list(range(29, -1, -1))
        cells = [cell for row in rows for cell in row.values() if cell]
        assert f"'{FORMULA}" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    def test_taking_a_copy_leaves_a_trace(self, as_role: AsRole, trail: Firm) -> None:
        as_role("admin").get(f"{AUDIT}/export", params={"actor": "nobody"})
        page = as_role("admin").get(AUDIT, params={"action": "export"}).json()
        assert page["items"][0]["after"] == {"actor": "nobody"}

    def test_too_much_for_one_file_is_refused(
        self, as_role: AsRole, trail: Firm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.routes.admin.EXPORTED_ROWS_MAX", 29)
        answer = as_role("admin").get(f"{AUDIT}/export", params={"subject": "mandate"})
        assert answer.status_code == 413
        assert "narrow from_at" in answer.json()["detail"]


class TestVerification:
    def test_first_bad_row_is_named(self, as_role: AsRole, trail: Firm) -> None:
        sound = as_role("admin").get(f"{AUDIT}/verification").json()
        assert (sound["bad"], sound["checked"]) == (None, sound["sealed"])
        with transaction() as session:
            session.execute(text("set local session_replication_role = replica"))
            key = session.scalar(text("select min(audit_id) from audit where subject = 'mandate'"))
            session.execute(text("update audit set actor = 'eve' where audit_id = :key"), {"key": key})
        try:
            found = as_role("admin").get(f"{AUDIT}/verification").json()
            assert found["bad"]["audit_id"] == key
            assert as_role("admin").get(f"{AUDIT}/verification", params={"newest": 5}).json()["bad"] is None
        finally:
            with transaction() as session:
                session.execute(text("set local session_replication_role = replica"))
                session.execute(text("update audit set actor = 'ann@firm.example' where audit_id = :key"), {"key": key})


CANARY = "canary0secret0canary0secret0canary0secret"


@pytest.fixture
def planted(trail: Firm, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Every setting that is text holds a secret, those of servers in a password."""
    planted = {}
    for field, info in core.config.Settings.model_fields.items():
        name = core.config._variable(field)
        if str in (info.annotation, *getattr(info.annotation, "__args__", ())) and name not in os.environ:
            value = f"scheme://{CANARY}:{CANARY}@host/name?key={CANARY}" if field.endswith(("_url", "_uri")) else CANARY
            planted[name] = value
    for name in ("ACIS_TOKEN_SECRETS", "ACIS_API_HOST", "ACIS_CODE_COMMIT", "ACIS_TRUSTED_PROXIES"):
        planted.pop(name, None)
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield planted
    for name in planted:
        monkeypatch.delenv(name)
    get_settings.cache_clear()


class TestSettings:
    def test_no_secret_is_told(self, as_role: AsRole, planted: dict[str, str]) -> None:
        token = as_role("admin")
        answer = token.get(f"{ADMIN}/settings")
        assert answer.status_code == 200, answer.text
        assert CANARY not in answer.text
        shown = {item["name"]: item for item in answer.json()}
        assert {"ACIS_VAULT_KEYS", "ACIS_AUDIT_KEYS", "ACIS_METRICS_TOKEN", "REDIS_URL"} <= set(planted)
        for name in planted:
            assert (shown[name]["is_secret"], shown[name]["source"]) == (True, "environment"), name
        assert shown["REDIS_URL"]["value"] == "scheme://***@host/name?***"

    def test_every_setting_is_there_with_where_it_comes_from(self, as_role: AsRole, trail: Firm) -> None:
        shown = {item["name"]: item for item in as_role("admin").get(f"{ADMIN}/settings").json()}
        assert len(shown) == len(core.config.Settings.model_fields)
        assert shown["ACIS_API_PORT"]["value"] == "8000"
        assert shown["ACIS_API_PORT"]["source"] == "default"
        assert shown["ACIS_VAR_DIR"]["source"] == "environment"
        assert shown["DATABASE_URL"]["value"].startswith("postgresql://")


def _parts(client: TestClient) -> dict[str, dict[str, object]]:
    answer = client.get(f"{ADMIN}/health")
    assert answer.status_code == 200, answer.text
    parts = {part["name"]: part for part in answer.json()["parts"]}
    order = ("bad", "watch", "unknown", "good")
    assert answer.json()["state"] == min((part["state"] for part in parts.values()), key=order.index)
    return parts


class TestHealth:
    def test_unknown_stays_unknown_and_what_is_wrong_is_told(self, as_role: AsRole, trail: Firm) -> None:
        parts = _parts(as_role("admin"))
        states = {name: part["state"] for name, part in parts.items()}
        assert states["database"] == "good"
        assert states["redis"] == "watch"
        for name in ("dispatcher", "workers", "night", "data", "models"):
            assert states[name] == "unknown", parts[name]
        assert (states["jobs"], states["alerts"], states["kill_switches"]) == ("good", "good", "good")

        with transaction() as session:
            job_queries.beat(session, name="dispatcher", worker="here")
            session.add(QueuedJob(name="report", payload={}, actor="x", status="failed", finished_at=NOW, error="x"))
            session.add(Alert(severity="critical", subject="x", text="x", details={}))
            session.add(KillSwitch(scope="everything", reason="x", engaged_by="x"))
        parts = _parts(as_role("admin"))
        assert parts["dispatcher"]["state"] == "good"
        assert parts["jobs"]["figures"] == {"failed": {"report": 1}}
        assert (parts["alerts"]["state"], parts["kill_switches"]["state"]) == ("bad", "bad")

        with transaction() as session:
            session.execute(text("update heartbeats set at = now() - interval '10 minutes'"))
        assert _parts(as_role("admin"))["dispatcher"]["state"] == "bad"

    def test_row_that_nobody_seals_is_told(self, as_role: AsRole, trail: Firm) -> None:
        with fixed_clock(NOW - timedelta(minutes=10)), transaction() as session:
            record(session, actor="ann", action="add", subject="client", subject_id=1)
        assert _parts(as_role("admin"))["audit"]["state"] == "watch"


class TestPipeline:
    def test_nights_step_by_step(self, as_role: AsRole, trail: Firm) -> None:
        with transaction() as session:
            for day, steps, end in (
                (date(2017, 6, 27), {}, "succeeded"),
                (date(2017, 6, 28), {"features": 1.5, "universe": 0.5}, "failed"),
                (date(2017, 6, 29), {"features": 2.0}, "running"),
            ):
                run = runs.claim_run(session, job="nightly", as_of=day, book="paper", code_commit="abc")
                runs.keep_steps(session, run_id=run.run_id, steps=steps)
                session.expire_all()
                if end == "failed":
                    runs.fail_run(session, run_id=run.run_id, error="no bars")
                if end == "succeeded":
                    whole = dict.fromkeys(("features", "universe"), 1.0)
                    runs.finish_run(session, run_id=run.run_id, steps=whole, result={"counts": {"orders": 3}})
            session.add(QueuedJob(name="nightly", payload={}, actor="timetable"))
        answer = as_role("admin").get(f"{ADMIN}/pipeline", params={"nights": 3})
        assert answer.status_code == 200, answer.text
        running, failed, done = answer.json()["nights"]
        assert [night["status"] for night in (running, failed, done)] == ["running", "failed", "succeeded"]
        assert [step["state"] for step in running["steps"]][:3] == ["done", "running", "waiting"]
        assert [step["state"] for step in failed["steps"]][:4] == ["done", "done", "failed", "not run"]
        assert (failed["error"], failed["seconds"], running["seconds"]) == ("no bars", 2.0, 2.0)
        assert done["counts"] == {"orders": 3}
        assert failed["steps"][2] == {"name": "drift", "state": "failed", "seconds": None}
        assert [job["name"] for job in answer.json()["work"]] == ["nightly"]
        assert set(answer.json()["waiting"].values()) == {0}
