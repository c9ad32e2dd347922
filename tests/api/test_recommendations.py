"""Recommendations over the API: seen by those who see the client, explained whole, decided under the rules."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.clock import fixed_clock
from database.queries.orders import RecommendationRow
from database.session import transaction
from market_data.calendars import session_open
from tests.api.conftest import Firm
from tests.api.trading import once, propose_for_both, run_job
from tests.conftest import NOW
from tests.factories.proposals import forget_trading, open_account, propose
from tests.factories.quotes import NEXT, create_priced_stock
from trading.expiry import expire_due

AsRole = Callable[[str], TestClient]
D = Decimal
URL = "/api/v1/recommendations"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> list[int]:
    with transaction() as session:
        return [create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB", "CCC", "DDD")]


@pytest.fixture
def proposed(firm: Firm, stocks: list[int]) -> Iterator[dict[str, list[RecommendationRow]]]:
    """A night's proposals in both advisors' accounts: buys of 5 % each. Taken away afterwards."""
    yield propose_for_both(firm, dict.fromkeys(stocks, D("0.05")))
    with transaction() as session:
        forget_trading(session)


def ids(rows: list[RecommendationRow]) -> list[int]:
    return [row.recommendation_id for row in rows]


class TestListRecommendations:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    @pytest.mark.parametrize("role", ["advisor", "other_advisor"])
    def test_shows_own_clients_only(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], firm: Firm, role: str
    ) -> None:
        found = as_role(role).get(URL).json()
        assert {row["client_id"] for row in found["items"]} == {firm.clients[role]}
        assert found["total"] == 4

    def test_analyst_has_no_right(self, as_role: AsRole) -> None:
        assert as_role("analyst").get(URL).status_code == 403

    def test_filters_narrow_and_sorts_order(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], firm: Firm
    ) -> None:
        admin = as_role("admin")
        assert admin.get(URL, params={"symbol": "AAA"}).json()["total"] == 2
        assert admin.get(URL, params={"side": "sell"}).json()["total"] == 0
        assert admin.get(URL, params={"status": ["proposed", "refused"]}).json()["total"] == 8
        assert admin.get(URL, params={"search": "client of other"}).json()["total"] == 4
        assert admin.get(URL, params={"account_id": firm.accounts["advisor"]}).json()["total"] == 4
        symbols = [row["symbol"] for row in admin.get(URL, params={"sort": "symbol"}).json()["items"]]
        assert symbols == sorted(symbols)
        assert admin.get(URL, params={"sort": "colour"}).status_code == 422

    def test_pages_hold_each_row_once(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        admin, seen, cursor = as_role("admin"), [], None
        while True:
            page = admin.get(URL, params={"limit": 3, "sort": "-value_usd", **({"cursor": cursor} if cursor else {})})
            seen += [row["recommendation_id"] for row in page.json()["items"]]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(ids(proposed["advisor"]) + ids(proposed["other_advisor"]))


class TestListRecommendationEffects:
    def test_groups_by_account_with_cash_cost_and_tax(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], firm: Firm
    ) -> None:
        (group,) = as_role("advisor").get(f"{URL}/accounts").json()["items"]
        assert (group["account_id"], group["buys"], group["sells"]) == (firm.accounts["advisor"], 4, 0)
        assert D(group["buy_usd"]) == D("200000.00")
        assert D(group["cash_weight_before"]) == 1
        assert D("0.79") < D(group["cash_weight_after"]) < D("0.80")
        assert D(group["cost_usd"]) > 0
        assert D(group["tax_usd_max"]) == 0
        assert group["objections"] == []


class TestShowRecommendation:
    def test_tells_the_whole_why(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        answer = as_role("advisor").get(f"{URL}/{ids(proposed['advisor'])[0]}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        why = found["why"]
        assert why["strategy"]["name"] == "momentum_largecap"
        assert why["score"]["rank"] in {1, 2, 3, 4}
        assert sum(part["share"] for part in why["score"]["contributions"]) == pytest.approx(1)
        assert why["screener"]["name"] == "screener-momentum_largecap"
        assert D(why["allocation"]["weight"]) == D(why["target"]["weight"]) == D("0.05")
        assert {rule["rule"] for rule in why["rules"]} >= {"kill_switch", "halted", "cash_floor"}
        assert all(rule["passed"] for rule in why["rules"])
        assert D(found["cost_usd"]) > 0
        assert found["objections"] == []

    def test_the_look_is_recorded(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        as_role("advisor").get(f"{URL}/{ids(proposed['advisor'])[0]}")
        with transaction() as session:
            looks = session.execute(text("select count(*) from audit where action = 'look' and subject = 'account'"))
            assert looks.scalar_one() > 0

    def test_foreign_and_unknown_answer_alike(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        foreign, client = ids(proposed["other_advisor"])[0], as_role("advisor")
        answers = [client.get(f"{URL}/{key}") for key in (foreign, 10**9)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert "AAA" not in answers[0].text


class TestApproveRecommendation:
    def test_makes_the_order_and_the_job_and_the_job_sends_it(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        key = ids(proposed["advisor"])[0]
        advisor = as_role("advisor")
        answer = advisor.post(f"{URL}/{key}/approval", headers=once())
        assert answer.status_code == 202, answer.text
        (order_id,) = answer.json()["order_ids"]
        assert advisor.get(f"/api/v1/orders/{order_id}").json()["state"] == "intent"
        run_job(answer.json()["job_id"])
        order = advisor.get(f"/api/v1/orders/{order_id}").json()
        assert order["state"] == "filled"
        assert [step["to_state"] for step in order["timeline"]][-2:] == ["accepted", "filled"]
        assert order["fills"][0]["session_on"] == str(NEXT)
        trade = advisor.get("/api/v1/trades").json()["items"][0]
        assert (trade["order_id"], trade["decided_by"]) == (order_id, "advisor@firm.example")
        with transaction() as session:
            standing = session.execute(text("select value_usd - cash_usd from account_standings")).scalar_one()
        assert standing > 0, "how the account stands is written anew"

    def test_same_key_same_answer_one_order(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        key, headers = ids(proposed["advisor"])[0], once()
        answers = [as_role("advisor").post(f"{URL}/{key}/approval", headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert as_role("advisor").get("/api/v1/orders").json()["total"] == 1

    def test_needs_a_key(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        assert as_role("advisor").post(f"{URL}/{ids(proposed['advisor'])[0]}/approval").status_code == 422

    @pytest.mark.parametrize("role", ["viewer", "service", "analyst"])
    def test_lookers_on_decide_nothing(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], role: str
    ) -> None:
        answer = as_role(role).post(f"{URL}/{ids(proposed['advisor'])[0]}/approval", headers=once())
        assert answer.status_code == 403

    def test_foreign_is_not_found(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        answer = as_role("other_advisor").post(f"{URL}/{ids(proposed['advisor'])[0]}/approval", headers=once())
        assert answer.status_code == 404

    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            ("update accounts set status = 'halted', halted_reason = 'lots are off'", "lots are off"),
            ("update accounts set status = 'closed', closed_on = '2017-06-30'", "the account is closed"),
            ("insert into kill_switches (scope, reason, engaged_by) values ('everything', 'fire', 'ann')", "fire"),
        ],
    )
    def test_what_must_not_trade_is_refused_with_the_reason(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], statement: str, reason: str
    ) -> None:
        with transaction() as session:
            session.execute(text(statement))
        answer = as_role("advisor").post(f"{URL}/{ids(proposed['advisor'])[0]}/approval", headers=once())
        assert answer.status_code == 409
        assert reason in answer.json()["detail"]

    def test_expired_is_refused_and_shown_as_expired_before_it_is_written_down(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        key = ids(proposed["advisor"])[0]
        with transaction() as session:
            session.execute(text("update recommendations set expires_at = :at"), {"at": session_open(NEXT)})
        advisor = as_role("advisor")
        answer = advisor.post(f"{URL}/{key}/approval", headers=once())
        assert answer.status_code == 409
        assert "which is over" in answer.json()["detail"]
        assert advisor.get(URL, params={"status": "proposed"}).json()["total"] == 0
        assert advisor.get(f"{URL}/{key}").json()["status"] == "expired"


class TestApproveRecommendations:
    def test_preview_then_approve_what_was_shown(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        advisor = as_role("advisor")
        choice = {"filter": {"side": "buy"}}
        shown = advisor.post(f"{URL}/approvals/preview", json=choice).json()
        assert (shown["approvable"], D(shown["buy_usd"])) == (4, D("200000.00"))
        answer = advisor.post(f"{URL}/approvals", json={**choice, "fingerprint": shown["fingerprint"]}, headers=once())
        assert answer.status_code == 202, answer.text
        assert answer.json()["recommendation_ids"] == shown["recommendation_ids"]
        assert len(answer.json()["order_ids"]) == 4

    def test_what_has_changed_since_is_refused(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        advisor, keys = as_role("advisor"), ids(proposed["advisor"])
        shown = advisor.post(f"{URL}/approvals/preview", json={"recommendation_ids": keys}).json()
        assert advisor.patch(f"{URL}/{keys[0]}", json={"quantity": "10"}).status_code == 200
        given = {"recommendation_ids": keys, "fingerprint": shown["fingerprint"]}
        answer = advisor.post(f"{URL}/approvals", json=given, headers=once())
        assert answer.status_code == 409
        assert "have changed" in answer.json()["detail"]

    def test_an_account_is_approved_whole_or_not_at_all(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], firm: Firm, stocks: list[int]
    ) -> None:
        with transaction() as session:
            session.execute(
                text("insert into restrictions (account_id, kind, value) values (:key, 'ticker', 'AAA')"),
                {"key": firm.accounts["advisor"]},
            )
        answer = as_role("admin").post(f"{URL}/approvals", json={"filter": {}}, headers=once())
        assert answer.status_code == 202
        done = answer.json()
        assert sorted(done["recommendation_ids"]) == ids(proposed["other_advisor"])
        (refused,) = done["refused"]
        assert refused["account_id"] == firm.accounts["advisor"]
        assert [one["rule"] for one in refused["objections"]] == ["restricted"]

    @pytest.mark.parametrize(
        "given",
        [{}, {"recommendation_ids": []}, {"recommendation_ids": [1], "filter": {}}, {"filter": {"colour": "red"}}],
    )
    def test_bad_choices_are_refused(self, as_role: AsRole, given: dict[str, Any]) -> None:
        assert as_role("advisor").post(f"{URL}/approvals/preview", json=given).status_code == 422

    def test_foreign_numbers_are_not_found(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        given = {"recommendation_ids": ids(proposed["advisor"]) + ids(proposed["other_advisor"])[:1]}
        assert as_role("advisor").post(f"{URL}/approvals", json=given, headers=once()).status_code == 404
        assert as_role("advisor").get("/api/v1/orders").json()["total"] == 0


class TestChangeRecommendation:
    def test_keeps_what_was_proposed_and_the_new_verdicts(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]
    ) -> None:
        key = ids(proposed["advisor"])[0]
        found = as_role("advisor").patch(f"{URL}/{key}", json={"quantity": "300"}).json()
        assert (D(found["quantity"]), D(found["proposed_quantity"])) == (D(300), D(500))
        assert D(found["weight_after"]) == D("0.03")
        sizes = {rule["rule"]: rule["measured"] for rule in found["why"]["rules"]}
        assert sizes["order_size"] == "3.00% of the account"

    @pytest.mark.parametrize(
        ("quantity", "status"), [("0.5", 422), ("0", 422), ("-3", 422), ("900", 409), ("1e20", 422), ("NaN", 422)]
    )
    def test_refuses_no_shares_parts_of_shares_and_too_many(
        self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]], quantity: str, status: int
    ) -> None:
        """900 shares are 9 % of the account, its mandate allows 8 %."""
        answer = as_role("advisor").patch(f"{URL}/{ids(proposed['advisor'])[0]}", json={"quantity": quantity})
        assert answer.status_code == status, answer.text

    def test_foreign_is_not_found(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        answer = as_role("other_advisor").patch(f"{URL}/{ids(proposed['advisor'])[0]}", json={"quantity": "10"})
        assert answer.status_code == 404


class TestRejectRecommendation:
    def test_keeps_the_reason(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        key = ids(proposed["advisor"])[0]
        advisor = as_role("advisor")
        answer = advisor.post(f"{URL}/{key}/rejection", json={"reason": "she sells her house first"})
        assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
        assert answer.json()["decision_note"] == "she sells her house first"
        assert advisor.post(f"{URL}/{key}/rejection", json={"reason": "again"}).status_code == 409

    def test_many_at_once(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        given = {"recommendation_ids": ids(proposed["advisor"]), "reason": "no"}
        assert as_role("advisor").post(f"{URL}/rejections", json=given).json() == {"rejected": 4}

    def test_needs_a_reason(self, as_role: AsRole, proposed: dict[str, list[RecommendationRow]]) -> None:
        answer = as_role("advisor").post(f"{URL}/{ids(proposed['advisor'])[0]}/rejection", json={"reason": " "})
        assert answer.status_code == 422


class TestTheMorning:
    def test_a_night_in_its_own_time_is_void_at_the_open(self, as_role: AsRole, firm: Firm, stocks: list[int]) -> None:
        """Proposed on Friday evening: open over the weekend, void on Monday at 9:30."""
        evening, opens_at = session_open(NEXT) - timedelta(days=2), session_open(NEXT)
        with fixed_clock(evening), transaction() as session:
            account = open_account(session, firm.accounts["advisor"])
            (rows,) = propose(session, [account], {stocks[0]: D("0.05")}).values()
            assert rows[0].expires_at == opens_at
        advisor = as_role("advisor")
        with fixed_clock(opens_at - timedelta(seconds=1)), transaction() as session:
            assert expire_due(session) == 0
        assert opens_at < NOW
        answer = advisor.post(f"{URL}/{rows[0].recommendation_id}/approval", headers=once())
        assert answer.status_code == 409
        with transaction() as session:
            assert expire_due(session) == 1
            assert expire_due(session) == 0
            forget_trading(session)
