"""Work that is asked for many times and happens once: fifty threads against a real server, a process that is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Annotated

import httpx2 as httpx
import pytest
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import text

from api import once as once_module
from api.app import create_app
from api.deps import needs
from api.once import Once, do_once
from auth.actor import Actor
from core.config import REPOSITORY, child_environment
from core.errors import Refused
from database.session import Session, transaction
from tests.api.conftest import Firm
from tests.api.server import served

router = APIRouter()
PATH = "/work"


class Work(BaseModel):
    """What is asked for: a household of this name, after a pause."""

    name: str
    pause_s: float = 0.0
    fails: bool = False


class Done(BaseModel):
    """What was made."""

    household_id: int


@router.post(PATH)
def do_work(work: Work, once: Once, actor: Annotated[Actor, needs("clients.write")]) -> Response:
    """Make a household."""

    def make(session: Session) -> Done:
        time.sleep(work.pause_s)
        made = session.scalar(
            text("insert into households (name, created_by) values (:name, :who) returning household_id"),
            {"name": work.name, "who": actor.user_id},
        )
        if work.fails:
            raise Refused("not today: ask tomorrow")
        return Done(household_id=made)

    return do_once(once, actor, make, status=201, headers=lambda answer: {"Location": "/households/1"})


@pytest.fixture(scope="module")
def socket(firm: Firm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    application = create_app()
    application.include_router(router)
    with served(application, tmp_path_factory.mktemp("s")) as path:
        yield path


def post(socket: str, firm: Firm, key: str | None, body: object, role: str = "admin") -> httpx.Response:
    # The server's threads know nothing of the clock that the test holds: neither may the token.
    headers = {"Authorization": f"Bearer {Context().run(firm.token, role)}"} | (
        {} if key is None else {"Idempotency-Key": key}
    )
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://acis", timeout=30) as client:
        return client.post(PATH, json=body, headers=headers)


def households(name: str) -> int:
    with transaction() as session:
        count: int = session.scalar(text("select count(*) from households where name = :name"), {"name": name})
        return count


def work_under_way() -> int:
    """Transactions that are open now, in this module's database, beside the one that asks."""
    with transaction() as session:
        query = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
        count: int = session.scalar(text(query))
        return count


class TestDoOnce:
    def test_stranger_gets_nothing(self, socket: str) -> None:
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://acis") as client:
            assert client.post(PATH, json={"name": "x"}, headers={"Idempotency-Key": "k"}).status_code == 401

    def test_key_is_asked_for(self, socket: str, firm: Firm) -> None:
        answer = post(socket, firm, None, {"name": "Keyless"})
        assert answer.status_code == 422
        assert "idempotency-key" in answer.json()["detail"]

    def test_fifty_at_once_have_one_effect_and_one_answer(self, socket: str, firm: Firm) -> None:
        with ThreadPoolExecutor(50) as pool:
            answers = list(
                pool.map(lambda _: post(socket, firm, "fifty", {"name": "Fifty", "pause_s": 0.2}), range(50))
            )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert {answer.headers["location"] for answer in answers} == {"/households/1"}
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
        assert households("Fifty") == 1

    def test_those_who_wait_keep_nobody_out(self, socket: str, firm: Firm) -> None:
        """Thirty wait for one; more than there are connections. Another's work is done meanwhile."""
        with ThreadPoolExecutor(31) as pool:
            crowd = [pool.submit(post, socket, firm, "slow", {"name": "Slow", "pause_s": 2.0}) for _ in range(30)]
            while work_under_way() == 0:
                time.sleep(0.01)
            other = post(socket, firm, "quick", {"name": "Quick"}, role="advisor")
            assert other.status_code == 201
            assert not any(one.done() for one in crowd)
            assert {one.result().status_code for one in crowd} == {201}
        assert households("Slow") == 1

    def test_other_work_under_the_same_key_is_refused(self, socket: str, firm: Firm) -> None:
        assert post(socket, firm, "mine", {"name": "First"}).status_code == 201
        answer = post(socket, firm, "mine", {"name": "Second"})
        assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
        assert households("Second") == 0

    def test_a_key_is_its_users_own(self, socket: str, firm: Firm) -> None:
        first = post(socket, firm, "shared", {"name": "Shared"}).json()
        second = post(socket, firm, "shared", {"name": "Shared"}, role="advisor").json()
        assert first != second
        assert households("Shared") == 2

    def test_errors_leave_the_key_free(self, socket: str, firm: Firm) -> None:
        refused = post(socket, firm, "again", {"name": "Again", "fails": True})
        assert (refused.status_code, households("Again")) == (409, 0)
        assert post(socket, firm, "again", {"name": "Again"}).status_code == 201
        assert households("Again") == 1

    def test_patience_ends(self, socket: str, firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(once_module, "WAIT_S_MAX", 0.1)
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: post(socket, firm, "long", {"name": "Long", "pause_s": 1.0}), range(2)))
        done, late = sorted(both, key=lambda answer: answer.status_code)
        assert (done.status_code, late.status_code, late.json()["code"]) == (201, 409, "still_at_work")
        assert int(late.headers["retry-after"]) > 0


KILLED = """
import sys, time
from sqlalchemy import text
from api.once import OnceKey, do_once
from auth.tokens import read_access_token

actor = read_access_token(sys.argv[1], via="bearer")

def work(session):
    session.execute(text("insert into households (name) values ('Killed')"))
    print("done, not committed", flush=True)
    time.sleep(60)

do_once(OnceKey("killed", "f"), actor, work)
"""


class TestCrash:
    def test_a_killed_process_leaves_neither_effect_nor_key(self, firm: Firm) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, Context().run(firm.token, "admin")],
            cwd=REPOSITORY,
            env=child_environment(),
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"done, not committed\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert households("Killed") == 0
        with transaction() as session:
            assert session.scalar(text("select count(*) from idempotency_keys where key = 'killed'")) == 0
