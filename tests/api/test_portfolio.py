"""Portfolios over the API: who sees them, in which version, and that no answer outlives a trade."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from api import cache
from core.config import get_settings
from database.session import limited_engine, transaction
from database.tables.accounts import Account
from database.tables.instruments import Instrument
from database.tables.runs import Run
from mlops.queue import queue_answers, queue_process, start_queue
from portfolios.standings import refresh
from tests.api.conftest import Firm
from tests.factories.quotes import NIGHT, create_priced_stock
from tests.factories.targets import create_target
from tests.factories.trades import trade, value
from tests.mlops.test_process import wait_for
from trading.service import open_paper_account

AsRole = Callable[[str], TestClient]
D = Decimal
BASE = "/api/v1/portfolio"
PARTS = ("", "/holdings", "/allocation", "/lots", "/performance", "/drift", "/health")
FILES = ("/holdings.csv", "/lots.csv")
SECRET = "Blunderbuss Holdings"


@pytest.fixture(scope="module")
def practice(firm: Firm) -> dict[str, int]:
    """Both advisors' accounts hold a stock, were valued twice and have a plan; instrument ids by symbol."""
    with transaction() as session:
        session.add(
            Run(job="nightly", as_of=NIGHT, book="paper", status="succeeded", steps={}, result={}, code_commit="test")
        )
        ids = {name: create_priced_stock(session, name, closes={NIGHT: 101.0}) for name in ("AAA", "BBB", "ODD")}
        session.get_one(Instrument, ids["ODD"]).name = f"=1+1 {SECRET}"
        for role, symbol in (("advisor", "AAA"), ("other_advisor", "ODD")):
            account = session.get_one(Account, firm.accounts[role])
            open_paper_account(session, account_id=account.account_id)
            trade(session, account, ids[symbol], quantity=1000, session_on=date(2017, 6, 28), commission="0.00")
            create_target(session, account, session_on=NIGHT, weights={ids["AAA"]: D("0.1"), ids["BBB"]: D("0.1")})
            value(session, account, {date(2017, 6, 28): ("900000", "100000"), NIGHT: ("900000", "101000")})
            refresh(session, account_ids=[account.account_id], as_of=NIGHT)
    return ids


