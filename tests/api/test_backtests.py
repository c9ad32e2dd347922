"""Back-tests over the API: asked for once, read by whoever researches, hypothetical throughout."""

from collections.abc import Callable
from datetime import date
from typing import Any, get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.schemas.backtests import Optimiser
from database.session import transaction
from database.tables.backtests import Backtest
from database.tables.jobs import QueuedJob
from mlops.rehearsal import monthly
from registry import backtests
from tests.api.conftest import Firm
from tests.api.counting import counted
from tests.factories.market import create_market
from tests.factories.models import create_model

AsRole = Callable[[str], TestClient]
URL = "/api/v1/backtests"
STRATEGY = "momentum_largecap"
LAST = date(2017, 6, 30)
BODY: dict[str, Any] = {"kind": "backtest", "strategy": STRATEGY, "from_on": "2017-01-03", "to_on": "2017-06-30"}
_keys = iter(range(10_000))


def once() -> dict[str, str]:
    """A key for new work."""
    return {"Idempotency-Key": f"look-{next(_keys)}"}


def ask(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post(URL, json=BODY | changes, headers=once())
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish(backtest_id: int) -> None:
    """What the job would leave behind."""
    days = [date(2017, 1, 3), date(2017, 1, 4), date(2017, 2, 1)]
    with transaction() as session:
        row = session.get_one(Backtest, backtest_id)
        path = np.array([1.0, 1.1, 0.99])
        months = monthly(path, path, days)
        backtests.keep(
            session,
            job_id=row.job_id,
            measures={"hypothetical": True, "portfolio": {"total_return": -0.01}, "months": months, "trials": 6},
            series={
                "sessions": [day.isoformat() for day in days],
                "portfolio": [1.0, 1.1, 0.99],
                "universe": [1.0, 1.0, 1.0],
                "index": [1.0, None, 1.2],
            },
            trades={
                "decided_on": ["2017-01-03"] * 3,
                "filled_on": ["2017-01-04"] * 3,
                "symbol": ["AAA", "BBB", "=CCC"],
                "weight_before": [0.0, 0.1, 0.2],
                "weight_after": [0.1, 0.0, 0.3],
                "price_usd": [10.0, None, 12.5],
            },
        )


@pytest.fixture(scope="module")
def market(firm: Firm) -> None:
    """Bars, features and a judged screener of the first half of 2017."""
    with transaction() as session:
        create_market(session, instruments=3, sessions=300, last_on=LAST)
        create_model(session, strategy=STRATEGY, year=2017, metrics={"judged_to_on": LAST.isoformat()})


class TestRequestBacktest:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.post(URL, json=BODY).status_code == 401

    def test_who_only_looks_on_may_not_ask(self, as_role: AsRole, market: None) -> None:
        for role in ("viewer", "service"):
            assert as_role(role).post(URL, json=BODY, headers=once()).status_code == 403

    def test_one_key_makes_one_job(self, as_role: AsRole, market: None, firm: Firm) -> None:
        key = once()
        first, second = (as_role("advisor").post(URL, json=BODY, headers=key) for _ in range(2))
        assert (first.status_code, first.json()) == (202, second.json())
        told = first.json()
        assert (told["hypothetical"], told["status"], told["measures"]) == (True, "queued", None)
        with transaction() as session:
            job = session.get_one(QueuedJob, told["job_id"])
        assert (job.name, job.requested_by, job.is_private) == ("run-backtest", firm.users["advisor"], False)
        assert job.payload["optimiser"] == "equal_weight"

    def test_without_a_key_nothing_is_begun(self, as_role: AsRole, market: None) -> None:
        assert as_role("advisor").post(URL, json=BODY).status_code == 422

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"from_on": "2015-01-02"}, "out-of-fold scores begin on 2017-01-01"),
            ({"to_on": "2019-01-02"}, "out-of-fold scores end on 2017-06-30"),
            ({"from_on": "2017-06-30", "to_on": "2017-06-01"}, "the first must not be later"),
            ({"from_on": "2017-06-20"}, "give at least 21"),
            ({"stocks": 5}, "give 0.2000 or more"),
            ({"strategy": "astrology"}, "unknown strategy 'astrology'"),
            ({"optimiser": "tea_leaves"}, "optimiser"),
            ({"cost_multiple": -1}, "cost_multiple"),
            ({"scores": "served"}, "there are no nights' own screens of"),
            ({"to_on": "9999-12-31"}, "to_on"),
        ],
    )
    def test_wrong_input_names_itself_and_the_remedy(
        self, as_role: AsRole, market: None, changes: dict[str, Any], words: str
    ) -> None:
        answer = as_role("analyst").post(URL, json=BODY | changes, headers=once())
        assert answer.status_code in (404, 409, 422), answer.text
        assert words in answer.json()["detail"]

    def test_replays_are_not_for_who_sees_some_clients_only(self, as_role: AsRole, market: None) -> None:
        body = {"kind": "replay", "from_on": "2017-05-01", "to_on": "2017-06-30"}
        assert as_role("advisor").post(URL, json=body, headers=once()).status_code == 403
        told = as_role("analyst").post(URL, json=body, headers=once()).json()
        with transaction() as session:
            assert session.get_one(QueuedJob, told["job_id"]).is_private
        # The job's own words are the analyst's; that there was a replay may be seen.
        seen = as_role("advisor").get(f"{URL}/{told['backtest_id']}").json()
        assert (seen["kind"], seen["status"], seen["error"]) == ("replay", "queued", None)

    def test_optimisers_are_those_that_the_gate_knows(self) -> None:
        assert get_args(Optimiser) == backtests.OPTIMISERS


