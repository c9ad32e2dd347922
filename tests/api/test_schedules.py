"""The timetable over the API."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from jobs.timetable import TIMETABLE

AsRole = Callable[[str], TestClient]


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


class TestListSchedules:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get("/api/v1/schedules").status_code == 401

    def test_tells_every_entry_with_its_next_run(self, as_role: AsRole) -> None:
        found = {entry["name"]: entry for entry in as_role("viewer").get("/api/v1/schedules").json()}
        assert set(found) == set(TIMETABLE)
        # Thursday 2 April 2020, eight in the morning in New York.
        assert (found["nightly"]["next_on"], found["nightly"]["next_at"]) == ("2020-04-02", "2020-04-02T20:30:00Z")
        assert found["refresh-data"]["next_at"] == "2020-04-03T10:00:00Z"
        assert found["train-screener"]["next_at"] == "2020-04-05T06:00:00Z"
        assert found["train-allocator"]["next_on"] == "2020-05-01"
        assert (found["nightly"]["takes_as_of"], found["refresh-data"]["takes_as_of"]) == (True, False)


class TestRunSchedule:
    def test_runs_now_once(self, as_role: AsRole) -> None:
        admin, headers = as_role("admin"), key()
        body = {"as_of": "2017-06-30"}
        answers = [admin.post("/api/v1/schedules/nightly/run", json=body, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
        assert answers[0].json() == answers[1].json()
        job = admin.get(answers[0].headers["location"]).json()
        assert (job["payload"], job["due_on"], job["actor"]) == (body, None, "admin@firm.example")
        shown = {entry["name"]: entry for entry in admin.get("/api/v1/schedules").json()}
        assert shown["nightly"]["last"]["job_id"] == job["job_id"]

    def test_body_may_be_left_out(self, as_role: AsRole) -> None:
        assert as_role("admin").post("/api/v1/schedules/build-features/run", headers=key()).status_code == 202

    @pytest.mark.parametrize(
        ("name", "body", "status", "word"),
        [
            ("nigthly", {}, 404, "nightly"),
            ("refresh-data", {"as_of": "2017-06-30"}, 422, "leave it out"),
            ("nightly", {"as_of": "yesterday"}, 422, "as_of"),
            ("nightly", {"as_off": "2017-06-30"}, 422, "as_off"),
        ],
    )
    def test_bad_input_names_the_remedy(
        self, as_role: AsRole, name: str, body: dict[str, str], status: int, word: str
    ) -> None:
        answer = as_role("admin").post(f"/api/v1/schedules/{name}/run", json=body, headers=key())
        assert answer.status_code == status
        assert word in answer.json()["detail"]

    @pytest.mark.parametrize("role", ["advisor", "analyst", "viewer", "service"])
    def test_for_admins_only(self, as_role: AsRole, role: str) -> None:
        assert as_role(role).post("/api/v1/schedules/nightly/run", headers=key()).status_code == 403
