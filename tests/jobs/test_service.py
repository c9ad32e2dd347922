"""Asking for work."""

from datetime import date

import pytest

from auth.actor import Actor
from auth.roles import permissions_of
from auth.scope import enter
from core.jobs import BuildFeatures, Nightly
from database.session import limited_transaction, transaction
from database.tables.jobs import JobEvent, QueuedJob
from database.tables.users import User
from jobs.service import submit, submit_due


@pytest.fixture(scope="module")
def actors(committed_database: str) -> dict[str, Actor]:
    """One person of each role that may ask for work, committed."""
    found = {}
    with transaction() as session:
        for role in ("admin", "advisor", "analyst"):
            user = User(email=f"{role}@firm.example", name=role, role=role)
            session.add(user)
            session.flush()
            found[role] = Actor(user.user_id, user.email, role, 1, "bearer", permissions_of(role))
    return found


class TestSubmit:
    @pytest.mark.parametrize("role", ["admin", "advisor", "analyst"])
    @pytest.mark.parametrize("is_private", [False, True])
    def test_works_within_a_desk(self, actors: dict[str, Actor], role: str, is_private: bool) -> None:
        actor = actors[role]
        with limited_transaction() as session:
            enter(session, actor)
            job_id = submit(
                session,
                Nightly(as_of=date(2017, 6, 30)),
                actor=actor.email,
                requested_by=actor.user_id,
                is_private=is_private,
            )
        with transaction() as session:
            job = session.get_one(QueuedJob, job_id)
            assert (job.name, job.payload, job.status) == ("nightly", {"as_of": "2017-06-30"}, "queued")
            assert session.get_one(JobEvent, (job_id, 1)).body == {"status": "queued"}

    def test_rolled_back_work_is_not_asked_for(self, actors: dict[str, Actor]) -> None:
        with transaction() as session:
            job_id = submit(session, BuildFeatures(), actor="test", requested_by=None)
            session.rollback()
        with transaction() as session:
            assert session.get(QueuedJob, job_id) is None


class TestSubmitDue:
    def test_once_a_day(self, actors: dict[str, Actor]) -> None:
        for day, expected in ((1, True), (1, False), (2, True)):
            with transaction() as session:
                job_id = submit_due(session, BuildFeatures(), due_on=date(2020, 4, day), actor="timetable")
            assert (job_id is not None) is expected