class TestEstimateBacktest:
    def test_begins_nothing(self, as_role: AsRole, market: None) -> None:
        with transaction() as session:
            before = len(session.scalars(select(QueuedJob.job_id)).all())
        told = as_role("advisor").post(f"{URL}/estimate", json=BODY).json()
        assert (told["sessions"], told["decisions"]) == (125, 25)
        assert told["seconds"] > 0
        assert any("nothing will be annualised" in note for note in told["notes"])
        with transaction() as session:
            assert len(session.scalars(select(QueuedJob.job_id)).all()) == before

    def test_a_replay_is_bounded(self, as_role: AsRole, market: None) -> None:
        body = {"kind": "replay", "from_on": "2016-12-01", "to_on": "2017-06-30"}
        assert as_role("admin").post(f"{URL}/estimate", json=body).json()["sessions"] == 146


class TestShowOptions:
    def test_tells_what_can_be_tested_on(self, as_role: AsRole, market: None) -> None:
        told = as_role("viewer").get(f"{URL}/options").json()
        spans = {row["strategy"]: {span["scores"]: span for span in row["spans"]} for row in told["strategies"]}
        assert spans[STRATEGY]["out_of_fold"] == {
            "scores": "out_of_fold",
            "from_on": "2017-01-01",
            "to_on": "2017-06-30",
        }
        assert spans["value_largecap"]["out_of_fold"]["from_on"] is None

    def test_a_machine_has_no_business_here(self, as_role: AsRole, market: None) -> None:
        assert as_role("service").get(f"{URL}/options").status_code == 403


