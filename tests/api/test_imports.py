"""Imports over the API: shown, booked once, undone; large ones by a job."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from core.jobs import ApplyImport, Ticket
from database.session import transaction
from database.tables.jobs import QueuedJob
from mlops.jobs.apply_import import perform
from tests.api.conftest import Firm
from tests.factories.quotes import create_priced_stock
from trading import imports as rules
from trading.opening import open_paper_account

AsRole = Callable[[str], TestClient]
API = "/api/v1"
GOOD = "symbol,quantity,cost basis,purchase date\nAAA,100,5000,2016-01-04\nBBB,10,900,2016-02-03\n"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> None:
    """Two stocks at 100 USD, and a deposit in every account."""
    with transaction() as session:
        for symbol in ("AAA", "BBB"):
            create_priced_stock(session, symbol)
        for account_id in firm.accounts.values():
            open_paper_account(session, account_id=account_id)


@pytest.fixture
def account(as_role: AsRole, firm: Firm, stocks: None) -> int:
    """A fresh account of the advisor's client."""
    body = {"client_id": firm.clients["advisor"], "name": uuid4().hex, "initial_cash_usd": "100000.00"}
    answer = as_role("advisor").post(f"{API}/accounts", json=body, headers={"Idempotency-Key": uuid4().hex})
    account_id: int = answer.json()["account_id"]
    return account_id