@pytest.fixture(scope="class")
def redis_server(tmp_path_factory: pytest.TempPathFactory, practice: dict[str, int]) -> Iterator[None]:
    """A Redis of this class's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACIS_VAR_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("REDIS_URL", raising=False)
        get_settings.cache_clear()
        cache.comfort.cache_clear()
        assert start_queue()
        wait_for(queue_answers)
        yield
        queue_process().stop()
    get_settings.cache_clear()
    cache.comfort.cache_clear()


def holdings(client: TestClient, firm: Firm, role: str = "advisor") -> dict[str, str]:
    answer = client.get(f"{BASE}/accounts/{firm.accounts[role]}/holdings")
    assert answer.status_code == 200, answer.text
    return {one["symbol"]: one["quantity"] for one in answer.json()["holdings"]}


@pytest.mark.usefixtures("practice")
class TestWhoSees:
    @pytest.mark.parametrize("part", [*PARTS, *FILES])
    def test_stranger_gets_nothing(self, service: TestClient, firm: Firm, part: str) -> None:
        assert service.get(f"{BASE}/clients/{firm.clients['advisor']}{part}").status_code == 401

    @pytest.mark.parametrize("part", [*PARTS, *FILES, "/peers"])
    def test_foreign_client_is_not_there(self, as_role: AsRole, firm: Firm, part: str) -> None:
        answer = as_role("advisor").get(f"{BASE}/clients/{firm.clients['other_advisor']}{part}")
        assert answer.status_code == 404
        assert SECRET not in answer.text
        assert as_role("analyst").get(f"{BASE}/clients/{firm.clients['advisor']}{part}").status_code == 403

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("whose", ["clients", "accounts"])
    def test_own_client_has_every_page(self, as_role: AsRole, firm: Firm, whose: str, part: str) -> None:
        key = (firm.clients if whose == "clients" else firm.accounts)["advisor"]
        answer = as_role("advisor").get(f"{BASE}/{whose}/{key}{part}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["subject"]["as_of"] == "2017-06-30"

    def test_household_of_another_is_not_there(self, as_role: AsRole, firm: Firm) -> None:
        with transaction() as session:
            rows = session.execute(text("select client_id, household_id from clients")).all()
        homes = {row.client_id: row.household_id for row in rows}
        own = as_role("advisor").get(f"{BASE}/households/{homes[firm.clients['advisor']]}")
        assert own.json()["subject"]["client"] is None
        foreign = as_role("advisor").get(f"{BASE}/households/{homes[firm.clients['other_advisor']]}")
        assert (own.status_code, foreign.status_code) == (200, 404)

    def test_a_look_is_recorded(self, as_role: AsRole, firm: Firm) -> None:
        as_role("viewer").get(f"{BASE}/clients/{firm.clients['advisor']}")
        as_role("admin").get(f"{BASE}/clients/{firm.clients['advisor']}/drift")
        with transaction() as session:
            query = text("select actor from audit where action = 'look' and subject = 'client' and subject_id = :id")
            actors = set(session.scalars(query, {"id": str(firm.clients["advisor"])}))
        assert "admin@firm.example" in actors
        assert "viewer@firm.example" not in actors, "what was not shown was not looked at"


@pytest.mark.usefixtures("practice")
class TestPages:
    def test_summary(self, as_role: AsRole, firm: Firm) -> None:
        found = as_role("advisor").get(f"{BASE}/clients/{firm.clients['advisor']}").json()
        assert found["totals"]["value_usd"] == "1001000.00"
        assert found["day"]["time_weighted"] == pytest.approx(0.001)
        assert found["day"]["gain_usd"] == "1000.00"
        assert found["off_count"] == 1
        assert D(found["drift"]) == pytest.approx(D("0.1"), abs=D("0.001"))
        (account,) = found["accounts"]
        assert account["account_id"] == firm.accounts["advisor"]

    def test_performance_states_its_basis_and_what_it_does_not_know(self, as_role: AsRole, firm: Firm) -> None:
        found = as_role("advisor").get(f"{BASE}/clients/{firm.clients['advisor']}/performance").json()
        assert [one["name"] for one in found["periods"]][-1] == "inception"
        assert found["series"]["on"] == ["2017-06-28", "2017-06-30"]
        assert found["series"]["benchmark"] == [None, None]
        assert any("benchmark" in note for note in found["periods"][-1]["notes"])
        assert found["basis"]
        assert [one["kind"] for one in found["flows"]] == ["deposit"]

    def test_as_of_a_day_of_the_past(self, as_role: AsRole, firm: Firm) -> None:
        place = f"{BASE}/accounts/{firm.accounts['advisor']}/holdings"
        before = as_role("advisor").get(place, params={"as_of": "2017-06-27"}).json()
        assert before["holdings"] == []
        assert before["subject"]["is_now"] is False
        later = as_role("advisor").get(place, params={"as_of": "2018-01-02"})
        assert later.status_code == 422
        assert "2017-06-30" in later.json()["detail"]

    def test_lots_by_year(self, as_role: AsRole, firm: Firm) -> None:
        place = f"{BASE}/accounts/{firm.accounts['advisor']}/lots"
        assert len(as_role("advisor").get(place, params={"year": 2017}).json()["lots"]) == 1
        assert as_role("advisor").get(place, params={"year": 2016}).json()["lots"] == []
        closed = as_role("advisor").get(place, params={"status": "closed"}).json()
        assert (closed["lots"], closed["gains"]["short_usd"]) == ([], "0.00")

    def test_files_open_in_a_spreadsheet_and_run_nothing(self, as_role: AsRole, firm: Firm) -> None:
        for word, rows in (("holdings", 2), ("lots", 1)):
            answer = as_role("other_advisor").get(f"{BASE}/accounts/{firm.accounts['other_advisor']}/{word}.csv")
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert "attachment" in answer.headers["content-disposition"]
            read = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
            assert len(read) == rows
            assert read[0]["name"] == f"'=1+1 {SECRET}"
            assert D(read[0]["quantity"]) == 1000

    def test_practice_sums_what_may_be_seen(self, as_role: AsRole) -> None:
        own = as_role("advisor").get(f"{BASE}/practice").json()
        firm_wide = as_role("admin").get(f"{BASE}/practice").json()
        assert (own["clients"], own["value_usd"]) == (1, "1001000.00")
        assert (firm_wide["clients"], firm_wide["value_usd"]) == (2, "2002000.00")
        assert firm_wide["clients_off_plan"] == 2
        assert sum(one["accounts"] for one in firm_wide["drift_classes"]) == 2
        assert firm_wide["series"]["value_usd"] == [2_000_000.0, 2_002_000.0]
        nobody = as_role("viewer").get(f"{BASE}/practice").json()
        assert (nobody["clients"], nobody["value_usd"], nobody["series"]["on"]) == (0, "0.00", [])

    def test_peers_need_five(self, as_role: AsRole, firm: Firm) -> None:
        found = as_role("advisor").get(f"{BASE}/clients/{firm.clients['advisor']}/peers").json()
        assert (found["peers"], found["below"]) == (None, None)
        assert "fewer than 5" in found["why"]

    @pytest.mark.parametrize("part", PARTS)
    def test_queries_do_not_grow_with_the_holdings(
        self, as_role: AsRole, firm: Firm, practice: dict[str, int], part: str
    ) -> None:
        place = f"{BASE}/accounts/{firm.accounts['other_advisor']}{part}"
        few = self._count(as_role("other_advisor"), place)
        with transaction() as session:
            account = session.get_one(Account, firm.accounts["other_advisor"])
            for _ in range(5):
                trade(session, account, practice["BBB"], quantity=1, session_on=NIGHT)
                trade(session, account, practice["AAA"], quantity=1, session_on=NIGHT)
        assert self._count(as_role("other_advisor"), place) == few

    def _count(self, client: TestClient, place: str) -> int:
        client.get(place)  # the look is recorded once a minute
        seen: list[str] = []

        def note(connection: object, cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(limited_engine(), "before_cursor_execute", note)
        assert client.get(place).status_code == 200
        event.remove(limited_engine(), "before_cursor_execute", note)
        return len(seen)


@pytest.mark.servers
@pytest.mark.usefixtures("redis_server")
class TestCache:
    def test_an_answer_is_made_once_and_moves_with_a_trade(
        self, as_role: AsRole, firm: Firm, practice: dict[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = as_role("advisor")
        place = f"{BASE}/accounts/{firm.accounts['advisor']}/holdings"
        first = client.get(place)
        kept = cache.comfort().attempt(lambda redis: redis.keys("acis:portfolio:*"))
        assert len(kept or []) == 1
        with monkeypatch.context() as patch:
            patch.setattr("portfolios.service.read_holdings", None)  # whoever would work again fails
            assert client.get(place).content == first.content
        with transaction() as session:
            account = session.get_one(Account, firm.accounts["advisor"])
            trade(session, account, practice["BBB"], quantity=7, session_on=NIGHT)
        assert D(holdings(client, firm)["BBB"]) == 7
        second = client.get(place)
        assert second.headers["etag"] != first.headers["etag"]

    def test_what_the_caller_has_is_not_sent_again(self, as_role: AsRole, firm: Firm) -> None:
        client = as_role("advisor")
        place = f"{BASE}/clients/{firm.clients['advisor']}"
        first = client.get(place)
        assert first.headers["cache-control"] == "private, no-cache"
        again = client.get(place, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        other = client.get(f"{place}/drift", headers={"If-None-Match": first.headers["etag"]})
        assert other.status_code == 200

    @pytest.mark.parametrize(
        "statement",
        [
            "update mandates set effective_on = '2017-06-02', version = version + 1 where account_id = :id",
            "insert into restrictions (account_id, kind, value) values (:id, 'ticker', 'AAA')",
            "with e as (insert into journal_entries (account_id, booked_on, kind, source_key, memo)"
            " values (:id, '2017-06-30', 'deposit', 'x', 'x') returning entry_id)"
            " insert into journal_lines (entry_id, line, ledger_account, amount_usd) select entry_id, n, name, amount"
            " from e, (values (1, 'cash', 100), (2, 'capital', -100)) as v (n, name, amount)",
            "update clients set name = name || '!' where client_id = (select client_id from accounts"
            " where account_id = :id)",
            "update accounts set status = 'halted', halted_reason = 'x' where account_id = :id",
            "insert into account_valuations (account_id, session_on, cash_usd, securities_usd)"
            " values (:id, '2017-07-03', 1, 0)",
            "insert into data_vintages (dataset, year, version) values ('daily_bars', 2031, :id)",
        ],
    )
    def test_whatever_moves_the_rows_moves_the_version(self, as_role: AsRole, firm: Firm, statement: str) -> None:
        client, place = as_role("admin"), f"{BASE}/accounts/{firm.accounts['other_advisor']}/drift"
        before = client.get(place).headers["etag"]
        assert client.get(place).headers["etag"] == before
        with transaction() as session:
            session.execute(text(statement), {"id": firm.accounts["other_advisor"]})
        assert client.get(place).headers["etag"] != before

    def test_a_kept_page_is_no_way_around_the_policies(self, as_role: AsRole, firm: Firm) -> None:
        place = f"{BASE}/clients/{firm.clients['other_advisor']}/holdings"
        seen = as_role("admin").get(place)
        assert SECRET in seen.text
        for role, status in (("advisor", 404), ("analyst", 403)):
            answer = as_role(role).get(place, headers={"If-None-Match": seen.headers["etag"]})
            assert answer.status_code == status
            assert SECRET not in answer.text

    def test_practices_of_two_people_are_kept_apart(self, as_role: AsRole) -> None:
        values = {role: as_role(role).get(f"{BASE}/practice").json()["clients"] for role in ("admin", "advisor")}
        assert values == {"admin": 2, "advisor": 1}
        again = {role: as_role(role).get(f"{BASE}/practice").json()["clients"] for role in ("admin", "advisor")}
        assert again == values

    def test_without_redis_everything_is_worked_out(self, as_role: AsRole, firm: Firm) -> None:
        client = as_role("advisor")
        before = holdings(client, firm)
        queue_process().stop()
        assert holdings(client, firm) == before
        assert cache.find("anything") is None


class TestComfort:
    def test_after_a_failure_it_is_left_alone_for_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        comfort = cache.Comfort(f"unix://{tmp_path}/nobody.sock")
        assert comfort.attempt(lambda client: client.get("x")) is None
        asked: list[int] = []
        assert comfort.attempt(lambda client: asked.append(1)) is None
        assert asked == []
        monkeypatch.setattr(cache, "REST_S", 0.0)
        fresh = cache.Comfort(f"unix://{tmp_path}/nobody.sock")
        assert fresh.attempt(lambda client: client.get("x")) is None
        fresh.attempt(lambda client: asked.append(2))
        assert asked == [2]
