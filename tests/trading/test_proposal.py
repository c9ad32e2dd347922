"""Recommendations and the rules' verdicts as they are stored; who decides on them."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from auth.audit import read_trail
from core.errors import NotFound, Refused
from database.queries.orders import RecommendationRow, recommendations_on
from database.tables.accounts import Account
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.quotes import NEXT, NIGHT, SESSIONS, create_priced_stock
from tests.factories.targets import create_target
from trading import service
from trading.risk_rules import RISK_RULES

D = Decimal


def make_account(session: Session, *, autonomous: bool = True) -> Account:
    return create_funded_account(session, opened_on=NIGHT, autonomous=autonomous, position_weight_max="0.2")


def plan(session: Session, account: Account, weights: dict[int, Decimal], *, night: date = NIGHT) -> None:
    """Settle, propose and check one night."""
    create_target(session, account, session_on=night, weights=weights)
    service.settle_book(session, as_of=night, book="paper")
    service.propose_orders(session, as_of=night, book="paper")
    service.check_orders(session, as_of=night, book="paper")


def proposed(session: Session, account: Account, *, night: date = NIGHT) -> list[RecommendationRow]:
    return recommendations_on(session, account_ids=[account.account_id], session_on=night)


class TestProposeOrders:
    def test_keeps_price_weights_and_reason(self, session: Session) -> None:
        account = make_account(session)
        stock = create_priced_stock(session, "AAA", closes={NIGHT: 80.0})
        plan(session, account, {stock: D("0.1")})
        (row,) = proposed(session, account)
        assert (row.side, row.quantity, row.reference_price) == ("buy", D(1250), D(80))
        assert (row.weight_before, row.weight_after) == (D(0), D("0.1"))
        assert "target 10.00%" in row.reason

    def test_a_second_call_adds_nothing(self, session: Session) -> None:
        account = make_account(session)
        plan(session, account, {create_priced_stock(session, "AAA"): D("0.1")})
        assert service.propose_orders(session, as_of=NIGHT, book="paper") == 0

    def test_sees_no_price_after_the_night(self, session: Session) -> None:
        account = make_account(session)
        stock = create_priced_stock(session, "AAA", closes={day: 1.0 for day in SESSIONS if day > NIGHT})
        plan(session, account, {stock: D("0.1")})
        assert proposed(session, account)[0].reference_price == D(100)

    def test_restricted_holding_is_sold(self, session: Session) -> None:
        account = make_account(session)
        stock = create_priced_stock(session, "AAA")
        create_target(session, account, session_on=NIGHT, weights={stock: D("0.1")})
        trade_night(session, as_of=NIGHT)
        session.execute(
            text("insert into restrictions (account_id, kind, value) values (:key, 'ticker', 'AAA')"),
            {"key": account.account_id},
        )
        plan(session, account, {stock: D("0.1")}, night=NEXT)
        (row,) = proposed(session, account, night=NEXT)
        assert (row.side, row.quantity, row.status) == ("sell", D(1000), "proposed")


class TestCheckOrders:
    def test_stores_every_verdict_and_keeps_the_refused(self, session: Session) -> None:
        account = make_account(session)
        fresh = create_priced_stock(session, "AAA")
        stale = create_priced_stock(session, "BBB", sessions=[day for day in SESSIONS if day < NIGHT])
        plan(session, account, {fresh: D("0.1"), stale: D("0.1")})
        assert {row.instrument_id: row.status for row in proposed(session, account)} == {
            fresh: "proposed",
            stale: "refused",
        }
        checks = session.execute(text("select rule, count(*) as judged from pretrade_checks group by 1")).all()
        assert {row.rule: row.judged for row in checks} == dict.fromkeys(RISK_RULES, 2)
        service.value_accounts(session, as_of=NIGHT, book="paper")
        (report,) = service.book_report(session, as_of=NIGHT, book="paper")
        assert (report.proposed, report.refused) == (2, 1)
        assert [(refusal.symbol, refusal.rule) for refusal in report.refusals] == [("BBB", "stale_price")]
        assert "last price of BBB is of 2017-06-29" in report.refusals[0].reason

    def test_a_second_call_judges_nothing(self, session: Session) -> None:
        account = make_account(session)
        plan(session, account, {create_priced_stock(session, "AAA"): D("0.1")})
        assert service.check_orders(session, as_of=NIGHT, book="paper").passed == 0

    def test_refused_recommendation_becomes_no_order(self, session: Session) -> None:
        account = make_account(session)
        stale = create_priced_stock(session, "BBB", sessions=[day for day in SESSIONS if day < NIGHT])
        plan(session, account, {stale: D("0.1")})
        assert service.approve_autonomous(session, as_of=NIGHT, book="paper") == service.Approved(orders=0, waiting=0)


class TestApproval:
    def test_unchecked_recommendations_are_not_approved(self, session: Session) -> None:
        account = make_account(session)
        create_target(session, account, session_on=NIGHT, weights={create_priced_stock(session, "AAA"): D("0.1")})
        service.propose_orders(session, as_of=NIGHT, book="paper")
        with pytest.raises(Refused, match="not checked"):
            service.approve_autonomous(session, as_of=NIGHT, book="paper")

    def test_an_advisors_yes_makes_the_order_and_is_audited(self, session: Session) -> None:
        account = make_account(session, autonomous=False)
        plan(session, account, {create_priced_stock(session, "AAA"): D("0.1")})
        assert service.approve_autonomous(session, as_of=NIGHT, book="paper").waiting == 1
        (row,) = proposed(session, account)
        approval = service.approve(session, recommendation_ids=[row.recommendation_id], actor="ann")
        assert (len(approval.order_ids), approval.as_of, approval.book) == (1, NIGHT, "paper")
        (claim,) = service.claim_orders(session, as_of=NIGHT, book="paper")
        assert claim.tickets[0].quantity == D(1000)
        (trail,) = read_trail(session, subject="recommendation", subject_id=row.recommendation_id)
        assert (trail.actor, trail.action) == ("ann", "approve")

    def test_an_advisors_no_is_kept_with_its_reason(self, session: Session) -> None:
        account = make_account(session, autonomous=False)
        plan(session, account, {create_priced_stock(session, "AAA"): D("0.1")})
        (row,) = proposed(session, account)
        service.reject(session, recommendation_ids=[row.recommendation_id], actor="ann", reason="client sells his firm")
        assert proposed(session, account)[0].status == "rejected"
        (trail,) = read_trail(session, subject="recommendation", subject_id=row.recommendation_id)
        assert trail.after == {"reason": "client sells his firm"}

    def test_a_decision_is_final(self, session: Session) -> None:
        account = make_account(session, autonomous=False)
        plan(session, account, {create_priced_stock(session, "AAA"): D("0.1")})
        ids = [row.recommendation_id for row in proposed(session, account)]
        service.reject(session, recommendation_ids=ids, actor="ann", reason="no")
        with pytest.raises(Refused, match="decided already"):
            service.approve(session, recommendation_ids=ids, actor="bob")

    def test_unknown_ids_are_named(self, session: Session) -> None:
        with pytest.raises(NotFound, match="there is no recommendation 99 here"):
            service.approve(session, recommendation_ids=[99], actor="ann")