class TestReadBacktest:
    def test_before_it_is_done_there_are_no_figures(self, as_role: AsRole, market: None) -> None:
        key = ask(as_role("analyst"))["backtest_id"]
        for part in ("series", "trades", "export"):
            answer = as_role("viewer").get(f"{URL}/{key}/{part}")
            assert answer.status_code == 409, part
            assert "has no results" in answer.json()["detail"]

    @pytest.mark.parametrize("part", ["", "/series", "/trades", "/export"])
    def test_unknown_number_is_not_found(self, as_role: AsRole, market: None, part: str) -> None:
        assert as_role("viewer").get(f"{URL}/999999{part}").status_code == 404

    def test_result_says_that_it_is_hypothetical_everywhere(self, as_role: AsRole, market: None) -> None:
        key = ask(as_role("analyst"))["backtest_id"]
        finish(key)
        client = as_role("viewer")
        assert client.get(f"{URL}/{key}").json()["hypothetical"] is True
        assert client.get(f"{URL}/{key}/series").json()["hypothetical"] is True
        assert client.get(f"{URL}/{key}/series").json()["index"] == [1.0, None, 1.2]
        lines = client.get(f"{URL}/{key}/export", params={"part": "trades"}).content.decode("utf-8-sig").splitlines()
        assert all(line.startswith("hypothetical,") for line in lines)
        assert lines[3].split(",")[3] == "'=CCC"
        told = client.get(f"{URL}/{key}/export", params={"part": "months", "format": "json"}).json()
        assert (told["hypothetical"], [row["month"] for row in told["months"]]) == (True, [1, 2])

    def test_trades_stand_on_one_page_each(self, as_role: AsRole, market: None) -> None:
        key = ask(as_role("analyst"))["backtest_id"]
        finish(key)
        client = as_role("advisor")
        first = client.get(f"{URL}/{key}/trades", params={"limit": 2}).json()
        second = client.get(f"{URL}/{key}/trades", params={"limit": 2, "cursor": first["next"]}).json()
        assert [row["symbol"] for row in (*first["items"], *second["items"])] == ["AAA", "BBB", "=CCC"]
        assert (first["total"], second["next"]) == (3, None)
        only = client.get(f"{URL}/{key}/trades", params={"symbol": "bbb"}).json()
        assert [row["price_usd"] for row in only["items"]] == [None]


class TestCompareBacktests:
    def test_stand_in_the_order_asked_for(self, as_role: AsRole, market: None) -> None:
        one, two = (ask(as_role("analyst"))["backtest_id"] for _ in range(2))
        finish(two)
        told = as_role("viewer").get(f"{URL}/comparison", params={"ids": [two, one]}).json()
        assert [row["backtest"]["backtest_id"] for row in told] == [two, one]
        assert (told[0]["daily"]["portfolio"], told[1]["daily"]) == ([1.0, 1.1, 0.99], None)

    @pytest.mark.parametrize("ids", [[1], [1, 1], [1, 2, 3, 4, 5]])
    def test_two_to_four_different_ones(self, as_role: AsRole, market: None, ids: list[int]) -> None:
        assert as_role("viewer").get(f"{URL}/comparison", params={"ids": ids}).status_code == 422


class TestListBacktests:
    def test_archived_ones_are_off_the_list_and_still_count(self, as_role: AsRole, market: None) -> None:
        key = ask(as_role("analyst"), title="mine alone")["backtest_id"]
        with transaction() as session:
            before = backtests.standing_of(session, strategy=STRATEGY)["backtests"]
        assert as_role("advisor").delete(f"{URL}/{key}").status_code == 403
        assert as_role("analyst").delete(f"{URL}/{key}").status_code == 204
        listed = as_role("viewer").get(URL, params={"limit": 500}).json()["items"]
        assert key not in [row["backtest_id"] for row in listed]
        archived = as_role("viewer").get(URL, params={"is_archived": True}).json()["items"]
        assert [row["title"] for row in archived] == ["mine alone"]
        with transaction() as session:
            assert backtests.standing_of(session, strategy=STRATEGY)["backtests"] == before

    def test_mine_only(self, as_role: AsRole, market: None) -> None:
        ask(as_role("other_advisor"))
        rows = as_role("other_advisor").get(URL, params={"is_mine": True}).json()["items"]
        assert {row["created_by"] for row in rows} == {"other_advisor@firm.example"}

    def test_questions_do_not_grow_with_back_tests(self, as_role: AsRole, market: None) -> None:
        with counted() as statements:
            as_role("viewer").get(URL)
        assert len(statements) <= 4
