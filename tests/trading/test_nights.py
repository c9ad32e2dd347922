"""Whole nights with the paper broker: what a client ends up with, and that a repeated night changes nothing."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import InputError, Refused
from database.queries import ledger as ledger_queries
from database.queries import positions as position_queries
from database.tables.accounts import Account
from tests.factories.market import Market, create_market
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.quotes import (
    NEXT,
    NIGHT,
    SESSIONS,
    create_dividend,
    create_priced_stock,
    create_split,
)
from tests.factories.targets import create_target, equal_weights
from trading import service

D = Decimal
TABLES = (
    "recommendations",
    "pretrade_checks",
    "orders",
    "order_events",
    "fills",
    "positions",
    "tax_lots",
    "lot_closings",
    "journal_entries",
    "journal_lines",
    "account_valuations",
    "accounts",
    "audit",
)


def fingerprint(session: Session) -> dict[str, list[Any]]:
    """Every row that trading writes, with the row version by which PostgreSQL knows a rewritten row."""
    return {table: sorted(map(str, session.execute(text(f"select t.ctid, t.* from {table} t")))) for table in TABLES}


@pytest.fixture
def market(session: Session) -> Market:
    return create_market(session, instruments=30, sessions=30)


def trade_all(session: Session, market: Market, nights: list[date], *, cash_weight_min: str = "0.02") -> int:
    """One account through `nights`, its target moving by two stocks a night; returns its id."""
    account = create_funded_account(session, opened_on=nights[0], cash_weight_min=cash_weight_min)
    for number, night in enumerate(nights):
        stocks = market.instrument_ids[number * 2 : number * 2 + 16]
        create_target(session, account, session_on=night, weights=equal_weights(stocks, invested="0.96"))
        trade_night(session, as_of=night)
    return account.account_id


class TestNights:
    def test_books_stay_sound_and_cash_above_the_floor(self, session: Session, market: Market) -> None:
        nights = market.sessions[-8:-1]
        key = trade_all(session, market, nights, cash_weight_min="0.03")
        session.execute(text("set constraints all immediate"))
        balance = ledger_queries.trial_balance(session, account_id=key)
        assert sum(balance.values()) == 0
        assert position_queries.position_faults(session, account_ids=[key]) == {}
        for night in nights:
            (report,) = service.book_report(session, as_of=night, book="paper")
            assert report.cash_after_usd >= report.cash_floor_usd
            assert report.orders == report.fills
            assert report.waiting == 0

    def test_valuations_are_cash_plus_holdings_at_the_close(self, session: Session, market: Market) -> None:
        """Value after the last fill, worked out from the fills alone."""
        nights = market.sessions[-4:-1]
        key = trade_all(session, market, nights)
        trade_night(session, as_of=market.last_on)
        row = position_queries.valuation_history(session, account_id=key)[-1]
        fills = session.execute(
            text("""
                select o.instrument_id, sum(case o.side when 'buy' then f.quantity else -f.quantity end) as held,
                       sum(case o.side when 'buy' then -1 else 1 end * round(f.quantity * f.price, 2)
                           - f.commission_usd) as cash
                from fills f join orders o using (order_id) group by 1
            """)
        ).all()
        closes = dict(zip(market.instrument_ids, market.close[-1].tolist(), strict=True))
        dividends = ledger_queries.trial_balance(session, account_id=key).get("dividends", D(0))
        assert row.cash_usd == D(1_000_000) + sum(f.cash for f in fills) - dividends
        assert row.securities_usd == sum(round(f.held * D(str(closes[f.instrument_id])), 2) for f in fills)

    def test_the_same_night_again_changes_no_row(self, session: Session, market: Market) -> None:
        nights = market.sessions[-5:-1]
        trade_all(session, market, nights)
        before = fingerprint(session)
        trade_night(session, as_of=nights[-1])
        after = fingerprint(session)
        assert after == before
        assert before["fills"]

    def test_an_earlier_night_is_refused(self, session: Session, market: Market) -> None:
        nights = market.sessions[-4:-1]
        trade_all(session, market, nights)
        with pytest.raises(Refused, match=f"valued on {nights[-1]} already.*use a replay"):
            service.settle_book(session, as_of=nights[0], book="paper")

    def test_orders_wait_for_bars_that_are_not_there_yet(self, session: Session, market: Market) -> None:
        """Live use: tonight's orders fill when tomorrow's bars have come."""
        account = create_funded_account(session, opened_on=market.last_on)
        stocks = market.instrument_ids[:16]
        create_target(session, account, session_on=market.last_on, weights=equal_weights(stocks))
        done = trade_night(session, as_of=market.last_on)
        (report,) = service.book_report(session, as_of=market.last_on, book="paper")
        assert (done.fills, report.waiting, report.cash_after_usd) == (0, 16, D(1_000_000))
        session.execute(
            text("""
                insert into daily_bars
                select instrument_id, :day, open, high, low, close, adj_close, volume, batch_id from daily_bars
                where session_on = :last_on
            """),
            {"day": NEXT, "last_on": market.last_on},
        )
        assert service.settle_book(session, as_of=NEXT, book="paper").fills == 16

    def test_report_explains_value_by_costs(self, session: Session, market: Market) -> None:
        night = market.sessions[-3]
        trade_all(session, market, [night])
        (report,) = service.book_report(session, as_of=night, book="paper")
        assert report.value_before_usd == D(1_000_000)
        assert abs(report.value_before_usd - report.value_after_usd - report.costs_usd) <= D("0.02") * report.fills
        assert report.costs_usd > 0

    def test_account_without_autonomy_waits_for_its_advisor(self, session: Session, market: Market) -> None:
        night = market.sessions[-3]
        account = create_funded_account(session, opened_on=night, autonomous=False)
        create_target(session, account, session_on=night, weights=equal_weights(market.instrument_ids[:16]))
        assert trade_night(session, as_of=night).asked == 0
        (report,) = service.book_report(session, as_of=night, book="paper")
        assert (report.proposed, report.orders) == (16, 0)

    def test_waiting_proposals_are_void_the_next_night(self, session: Session, market: Market) -> None:
        first, second = market.sessions[-3:-1]
        account = create_funded_account(session, opened_on=first, autonomous=False)
        create_target(session, account, session_on=first, weights=equal_weights(market.instrument_ids[:16]))
        trade_night(session, as_of=first)
        assert service.settle_book(session, as_of=second, book="paper").expired == 16


class TestHalting:
    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("update positions set quantity = quantity + 1", "open lots"),
            ("delete from daily_bars", "have no price"),
        ],
    )
    def test_broken_books_halt_the_account_before_its_next_order(
        self, session: Session, market: Market, statement: str, told: str
    ) -> None:
        first, second = market.sessions[-3:-1]
        key = trade_all(session, market, [first])
        session.execute(text(statement))
        settled = service.settle_book(session, as_of=second, book="paper")
        assert told in settled.halted[key]
        assert service.propose_orders(session, as_of=second, book="paper") == 0
        assert service.claim_orders(session, as_of=second, book="paper") == []


class TestEntitlements:
    def make_night(self, session: Session, **options: Any) -> tuple[int, int]:
        """An account that bought 1,000 shares at 100 USD on the session after NIGHT; returns account and stock."""
        stock = create_priced_stock(session, "AAA", **options)
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
        create_target(session, account, session_on=NIGHT, weights={stock: D("0.1")})
        trade_night(session, as_of=NIGHT)
        return account.account_id, stock

    def cash(self, session: Session, key: int, on: date) -> Decimal:
        return ledger_queries.cash_on(session, account_ids=[key], until_on=on)[key]

    def test_dividend_is_due_on_shares_held_before_the_ex_date(self, session: Session) -> None:
        key, stock = self.make_night(session)
        create_dividend(session, stock, ex_on=NEXT, amount_usd="1.00")
        create_dividend(session, stock, ex_on=SESSIONS[6], amount_usd="0.50")
        before = self.cash(session, key, NEXT)
        for day in SESSIONS[5:8]:
            trade_night(session, as_of=day)
        assert self.cash(session, key, SESSIONS[7]) - before == D("500.00")

    def test_seller_on_the_ex_date_keeps_the_dividend(self, session: Session) -> None:
        key, stock = self.make_night(session)
        ex_on = SESSIONS[7]
        create_dividend(session, stock, ex_on=ex_on, amount_usd="0.50")
        other = create_priced_stock(session, "BBB")
        trade_night(session, as_of=SESSIONS[5])
        create_target(session, session.get_one(Account, key), session_on=SESSIONS[6], weights={other: D("0.01")})
        trade_night(session, as_of=SESSIONS[6])
        assert stock not in position_queries.positions_of(session, account_ids=[key])[key]
        settled = service.settle_book(session, as_of=ex_on, book="paper")
        assert settled.dividends_usd == D("500.00")

    def test_split_of_restated_bars_leaves_the_value(self, session: Session) -> None:
        """Three for two with a fraction; the vendor restates its bars the day the split goes ex."""
        key, stock = self.make_night(session)
        session.execute(text("update tax_lots set quantity = 999, remaining = 999"))
        session.execute(text("update positions set quantity = 999"))
        create_split(session, stock, ex_on=SESSIONS[6], ratio="1.5")
        trade_night(session, as_of=SESSIONS[5])
        value = position_queries.valuation_history(session, account_id=key)[-1]
        session.execute(
            text("update daily_bars set open = open / 1.5, close = close / 1.5, adj_close = adj_close / 1.5")
        )
        assert service.settle_book(session, as_of=SESSIONS[6], book="paper").splits == 1
        assert service.settle_book(session, as_of=SESSIONS[6], book="paper").splits == 0
        service.value_accounts(session, as_of=SESSIONS[6], book="paper")
        after = position_queries.valuation_history(session, account_id=key)[-1]
        held = position_queries.positions_of(session, account_ids=[key])[key][stock]
        assert held.quantity == D(1498)
        assert abs(value.cash_usd + value.securities_usd - after.cash_usd - after.securities_usd) <= D("0.06")
        session.execute(text("set constraints all immediate"))

    def test_split_that_the_bars_held_already_changes_nothing(self, session: Session) -> None:
        key, stock = self.make_night(session)
        create_split(session, stock, ex_on=SESSIONS[6], ratio="2")
        assert service.settle_book(session, as_of=SESSIONS[6], book="paper").splits == 0
        assert position_queries.positions_of(session, account_ids=[key])[key][stock].quantity == D(1000)

    def test_bars_restated_by_something_else_halt_the_account(self, session: Session) -> None:
        key, stock = self.make_night(session)
        create_split(session, stock, ex_on=SESSIONS[6], ratio="2")
        session.execute(text("update daily_bars set open = open / 3, close = close / 3"))
        settled = service.settle_book(session, as_of=SESSIONS[6], book="paper")
        assert "does not explain" in settled.halted[key]


class TestOpening:
    def test_deposit_is_booked_once(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        assert not service.open_paper_account(session, account_id=account.account_id)
        balance = ledger_queries.trial_balance(session, account_id=account.account_id)
        assert balance == {"capital": D("-1000000.00"), "cash": D("1000000.00")}

    def test_unknown_account_is_refused(self, session: Session) -> None:
        with pytest.raises(InputError, match="no account 99 here"):
            service.open_paper_account(session, account_id=99)

    def test_a_clone_has_the_limits_and_a_fresh_deposit(self, session: Session) -> None:
        original = create_funded_account(session, opened_on=NIGHT, cash_weight_min="0.11", preferred_strategy="x")
        opened = date(2016, 1, 4)
        ids = service.clone_book(session, from_book="paper", to_book="replay", opened_on=opened)
        assert service.clone_book(session, from_book="paper", to_book="replay", opened_on=opened) == ids
        (key,) = ids
        assert key != original.account_id
        mandate = session.execute(text("select * from mandates where account_id = :key"), {"key": key}).one()
        assert (mandate.version, mandate.effective_on, mandate.cash_weight_min) == (1, opened, D("0.11"))
        assert mandate.preferred_strategy == "x"
        assert ledger_queries.cash_on(session, account_ids=ids, until_on=opened) == {key: D("1000000.00")}

    def test_books_do_not_touch_each_other(self, session: Session, market: Market) -> None:
        night = market.sessions[-3]
        trade_all(session, market, [night])
        before = fingerprint(session)
        service.clone_book(session, from_book="paper", to_book="replay", opened_on=market.sessions[-6])
        trade_night(session, as_of=market.sessions[-6], book="replay")
        after = fingerprint(session)
        for table in ("positions", "tax_lots", "fills"):
            assert after[table] == before[table]
        assert len(after["account_valuations"]) == len(before["account_valuations"]) + 1

    @pytest.mark.parametrize(("source", "to"), [("paper", "paper"), ("nothing", "replay")])
    def test_nonsense_is_refused(self, session: Session, source: str, to: str) -> None:
        with pytest.raises(InputError, match="book is"):
            service.clone_book(session, from_book=source, to_book=to, opened_on=NIGHT)
