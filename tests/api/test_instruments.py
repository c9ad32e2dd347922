"""Instruments over the API."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.session import transaction
from database.tables.instruments import Instrument
from tests.factories.market import Market, create_market
from tests.factories.scores import create_batch

AsRole = Callable[[str], TestClient]
URL = "/api/v1/instruments"
LAST = date(2017, 6, 30)


@pytest.fixture(scope="module")
def market(firm: object) -> Market:
    """Thirty stocks, of which one is Apple and one has a name with the pattern signs of SQL."""
    with transaction() as session:
        made = create_market(session, instruments=30, sessions=60, last_on=LAST)
        session.get_one(Instrument, made.instrument_ids[3]).name = "100% of_Apples"
        session.get_one(Instrument, made.instrument_ids[4]).symbol = "APPLE"
        create_batch(session, session_on=LAST, instrument_ids=made.instrument_ids[:2])
    return made


def listed(client: TestClient, **params: Any) -> list[str]:
    answer = client.get(URL, params=params)
    assert answer.status_code == 200, answer.text
    return [row["symbol"] for row in answer.json()["items"]]


class TestListInstruments:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_symbol_itself_comes_before_names(self, as_role: AsRole, market: Market) -> None:
        assert listed(as_role("advisor"), search="apple") == ["APPLE", "S003"]

    def test_pattern_signs_are_letters_like_others(self, as_role: AsRole, market: Market) -> None:
        assert listed(as_role("advisor"), search="0% of_") == ["S003"]
        assert listed(as_role("advisor"), search="%%") == []

    def test_of_a_sector(self, as_role: AsRole, market: Market) -> None:
        assert listed(as_role("advisor"), sector="Energy") == ["S002", "S013", "S024"]

    def test_unknown_sort_is_refused(self, as_role: AsRole, market: Market) -> None:
        assert as_role("advisor").get(URL, params={"sort": "beauty"}).status_code == 422

    @given(
        limit=st.integers(4, 40),
        sort=st.sampled_from(["relevance", "symbol", "-symbol", "name", "-name"]),
        search=st.sampled_from([None, "S0", "Company", "zzz"]),
    )
    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_each_stands_on_exactly_one_page(
        self, as_role: AsRole, market: Market, limit: int, sort: str, search: str | None
    ) -> None:
        client = as_role("advisor")
        params: dict[str, str | int] = {"limit": limit, "sort": sort}
        if search:
            params["search"] = search
        seen, cursor, total = [], None, None
        while True:
            page = client.get(URL, params=params | ({"cursor": cursor} if cursor else {})).json()
            total = page["total"] if total is None else total
            assert len(page["items"]) <= limit
            seen += [row["symbol"] for row in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == total
        assert set(seen) == set(listed(client, limit=500, **({"search": search} if search else {})))


class TestListSectors:
    def test_every_sector_with_its_count(self, as_role: AsRole, market: Market) -> None:
        rows = as_role("viewer").get(f"{URL}/sectors").json()
        assert sum(row["instruments"] for row in rows) == 30
        assert [row["sector"] for row in rows] == sorted(row["sector"] for row in rows)


class TestShowInstrument:
    def test_tells_bar_membership_and_places(self, as_role: AsRole, market: Market) -> None:
        told = as_role("viewer").get(f"{URL}/s001").json()
        assert told["last_bar"]["session_on"] == LAST.isoformat()
        assert told["last_bar"]["close"] == market.close[-1, 1]
        assert told["change"] == pytest.approx(market.adj_close[-1, 1] / market.adj_close[-2, 1] - 1)
        assert told["memberships"] == [
            {"index_name": "SP500", "start_on": market.sessions[0].isoformat(), "end_on": None}
        ]
        assert told["placements"][0]["rank"] == 2

    def test_before_its_first_bar_nothing_is_known(self, as_role: AsRole, market: Market) -> None:
        told = as_role("viewer").get(f"{URL}/S001", params={"as_of": "2010-01-04"}).json()
        assert (told["last_bar"], told["change"], told["memberships"], told["placements"]) == (None, None, [], [])

    @pytest.mark.parametrize("symbol", ["NOPE", "%00", "a b"])
    def test_unknown_symbol_is_no_fault_of_ours(self, as_role: AsRole, market: Market, symbol: str) -> None:
        assert as_role("viewer").get(f"{URL}/{symbol}").status_code in (404, 422)


class TestShowBars:
    def test_adjusted_prices_take_dividends_out(self, as_role: AsRole, market: Market) -> None:
        plain = as_role("viewer").get(f"{URL}/S000/bars").json()
        adjusted = as_role("viewer").get(f"{URL}/S000/bars", params={"is_adjusted": True}).json()
        assert plain["sessions"] == [day.isoformat() for day in market.sessions]
        assert plain["close"] == market.close[:, 0].tolist()
        assert adjusted["close"] == pytest.approx(market.adj_close[:, 0].tolist())
        assert adjusted["open"][0] / plain["open"][0] == pytest.approx(adjusted["close"][0] / plain["close"][0])

    def test_stretch_is_bounded(self, as_role: AsRole, market: Market) -> None:
        assert as_role("viewer").get(f"{URL}/S000/bars", params={"from_on": "1963-01-02"}).status_code == 422

    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/S000/bars").status_code == 401
