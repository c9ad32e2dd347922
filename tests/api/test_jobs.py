"""Jobs over the API: who sees them, who stops them, and a stream of events that loses and doubles nothing."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import api.routes.jobs
from core.jobs import BuildFeatures, Job, Nightly, SendApproved, TrainScreener
from database.queries import jobs as queries
from database.session import connections_in_use, transaction
from database.tables.users import User
from jobs import lease
from jobs.service import submit
from tests.api.conftest import Firm
from tests.api.streaming import bearer, in_thread, opened, run

AsRole = Callable[[str], TestClient]
NIGHT: dict[str, Any] = {"as_of": "2017-06-30", "book": "paper", "account_ids": (1,)}


def ask(firm: Firm, role: str, job: Job | None = None, **columns: Any) -> int:
    with transaction() as session:
        actor = f"{role}@firm.example"
        return submit(session, job or BuildFeatures(), actor=actor, requested_by=firm.users[role], **columns)


def begin(job_id: int) -> lease.Held:
    with transaction() as session:
        held = lease.take(session, job_id=job_id, worker="test:1")
        assert held is not None
        return held


def tell(held: lease.Held, done: int) -> None:
    with transaction() as session:
        assert lease.tell_progress(session, held, step="rows", done=done, total=10)


def tell_ten(held: lease.Held) -> None:
    for done in range(10):
        tell(held, done)


def end(held: lease.Held) -> None:
    with transaction() as session:
        assert lease.succeed(session, held, {"rows": 10})


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


class TestListJobs:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get("/api/v1/jobs").status_code == 401

    def test_filters_and_pages(self, as_role: AsRole, firm: Firm) -> None:
        ids = [ask(firm, "analyst", TrainScreener(years=(year,))) for year in range(2010, 2015)]
        ask(firm, "admin", TrainScreener(years=(2020,)))
        analyst = as_role("analyst")
        first = analyst.get("/api/v1/jobs", params={"name": "train-screener", "mine": True, "limit": 3}).json()
        rest = analyst.get(
            "/api/v1/jobs", params={"name": "train-screener", "mine": True, "limit": 3, "cursor": first["next"]}
        ).json()
        assert [job["job_id"] for job in first["items"] + rest["items"]] == ids[::-1]
        assert first["total"] == 5
        none = analyst.get("/api/v1/jobs", params={"name": "train-screener", "status": ["failed", "refused"]}).json()
        assert none["items"] == []

    def test_private_jobs_are_for_who_asked_and_who_sees_the_client(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "advisor", SendApproved(**NIGHT), account_id=firm.accounts["advisor"])
        for role, status in (("advisor", 200), ("admin", 200), ("other_advisor", 404), ("analyst", 404)):
            answer = as_role(role).get(f"/api/v1/jobs/{job_id}")
            assert answer.status_code == status, role
            listed = as_role(role).get("/api/v1/jobs", params={"name": "send-approved"}).json()["items"]
            assert [job["job_id"] for job in listed] == ([job_id] if status == 200 else [])


class TestShowJob:
    def test_tells_payload_lines_and_what_the_caller_may(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "advisor")
        held = begin(job_id)
        with transaction() as session:
            lease.tell_line(session, held, {"level": "info", "event": "hello", "rows": 3})
        tell(held, 5)
        shown = as_role("advisor").get(f"/api/v1/jobs/{job_id}").json()
        assert (shown["status"], shown["step"], shown["payload"]) == ("running", "rows", {})
        assert Decimal(shown["percent"]) == 50
        assert [(line["event"], line["fields"]) for line in shown["lines"]] == [("hello", {"rows": 3})]
        assert (shown["may_cancel"], shown["may_retry"], shown["last_seq"]) == (True, False, 4)
        other = as_role("other_advisor").get(f"/api/v1/jobs/{job_id}").json()
        assert (other["may_cancel"], other["may_retry"]) == (False, False)

    @pytest.mark.parametrize("job_id", ["0", "-1", "9" * 30, "x"])
    def test_bad_number_is_no_fault_of_ours(self, as_role: AsRole, job_id: str) -> None:
        assert as_role("admin").get(f"/api/v1/jobs/{job_id}").status_code == 422


class TestCancelJob:
    def test_waiting_job_is_cancelled_at_once(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "analyst")
        assert as_role("analyst").post(f"/api/v1/jobs/{job_id}/cancel").json()["status"] == "cancelled"
        again = as_role("analyst").post(f"/api/v1/jobs/{job_id}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "refused")

    def test_running_job_is_asked(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "analyst")
        begin(job_id)
        for _ in range(2):
            shown = as_role("admin").post(f"/api/v1/jobs/{job_id}/cancel").json()
            assert (shown["status"], shown["is_cancel_asked"]) == ("running", True)

    def test_orders_are_not_left_half_sent(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "advisor", SendApproved(**NIGHT))
        begin(job_id)
        answer = as_role("advisor").post(f"/api/v1/jobs/{job_id}/cancel")
        assert answer.status_code == 409
        assert "half-way" in answer.json()["detail"]

    @pytest.mark.parametrize(("role", "status"), [("other_advisor", 403), ("viewer", 403), ("service", 403)])
    def test_only_for_who_asked_and_admins(self, as_role: AsRole, firm: Firm, role: str, status: int) -> None:
        job_id = ask(firm, "advisor")
        assert as_role(role).post(f"/api/v1/jobs/{job_id}/cancel").status_code == status


class TestRetryJob:
    def test_once_under_a_new_number_that_knows_the_first(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "analyst", Nightly())
        analyst, headers = as_role("analyst"), key()
        assert analyst.post(f"/api/v1/jobs/{job_id}/retry", headers=key()).status_code == 409
        analyst.post(f"/api/v1/jobs/{job_id}/cancel")
        answers = [analyst.post(f"/api/v1/jobs/{job_id}/retry", headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
        assert answers[0].json() == answers[1].json()
        again = answers[0].json()
        assert (again["retry_of"], again["status"], again["name"]) == (job_id, "queued", "nightly")
        twice = analyst.post(f"/api/v1/jobs/{job_id}/retry", headers=key())
        assert str(again["job_id"]) in twice.json()["detail"]
        held = begin(again["job_id"])
        assert (held.job_id, held.origin_id) == (again["job_id"], job_id)

    def test_work_that_succeeded_is_not_done_again(self, as_role: AsRole, firm: Firm) -> None:
        job_id = ask(firm, "analyst")
        end(begin(job_id))
        assert as_role("analyst").post(f"/api/v1/jobs/{job_id}/retry", headers=key()).status_code == 409


class TestFollowJob:
    def test_tells_everything_in_order_and_ends(self, firm: Firm) -> None:
        job_id = ask(firm, "analyst")

        async def work(app: FastAPI) -> None:
            async with opened(app, f"/api/v1/jobs/{job_id}/events", headers=bearer(firm, "analyst")) as stream:
                assert stream.status == 200
                assert stream.headers["content-type"].startswith("text/event-stream")
                assert stream.headers["cache-control"] == "no-cache, no-transform"
                assert stream.headers["x-accel-buffering"] == "no"
                assert await stream.block() == "retry: 3000"
                first = await stream.event()
                assert (first["id"], first["event"], first["data"]["status"]) == ("1", "status", "queued")
                held = await in_thread(begin, job_id)
                assert (await stream.event())["data"]["status"] == "running"
                for done in range(1, 4):
                    await in_thread(tell, held, done)
                await in_thread(end, held)
                rest = [await stream.event() for _ in range(4)]
                assert [one["id"] for one in rest] == ["3", "4", "5", "6"]
                assert [one["data"].get("done") for one in rest] == [1, 2, 3, None]
                await asyncio.wait_for(stream.ended.wait(), 10)

        run(work)

    def test_resumes_behind_the_last_event_and_then_says_do_not_come_back(self, firm: Firm) -> None:
        job_id = ask(firm, "analyst")
        held = begin(job_id)
        tell(held, 1)
        end(held)

        async def work(app: FastAPI) -> None:
            path = f"/api/v1/jobs/{job_id}/events"
            headers = bearer(firm, "analyst", **{"Last-Event-ID": "2"})
            async with opened(app, path, headers=headers) as stream:
                assert [(await stream.event())["id"] for _ in range(2)] == ["3", "4"]
            async with opened(app, path, headers=bearer(firm, "analyst", **{"Last-Event-ID": "4"})) as stream:
                assert stream.status == 204

        run(work)

    def test_foreign_job_is_not_there(self, firm: Firm) -> None:
        job_id = ask(firm, "advisor", SendApproved(**NIGHT), account_id=firm.accounts["advisor"])

        async def work(app: FastAPI) -> None:
            path = f"/api/v1/jobs/{job_id}/events"
            async with opened(app, path, headers=bearer(firm, "other_advisor")) as stream:
                assert stream.status == 404

        run(work)

    def test_breathes_and_ends_with_the_sign_in(self, firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api.routes.jobs, "PING_S", 0.05)
        job_id = ask(firm, "viewer")

        def sign_out(by: int) -> None:
            with transaction() as session:
                session.get_one(User, firm.users["viewer"]).epoch += by

        async def work(app: FastAPI) -> None:
            async with opened(app, f"/api/v1/jobs/{job_id}/events", headers=bearer(firm, "viewer")) as stream:
                await stream.event()
                assert await stream.block() == ": ping"
                await in_thread(sign_out, 1)
                assert (await stream.event())["event"] == "signed-out"
                await asyncio.wait_for(stream.ended.wait(), 10)

        run(work)
        sign_out(-1)

    def test_connections_are_not_held_while_nothing_happens(self, firm: Firm) -> None:
        job_ids = [ask(firm, "analyst") for _ in range(3)]

        async def work(app: FastAPI) -> None:
            headers = bearer(firm, "analyst")
            async with (
                opened(app, f"/api/v1/jobs/{job_ids[0]}/events", headers=headers) as one,
                opened(app, f"/api/v1/jobs/{job_ids[1]}/events", headers=headers) as two,
            ):
                await one.event()
                await two.event()
                await asyncio.sleep(0.1)
                assert connections_in_use() == 0

        run(work)

    def test_events_of_one_job_commit_in_the_order_of_their_numbers(self, firm: Firm) -> None:
        """Eight writers at once: a reader who asks for what is behind his last number never misses one."""
        job_id = ask(firm, "analyst")
        held = begin(job_id)

        async def work(app: FastAPI) -> None:
            headers = bearer(firm, "analyst", **{"Last-Event-ID": "2"})
            async with opened(app, f"/api/v1/jobs/{job_id}/events", headers=headers) as stream:
                writers = [in_thread(tell_ten, held) for _ in range(8)]
                await asyncio.gather(*writers)
                seen = [int((await stream.event())["id"]) for _ in range(80)]
                assert seen == list(range(3, 83))

        run(work)
        with transaction() as session:
            assert queries.renew(session, job_id=job_id, attempt=1) is not None
