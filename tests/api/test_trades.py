"""The history of trades over the API: pages, filters, and files in which no cell runs as a formula."""

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import text

from database.session import transaction
from tests.api.conftest import Firm
from tests.api.trading import once, propose_for_both, run_job
from tests.factories.proposals import forget_trading
from tests.factories.quotes import NEXT, create_priced_stock

AsRole = Callable[[str], TestClient]
D = Decimal
URL = "/api/v1/trades"
STARTS = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture(scope="module")
def traded(service: TestClient, firm: Firm) -> Iterator[int]:
    """Both advisors' accounts have bought four stocks, one with the name of a formula; how many fills there are."""
    with transaction() as session:
        names = ("AAA", "BBB", "CCC", "DDD")
        stocks = [create_priced_stock(session, name, sector=name) for name in names]
        session.execute(text("update instruments set name = '=HYPERLINK(\"http://evil\")' where symbol = 'AAA'"))
    propose_for_both(firm, dict.fromkeys(stocks, D("0.05")))
    headers = {"Authorization": f"Bearer {firm.token('admin')}", **once()}
    done = service.post("/api/v1/recommendations/approvals", json={"filter": {}}, headers=headers).json()
    run_job(done["job_id"])
    yield len(done["order_ids"])
    with transaction() as session:
        forget_trading(session)


def pages(client: TestClient, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = client.get(URL, params={**parameters, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        rows += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return rows


class TestListTrades:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_tells_cost_reason_and_who(self, as_role: AsRole, traded: int) -> None:
        found = as_role("advisor").get(URL).json()
        assert found["total"] == traded // 2
        trade = found["items"][0]
        assert D(trade["notional_usd"]) == round(D(trade["quantity"]) * D(trade["price"]), 2)
        parts = ("commission_usd", "spread_cost_usd", "impact_cost_usd")
        assert D(trade["cost_usd"]) == sum(D(trade[part]) for part in parts) > 0
        assert trade["gain_usd"] is None
        assert (trade["strategy"], trade["decided_by"]) == ("momentum_largecap", "admin@firm.example")
        assert "target 5.00%" in trade["reason"]

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        sort=st.sampled_from(["fill_id", "session_on", "client", "symbol", "notional_usd"]),
        descending=st.booleans(),
        limit=st.integers(1, 9),
        symbol=st.sampled_from([None, "AAA", "ZZZ"]),
        side=st.sampled_from([None, "buy", "sell"]),
    )
    def test_pages_hold_each_row_once_in_order(
        self,
        as_role: AsRole,
        traded: int,
        sort: str,
        descending: bool,
        limit: int,
        symbol: str | None,
        side: str | None,
    ) -> None:
        asked: dict[str, Any] = {"sort": f"{'-' if descending else ''}{sort}", "limit": limit}
        asked |= {name: value for name, value in (("symbol", symbol), ("side", side)) if value}
        rows = pages(as_role("admin"), **asked)
        keys = [row["fill_id"] for row in rows]
        expected = 0 if side == "sell" or symbol == "ZZZ" else traded if symbol is None else traded // 4
        assert len(keys) == len(set(keys)) == expected
        values = [D(row[sort]) if sort == "notional_usd" else row[sort] for row in rows]
        assert values == sorted(values, reverse=descending)

    def test_dates_are_sessions_both_included(self, as_role: AsRole, traded: int) -> None:
        admin = as_role("admin")
        assert len(pages(admin, from_on=NEXT, to_on=NEXT)) == traded
        assert pages(admin, from_on="2017-07-04") == []
        assert admin.get(URL, params={"from_on": "2017-07-04", "to_on": "2017-07-03"}).status_code == 422

    def test_fills_are_the_same_executions(self, as_role: AsRole, traded: int) -> None:
        found = as_role("advisor").get("/api/v1/fills").json()
        assert [row["fill_id"] for row in found["items"]] == [row["fill_id"] for row in pages(as_role("advisor"))]
        other = as_role("other_advisor").get("/api/v1/fills", params={"order_id": found["items"][0]["order_id"]})
        assert other.json()["total"] == 0


class TestExportTrades:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/export").status_code == 401

    def test_csv_opens_and_no_cell_runs(self, as_role: AsRole, traded: int) -> None:
        answer = as_role("advisor").get(f"{URL}/export")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="trades.csv"'
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert len(rows) == traded // 2
        assert {row["client"] for row in rows} == {"Client of advisor"}
        assert [row["company"] for row in rows if row["symbol"] == "AAA"] == ['\'=HYPERLINK("http://evil")']
        assert not [cell for row in rows for cell in row.values() if cell.startswith(STARTS)]

    def test_parquet_opens_with_types_and_no_cell_runs(self, as_role: AsRole, traded: int) -> None:
        answer = as_role("advisor").get(f"{URL}/export", params={"format": "parquet"})
        assert answer.status_code == 200, answer.text
        table = parquet.read_table(io.BytesIO(answer.content))
        listed = {row["fill_id"]: row for row in pages(as_role("advisor"))}
        assert table.num_rows == traded // 2
        for row in table.to_pylist():
            assert row["price"] == D(listed[row["fill_id"]]["price"])
            assert row["session_on"] == NEXT
            assert row["filled_at"].tzinfo is not None
            assert not [cell for cell in row.values() if isinstance(cell, str) and cell.startswith(STARTS)]

    def test_foreign_clients_give_an_empty_file(self, as_role: AsRole, traded: int, firm: Firm) -> None:
        answer = as_role("advisor").get(f"{URL}/export", params={"client_id": firm.clients["other_advisor"]})
        assert len(answer.content.decode().splitlines()) == 1

    def test_the_look_is_recorded(self, as_role: AsRole, traded: int, firm: Firm) -> None:
        as_role("advisor").get(f"{URL}/export", params={"client_id": firm.clients["advisor"]})
        with transaction() as session:
            found = session.execute(text("select subject_id from audit where subject = 'trades'")).scalars().all()
        assert f"client {firm.clients['advisor']}" in found

    def test_other_forms_are_refused(self, as_role: AsRole) -> None:
        assert as_role("advisor").get(f"{URL}/export", params={"format": "xlsx"}).status_code == 422
