"""Screens over the API."""

import csv
import io
from collections.abc import Callable
from datetime import date

import pytest
from fastapi.testclient import TestClient

from database.session import transaction
from database.tables.instruments import Instrument
from database.tables.scores import Score
from tests.api.counting import counted
from tests.factories.market import Market, create_market
from tests.factories.regimes import create_screen
from tests.factories.scores import create_batch

AsRole = Callable[[str], TestClient]
URL = "/api/v1/screens"
EVE, LAST = date(2017, 6, 29), date(2017, 6, 30)
STRATEGY = "momentum_largecap"


@pytest.fixture(scope="module")
def market(firm: object) -> Market:
    """Two nights: S000 S001 S002, then S002 S000 S003; one has reasons, one a name that would run as a formula."""
    with transaction() as session:
        made = create_market(session, instruments=6, sessions=40, last_on=LAST)
        first, second, third, fourth, *_ = made.instrument_ids
        create_screen(session, session_on=EVE, strategy=STRATEGY, instrument_ids=[first, second, third])
        batch = create_screen(session, session_on=LAST, strategy=STRATEGY, instrument_ids=[third, first, fourth])
        best = session.get_one(Score, (batch.score_batch_id, third))
        best.margin, best.base = 0.5, 0.1
        best.reasons = [
            {"feature": "beta_252", "value": 0.7, "contribution": -0.05, "text": "beta lowers the score"},
            {"feature": "momentum_252", "value": 0.4, "contribution": 0.3, "text": "momentum raises the score"},
        ]
        session.get_one(Instrument, first).name = '=HYPERLINK("http://x")'
        create_batch(session, session_on=LAST, strategy="growth_largecap", refused="too few reports")
    return made


class TestListScreens:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_newest_night_of_each_strategy(self, as_role: AsRole, market: Market) -> None:
        told = {row["strategy"]: row for row in as_role("viewer").get(URL).json()}
        assert set(told) == {STRATEGY, "growth_largecap"}
        assert (told[STRATEGY]["session_on"], told[STRATEGY]["scored_count"]) == (LAST.isoformat(), 3)
        assert told["growth_largecap"]["reason"] == "too few reports"

    def test_before_the_first_night_is_empty(self, as_role: AsRole, market: Market) -> None:
        assert as_role("viewer").get(URL, params={"as_of": "2017-06-01"}).json() == []


class TestShowScreen:
    def test_tells_what_changed_since_the_night_before(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/{STRATEGY}").json()
        assert [(row["symbol"], row["rank"], row["rank_before"]) for row in told["stocks"]] == [
            ("S002", 1, 3),
            ("S000", 2, 1),
            ("S003", 3, None),
        ]
        assert (told["before_on"], told["new"]) == (EVE.isoformat(), ["S003"])
        assert told["gone"] == [{"symbol": "S001", "rank_before": 2}]
        assert told["stocks"][0]["reason"] == "beta lowers the score"

    def test_sector_shares_sum_to_one(self, as_role: AsRole, market: Market) -> None:
        sectors = as_role("advisor").get(f"{URL}/{STRATEGY}").json()["sectors"]
        assert sum(row["stocks"] for row in sectors) == 3
        assert sum(row["share"] for row in sectors) == pytest.approx(1.0)

    def test_first_screen_has_nothing_new(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/{STRATEGY}", params={"as_of": EVE.isoformat()}).json()
        assert (told["before_on"], told["new"], told["gone"]) == (None, [], [])

    def test_unknown_strategy_gets_the_list(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("advisor").get(f"{URL}/astrology")
        assert answer.status_code == 404
        assert STRATEGY in answer.json()["detail"]

    def test_lane_that_did_not_run_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(f"{URL}/{STRATEGY}", params={"lane": "screener"}).status_code == 404

    def test_questions_do_not_grow_with_stocks(self, as_role: AsRole, market: Market) -> None:
        with counted() as statements:
            as_role("advisor").get(f"{URL}/{STRATEGY}", params={"as_of": LAST.isoformat()})
        assert len(statements) <= 6


class TestExportScreen:
    def test_rows_open_in_a_spreadsheet_and_no_cell_runs(self, as_role: AsRole, market: Market) -> None:
        answer = as_role("analyst").get(f"{URL}/{STRATEGY}/export")
        assert answer.headers["content-disposition"] == f'attachment; filename="screen-{STRATEGY}-2017-06-30.csv"'
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [row["symbol"] for row in rows] == ["S002", "S000", "S003"]
        assert rows[1]["name"].startswith("'=HYPERLINK")
        assert rows[2]["rank_before"] == ""
        assert float(rows[0]["margin"]) == 0.5


class TestShowStockReasons:
    def test_base_reasons_and_the_rest_add_up_to_the_margin(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/{STRATEGY}/stocks/s002").json()
        assert [row["feature"] for row in told["reasons"]] == ["momentum_252", "beta_252"]
        added = told["base"] + sum(row["contribution"] for row in told["reasons"]) + told["remainder"]
        assert added == pytest.approx(told["margin"])
        assert (told["rank"], told["of"], told["model"]) == (1, 3, "screener-momentum_largecap")

    def test_stock_off_the_screen_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(f"{URL}/{STRATEGY}/stocks/S005").status_code == 404


class TestShowRankHistory:
    def test_a_night_off_the_screen_is_a_gap(self, as_role: AsRole, market: Market) -> None:
        told = as_role("advisor").get(f"{URL}/{STRATEGY}/stocks/S001/history").json()
        assert [(row["session_on"], row["rank"]) for row in told["items"]] == [("2017-06-29", 2), ("2017-06-30", None)]

    def test_unknown_symbol_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(f"{URL}/{STRATEGY}/stocks/NOPE/history").status_code == 404

    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/{STRATEGY}/stocks/S001/history").status_code == 401
