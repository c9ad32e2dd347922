"""The one stream a page: what changes is told at least once, to those who may see it, and to nobody else."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

import api.routes.events
import api.streams
from api.streams import Hub
from core.clock import now
from core.errors import TooMany
from core.jobs import BuildFeatures, SendApproved
from database.session import transaction
from database.tables.instruments import Instrument
from database.tables.orders import Order
from jobs import lease
from jobs.service import submit
from tests.api.conftest import Firm
from tests.api.streaming import Stream, bearer, in_thread, opened, run
from tests.factories.accounts import create_account

PATH = "/api/v1/events"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.routes.events, "_GATHER_S", 0.02)


def ask(firm: Firm, role: str, **columns: Any) -> int:
    with transaction() as session:
        job = SendApproved(as_of=now().date(), book="paper", account_ids=(1,)) if columns else BuildFeatures()
        return submit(session, job, actor=f"{role}@firm.example", requested_by=firm.users[role], **columns)


def finish(job_id: int) -> None:
    with transaction() as session:
        held = lease.take(session, job_id=job_id, worker="test:1")
        assert held is not None
        lease.succeed(session, held, None)


def trade(firm: Firm, role: str) -> None:
    """Three orders for the account that only this advisor looks after, and one in a replay's copy of it."""
    with transaction() as session:
        copy = create_account(session, book="replay 2016-01-04..2017-06-30")
        instrument = Instrument(symbol="TEST", name="Test", kind="stock")
        session.add(instrument)
        session.flush()
        for number, account_id in enumerate([firm.accounts[role]] * 3 + [copy.account_id]):
            session.add(
                Order(
                    client_order_id=f"order {number}",
                    account_id=account_id,
                    instrument_id=instrument.instrument_id,
                    session_on=date(2017, 6, 30),
                    side="buy",
                    quantity=Decimal(1),
                    state="planned",
                    broker="paper",
                )
            )


async def settle(stream: Stream) -> list[dict[str, Any]]:
    """What the stream has to say until it is quiet."""
    found = []
    while True:
        try:
            found.append(await stream.event(timeout_s=0.4))
        except TimeoutError:
            return found