def preview(client: TestClient, account_id: int, text: str = GOOD, **params: str) -> dict[str, Any]:
    answer = client.post(
        f"{API}/accounts/{account_id}/imports",
        params={"file_name": "from broker.csv", **params},
        content=text.encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def act(client: TestClient, import_id: int, verb: str, key: str | None = None, **body: Any) -> Any:
    given = body if verb == "apply" else None
    headers = {"Idempotency-Key": key or uuid4().hex}
    return client.post(f"{API}/imports/{import_id}/{verb}", json=given, headers=headers)


class TestPreview:
    def test_stranger_gets_nothing(self, service: TestClient, account: int) -> None:
        assert service.post(f"{API}/accounts/{account}/imports", content=b"x").status_code == 401

    def test_shows_everything_and_books_nothing(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        shown = preview(client, account)
        assert (shown["status"], shown["file_name"], shown["counts"]) == (
            "previewed",
            "from broker.csv",
            {"ok": 2, "error": 0, "ignored": 0},
        )
        assert (shown["cash_change_usd"], shown["value_before_usd"], shown["value_after_usd"]) == (
            "0.00",
            "100000.00",
            "111000.00",
        )
        assert [(row["symbol"], row["change"]) for row in shown["holdings"]] == [("AAA", "added"), ("BBB", "added")]
        # 10,000 of 111,000 USD is 9 %: more than the mandate's 6 % of one stock.
        assert [row["subject"] for row in shown["breaches_after"]] == ["AAA"]
        assert client.get(f"{API}/accounts/{account}").json()["value_usd"] == "100000.00"

    def test_a_form_brings_its_files_name(self, as_role: AsRole, account: int) -> None:
        answer = as_role("advisor").post(
            f"{API}/accounts/{account}/imports", files={"file": ("C:\\exports\\june.csv", GOOD.encode())}
        )
        assert (answer.status_code, answer.json()["file_name"]) == (201, "june.csv")

    def test_mistakes_row_by_row_on_a_list_and_as_a_file(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        shown = preview(client, account, GOOD + "NOPE,1,1,\n=cmd(),x,,2050-01-01\nTotal,,5,\n")
        assert shown["counts"] == {"ok": 2, "error": 2, "ignored": 1}
        assert [row["number"] for row in shown["problem_rows"]] == [4, 5]
        path = f"{API}/imports/{shown['import_id']}"
        first = client.get(f"{path}/rows", params={"limit": 3}).json()
        rest = client.get(f"{path}/rows", params={"limit": 3, "cursor": first["next"]}).json()
        assert [row["number"] for row in first["items"] + rest["items"]] == [2, 3, 4, 5, 6]
        assert (first["total"], rest["next"]) == (5, None)
        assert client.get(f"{path}/rows", params={"status": "error"}).json()["total"] == 2
        lines = client.get(f"{path}/errors.csv").content.decode("utf-8-sig").splitlines()
        assert lines[0] == "row,symbol,field,value,remedy"
        assert lines[1].startswith("4,NOPE,symbol,NOPE,")
        assert any(line.startswith("5,'=CMD") for line in lines), "what came as a formula leaves as text"

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x00\x01", b"hello", b"symbol,quantity,cost\n"])
    def test_what_is_no_file_of_holdings_is_refused(self, as_role: AsRole, account: int, content: bytes) -> None:
        answer = as_role("advisor").post(f"{API}/accounts/{account}/imports", content=content)
        assert answer.status_code == 422

    def test_a_file_beyond_the_limit_is_refused(self, as_role: AsRole, account: int) -> None:
        answer = as_role("advisor").post(f"{API}/accounts/{account}/imports", content=b"x" * 5_000_001)
        assert answer.status_code == 413

    def test_the_template_can_be_brought_in(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        template = client.get(f"{API}/imports/template.csv")
        assert template.headers["content-type"].startswith("text/csv")
        shown = preview(client, account, template.content.decode())
        assert [row["symbol"] for row in shown["problem_rows"]] == ["AAPL", "BRK-B"], "unknown here, but read"

    def test_foreign_accounts_and_imports_are_not_there(self, as_role: AsRole, firm: Firm, account: int) -> None:
        import_id = preview(as_role("advisor"), account)["import_id"]
        other = as_role("other_advisor")
        assert other.post(f"{API}/accounts/{account}/imports", content=GOOD.encode()).status_code == 404
        for path in ("", "/rows", "/errors.csv"):
            answer = other.get(f"{API}/imports/{import_id}{path}")
            assert answer.status_code == 404
            assert "AAA" not in answer.text
        for verb in ("apply", "undo"):
            assert act(other, import_id, verb).status_code == 404
        assert import_id not in [row["import_id"] for row in other.get(f"{API}/imports").json()["items"]]
        assert as_role("viewer").post(f"{API}/accounts/{account}/imports", content=b"x").status_code == 403


class TestApply:
    def test_booked_once_whatever_is_repeated(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        import_id = preview(client, account)["import_id"]
        answers = [act(client, import_id, "apply", key=f"once-{import_id}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["booked"]["status"] == "applied"
        shown = client.get(f"{API}/accounts/{account}").json()
        assert (shown["value_usd"], shown["cash_usd"]) == ("111000.00", "100000.00")
        assert act(client, import_id, "apply").status_code == 409

    def test_mistakes_stop_it_unless_skipped(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        import_id = preview(client, account, GOOD + "NOPE,1,1,\n")["import_id"]
        refused = act(client, import_id, "apply")
        assert refused.status_code == 409
        assert "mistakes in 1 rows" in refused.json()["detail"]
        assert act(client, import_id, "apply", skip_errors=True).status_code == 200

    def test_undone_it_leaves_no_trace_in_the_value(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        import_id = preview(client, account)["import_id"]
        act(client, import_id, "apply")
        assert act(client, import_id, "undo").json()["status"] == "undone"
        assert client.get(f"{API}/accounts/{account}").json()["value_usd"] == "100000.00"
        assert act(client, import_id, "undo").status_code == 409
        kinds = client.get(
            f"{API}/clients/{client.get(f'{API}/accounts/{account}').json()['client_id']}/activity",
            params={"limit": 500},
        ).json()["items"]
        assert {"transfer", "reversal", "import"} <= {row["kind"] for row in kinds if row["account_id"] == account}

    def test_a_large_file_is_booked_by_a_job(
        self, as_role: AsRole, firm: Firm, account: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "ROWS_AT_ONCE_MAX", 1)
        client = as_role("advisor")
        shown = preview(client, account)
        assert shown["is_job"]
        answer = act(client, shown["import_id"], "apply").json()
        assert answer["booked"] is None
        with transaction() as session:
            row = session.get_one(QueuedJob, answer["job_id"])
            assert (row.name, row.account_id, row.is_private) == ("apply-import", account, True)
            job = ApplyImport(**row.payload)
        for _ in range(2):  # a worker that dies after its commit is tried again
            result = perform(job, Ticket(job_id=row.job_id, origin_id=row.job_id, actor=row.actor))
            assert (result["lots_in"], result["lots_out"]) == (2, 0)
        assert client.get(f"{API}/imports/{shown['import_id']}").json()["status"] == "applied"
        assert client.get(f"{API}/accounts/{account}").json()["value_usd"] == "111000.00"


class TestList:
    def test_newest_first_by_account_and_status(self, as_role: AsRole, account: int) -> None:
        client = as_role("advisor")
        ids = [preview(client, account)["import_id"] for _ in range(3)]
        rows = client.get(f"{API}/imports", params={"account_id": account}).json()["items"]
        assert [(row["import_id"], row["status"]) for row in rows] == [
            (ids[2], "previewed"),
            (ids[1], "superseded"),
            (ids[0], "superseded"),
        ]
        found = client.get(f"{API}/imports", params={"account_id": account, "status": ["previewed"]}).json()
        assert [row["import_id"] for row in found["items"]] == ids[2:]
        assert found["total"] == 1