class TestFollowEvents:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(PATH).status_code == 401

    @pytest.mark.parametrize(
        ("role", "topics", "status"),
        [("admin", "jobs,weather", 422), ("admin", ",", 422), ("analyst", "orders", 403), ("analyst", "jobs", 200)],
    )
    def test_topics_are_checked(self, firm: Firm, role: str, topics: str, status: int) -> None:
        async def work(app: FastAPI) -> None:
            async with opened(app, PATH, headers=bearer(firm, role), query=f"topics={topics}") as stream:
                assert stream.status == status

        run(work)

    def test_begins_with_reset_and_what_is_open_then_tells_changes(self, firm: Firm) -> None:
        waiting = ask(firm, "analyst")

        async def work(app: FastAPI) -> None:
            async with opened(app, PATH, headers=bearer(firm, "advisor")) as stream:
                first = await stream.event()
                assert (first["event"], first["data"]["topics"]) == ("reset", ["jobs", "orders", "recommendations"])
                assert waiting in [one["data"]["job_id"] for one in await settle(stream)]
                await in_thread(finish, waiting)
                told = await settle(stream)
                assert [one["event"] for one in told] == ["jobs"] * len(told)
                assert told[-1]["data"]["status"] == "succeeded"

        run(work)

    def test_nobody_hears_of_foreign_rows(self, firm: Firm) -> None:
        async def work(app: FastAPI) -> None:
            async with (
                opened(app, PATH, headers=bearer(firm, "advisor")) as own,
                opened(app, PATH, headers=bearer(firm, "other_advisor")) as foreign,
                opened(app, PATH, headers=bearer(firm, "admin"), query="topics=orders") as admin,
            ):
                for stream in (own, foreign, admin):
                    await settle(stream)
                await in_thread(trade, firm, "advisor")
                await in_thread(lambda: ask(firm, "advisor", account_id=firm.accounts["advisor"]))
                account = {"account_id": firm.accounts["advisor"]}
                heard = await settle(own)
                assert [one["data"] for one in heard if one["event"] == "orders"] == [account]
                assert [one["data"]["name"] for one in heard if one["event"] == "jobs"] == ["send-approved"]
                assert await settle(foreign) == []
                assert [(one["event"], one["data"]) for one in await settle(admin)] == [("orders", account)]

        run(work)

    def test_transaction_that_commits_late_is_told(self, firm: Firm) -> None:
        """Asked for first and committed last: whoever reads 'numbers above the last' would never see it."""

        async def work(app: FastAPI) -> None:
            async with opened(app, PATH, headers=bearer(firm, "admin"), query="topics=jobs") as stream:
                await settle(stream)
                with transaction() as late:
                    early_number = submit(late, BuildFeatures(), actor="late", requested_by=None)
                    later_number = await in_thread(ask, firm, "admin")
                    assert early_number < later_number
                    assert {one["data"]["job_id"] for one in await settle(stream)} == {later_number}
                assert {one["data"]["job_id"] for one in await settle(stream)} == {early_number}

        run(work)

    def test_what_ended_while_nobody_listened_is_told_after_coming_back(self, firm: Firm) -> None:
        job_id = ask(firm, "analyst")
        finish(job_id)
        with transaction() as session:
            session.execute(
                text("update jobs set created_at = :at, finished_at = :at where job_id = :id"),
                {"at": now() - timedelta(minutes=5), "id": job_id},
            )

        async def work(app: FastAPI) -> None:
            heard = now() - timedelta(minutes=4)  # a little after it ended: the overlap covers a late commit
            headers = bearer(firm, "analyst", **{"Last-Event-ID": heard.isoformat()})
            async with opened(app, PATH, headers=headers) as stream:
                assert job_id in [one["data"].get("job_id") for one in await settle(stream)]
            async with opened(app, PATH, headers=bearer(firm, "analyst")) as stream:
                assert job_id not in [one["data"].get("job_id") for one in await settle(stream)]

        run(work)

    def test_lost_connection_of_the_listener_means_reset(self, firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api.streams, "_AGAIN_S", 0.05)

        def cut() -> None:
            with transaction() as session:
                session.execute(
                    text(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and usename = 'acis_api' and query ilike 'listen%'"
                    )
                )

        async def work(app: FastAPI) -> None:
            async with opened(app, PATH, headers=bearer(firm, "analyst")) as stream:
                await settle(stream)
                await in_thread(cut)
                assert (await stream.event())["event"] == "reset"
                await settle(stream)
                job_id = await in_thread(ask, firm, "analyst")
                assert (await stream.event())["data"]["job_id"] == job_id

        run(work)


@pytest.mark.usefixtures("firm")
class TestHub:
    def test_slow_reader_costs_no_memory_and_is_told_to_read_anew(self) -> None:
        async def work(app: FastAPI) -> None:
            hub: Hub = app.state.hub
            with hub.subscribed(["orders"], user_id=1) as subscription:
                await hub.listening()
                subscription.take()
                for key in range(100):
                    subscription.tell("orders", key % 7)
                    subscription.tell("jobs", key)
                assert subscription.take() == (False, {"orders": set(range(7))})
                for key in range(10 * api.streams.KEYS_MAX):
                    subscription.tell("orders", key)
                missed, changed = subscription.take()
                assert missed
                assert len(changed.get("orders", ())) <= api.streams.KEYS_MAX

        run(work)

    def test_one_user_opens_only_so_many(self) -> None:
        async def work(app: FastAPI) -> None:
            hub: Hub = app.state.hub
            opened_ones = [hub.subscribed(["jobs"], user_id=1) for _ in range(api.streams.STREAMS_PER_USER_MAX)]
            for one in opened_ones:
                one.__enter__()
            with pytest.raises(TooMany), hub.subscribed(["jobs"], user_id=1):
                pass
            with hub.subscribed(["jobs"], user_id=2):
                pass
            for one in opened_ones:
                one.__exit__(None, None, None)
            with hub.subscribed(["jobs"], user_id=1):
                pass

        run(work)

    def test_reader_that_takes_nothing_is_let_go(self, firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api.streams, "_STALLED_S", 0.05)

        async def endless() -> Any:
            while True:
                yield ": ping\n\n"

        async def stuck(message: Any) -> None:
            await asyncio.sleep(3600)

        async def work() -> None:
            async with asyncio.timeout(5):
                await api.streams.EventStream(endless()).stream_response(stuck)

        asyncio.run(work())
