"""Holdings, allocation, drift and lots of accounts with a hand-worked past."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.money import ZERO
from database.queries.portfolios import ClosedLot, accounts_of, lots_closed
from database.tables.accounts import Account
from portfolios.allocation import by_sector, by_strategy
from portfolios.book import Book, Moment, Prices, read_books
from portfolios.drift import Drift, measure_drift
from portfolios.holdings import Holding, Portfolio, combine
from portfolios.lots import closed_lots, long_from, open_lots, sum_gains
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NEXT, NIGHT, SESSIONS, create_priced_stock, create_stock
from tests.factories.targets import create_target
from tests.factories.trades import bring_in, move_cash, trade

D = Decimal
EARLIER = date(2017, 6, 29)
NOW = Moment(NIGHT, date.max)


def read(session: Session, *accounts: Account, moment: Moment = NOW) -> tuple[list[Book], Prices]:
    rows = accounts_of(session, kind="accounts", account_ids=[account.account_id for account in accounts])
    return read_books(session, accounts=rows, moment=moment)


def together(session: Session, *accounts: Account, moment: Moment = NOW) -> Portfolio:
    books, prices = read(session, *accounts, moment=moment)
    return combine(books, prices, as_of=moment.as_of)


def holding(portfolio: Portfolio, symbol: str) -> Holding:
    return next(one for one in portfolio.holdings if one.symbol == symbol)


def drift_of(session: Session, account: Account) -> Drift:
    books, prices = read(session, account)
    return measure_drift(books[0], prices)


@pytest.fixture
def account(session: Session) -> Account:
    return create_funded_account(session, opened_on=date(2017, 6, 26), drift_threshold="0.01")


class TestCombine:
    def test_value_cost_gain_and_day(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA", closes={EARLIER: 110.0, NIGHT: 120.0})
        trade(session, account, aaa, quantity=100, price="100.0000", session_on=date(2017, 6, 28))
        trade(session, account, aaa, quantity=50, price="118.0000", session_on=NIGHT)
        found = together(session, account)
        one = holding(found, "AAA")
        assert one.quantity == 150
        assert (one.price, one.price_on) == (D("120.0000"), NIGHT)
        assert one.value_usd == D("18000.00")
        assert one.cost_usd == D("15900.00")
        assert one.gain_usd == D("2100.00")
        # 100 shares from 110 to 120, 50 from what they cost to 120.
        assert one.day_change_usd == D("1100.00")
        assert found.cash_usd == D("1000000.00") - D("10000") - D("5900") - 2
        assert found.value_usd == found.cash_usd + D("18000.00")

    def test_now_counts_tonights_fills_and_the_close_does_not(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA")
        trade(session, account, aaa, quantity=10, session_on=NEXT)
        now = holding(together(session, account), "AAA")
        assert (now.quantity, now.bought_after, now.day_change_usd) == (D(10), D(10), D(0))
        assert together(session, account, moment=Moment(NIGHT, NIGHT)).holdings == ()

    def test_the_past_holds_what_was_sold_later(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA")
        trade(session, account, aaa, quantity=10, price="90.0000", session_on=date(2017, 6, 27))
        trade(session, account, aaa, quantity=4, side="sell", session_on=NIGHT)
        before = holding(together(session, account, moment=Moment(EARLIER, EARLIER)), "AAA")
        assert (before.quantity, before.cost_usd) == (D(10), D("900.00"))
        after = holding(together(session, account), "AAA")
        assert (after.quantity, after.cost_usd) == (D(6), D("540.00"))

    def test_without_a_price_the_totals_are_partial_and_not_zero(self, session: Session, account: Account) -> None:
        dark = create_stock(session, "DARK")
        trade(session, account, dark, quantity=10, session_on=EARLIER)
        found = together(session, account)
        one = holding(found, "DARK")
        assert (one.value_usd, one.weight, one.gain_usd, one.day_change_usd) == (None, None, None, None)
        assert found.is_partial
        assert found.missing == ("DARK",)
        assert drift_of(session, account).total is None

    def test_an_old_price_is_flagged(self, session: Session, account: Account) -> None:
        create_priced_stock(session, "FRESH")
        old = create_priced_stock(session, "OLD", sessions=[day for day in SESSIONS if day < EARLIER])
        trade(session, account, old, quantity=10, session_on=date(2017, 6, 27))
        found = together(session, account)
        assert holding(found, "OLD").is_stale
        assert holding(found, "OLD").day_change_usd is None
        assert found.stale == ("OLD",)

    def test_shares_brought_in_count_from_their_transfer(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA", closes={NIGHT: 102.0})
        bring_in(session, account, aaa, quantity=20, cost="500.00", opened_on=date(2010, 1, 4), booked_on=NIGHT)
        assert together(session, account, moment=Moment(EARLIER, EARLIER)).holdings == ()
        assert holding(together(session, account), "AAA").gain_usd == D("1540.00")

    def test_two_accounts_are_one_portfolio(self, session: Session, account: Account) -> None:
        other = create_funded_account(session, opened_on=date(2017, 6, 26))
        aaa, bbb = create_priced_stock(session, "AAA"), create_priced_stock(session, "BBB")
        trade(session, account, aaa, quantity=100, session_on=EARLIER)
        trade(session, other, aaa, quantity=50, session_on=EARLIER)
        create_target(session, account, session_on=NIGHT, weights={aaa: D("0.5"), bbb: D("0.5")})
        assert together(session, account, other).cash_target is None, "one of them has no plan"
        create_target(session, other, session_on=NIGHT, weights={aaa: D("0.5"), bbb: D("0.5")})
        found = together(session, account, other)
        assert holding(found, "AAA").quantity == 150
        assert holding(found, "AAA").target_weight == D("0.5")
        assert found.cash_target == 0

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        buys=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 500)), min_size=1, max_size=6),
        sold=st.integers(0, 100),
    )
    def test_weights_and_cash_are_one_and_lots_are_positions(
        self, session: Session, buys: list[tuple[int, int]], sold: int
    ) -> None:
        with session.begin_nested() as nested:
            account = create_funded_account(session, opened_on=date(2017, 6, 26))
            ids = [create_priced_stock(session, f"P{n}", price=20.0 + 7 * n) for n in range(4)]
            for stock, quantity in buys:
                trade(session, account, ids[stock], quantity=quantity, price=f"{20 + 7 * stock}", session_on=EARLIER)
            first, bought = buys[0]
            if 0 < sold < bought:
                trade(session, account, ids[first], side="sell", quantity=sold, price="33", session_on=NIGHT)
            found = together(session, account)
            total = sum((one.weight or ZERO for one in found.holdings), found.cash_weight or ZERO)
            assert abs(total - 1) < D("1e-6")
            positions = session.execute(
                text("select instrument_id, quantity, cost_usd from positions where account_id = :id"),
                {"id": account.account_id},
            ).all()
            held = {one.instrument_id: (one.quantity, one.cost_usd) for one in found.holdings}
            assert held == {row[0]: (row[1], row[2]) for row in positions}
            nested.rollback()


class TestAllocation:
    def test_sectors_strategies_and_cash(self, session: Session, account: Account) -> None:
        steel = create_priced_stock(session, "STEEL", sector="Materials")
        chips = create_priced_stock(session, "CHIPS", sector="Information Technology")
        stray = create_priced_stock(session, "STRAY", sector=None)
        for key, quantity in ((steel, 3000), (stray, 1000)):
            trade(session, account, key, quantity=quantity, session_on=EARLIER, commission="0.00")
        create_target(session, account, session_on=NIGHT, weights={steel: D("0.4"), chips: D("0.5")})
        books, prices = read(session, account)
        found = combine(books, prices, as_of=NIGHT)
        sectors = {one.name: (one.weight, one.target_weight) for one in by_sector(found, books, prices)}
        assert sectors == {
            "Materials": (D("0.3"), D("0.4")),
            "sector unknown": (D("0.1"), D(0)),
            "Information Technology": (D(0), D("0.5")),
            "cash": (D("0.6"), D("0.1")),
        }
        strategies = {one.name: (one.weight, one.target_weight) for one in by_strategy(found, books, prices)}
        assert strategies == {
            "momentum_largecap": (D("0.3"), D("0.9")),
            "outside any target": (D("0.1"), D(0)),
            "cash": (D("0.6"), D("0.1")),
        }


class TestDrift:
    def test_half_the_absolute_differences_and_the_trades_that_remove_it(
        self, session: Session, account: Account
    ) -> None:
        ids = [create_priced_stock(session, name) for name in ("AAA", "BBB", "CCC", "DDD")]
        for key, quantity in zip(ids, (3000, 2000, 1000), strict=False):
            trade(session, account, key, quantity=quantity, session_on=EARLIER, commission="0.00")
        weights = {ids[0]: D("0.2"), ids[1]: D("0.205"), ids[3]: D("0.3")}
        create_target(session, account, session_on=NIGHT, weights=weights)
        found = drift_of(session, account)
        # Off by 0.1, 0.005, 0.1, 0.3 and cash by 0.105.
        assert found.total == D("0.305")
        assert found.off_count == 3
        assert [(one.symbol, one.side, one.quantity) for one in found.trades] == [
            ("AAA", "sell", D(1000)),
            ("CCC", "sell", D(1000)),
            ("DDD", "buy", D(3000)),
        ]

    def test_what_is_restricted_should_be_gone(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA")
        trade(session, account, aaa, quantity=1000, session_on=EARLIER, commission="0.00")
        create_target(session, account, session_on=NIGHT, weights={aaa: D("0.1")})
        assert drift_of(session, account).total == 0
        session.execute(
            text("insert into restrictions (account_id, kind, value) values (:id, 'ticker', 'AAA')"),
            {"id": account.account_id},
        )
        found = drift_of(session, account)
        assert found.total == D("0.1")
        assert [(one.side, one.quantity) for one in found.trades] == [("sell", D(1000))]

    def test_no_plan_is_unknown_with_its_reason(self, session: Session, account: Account) -> None:
        found = drift_of(session, account)
        assert found.total is None
        assert "no night has set a target" in (found.why or "")


class TestLots:
    def test_holding_period_of_a_year_and_a_day(self) -> None:
        # IRS Publication 550: bought on 4 February, long-term from 5 February of the next year.
        assert long_from(date(2016, 2, 4)) == date(2017, 2, 5)
        assert long_from(date(2016, 2, 29)) == date(2017, 3, 1)

    def test_open_and_closed_with_terms(self, session: Session, account: Account) -> None:
        aaa = create_priced_stock(session, "AAA", closes={NIGHT: 120.0})
        bring_in(session, account, aaa, quantity=10, cost="300.00", opened_on=date(2016, 6, 29), booked_on=EARLIER)
        session.execute(
            text("insert into positions (account_id, instrument_id, quantity, cost_usd) values (:a, :i, 10, 300)"),
            {"a": account.account_id, "i": aaa},
        )
        trade(session, account, aaa, quantity=10, price="110.0000", session_on=EARLIER)
        trade(session, account, aaa, side="sell", quantity=4, price="120.0000", session_on=NIGHT)
        books, prices = read(session, account)
        lines = open_lots(books, prices, as_of=NIGHT)
        assert [(one.quantity, one.gain_usd, one.term) for one in lines] == [
            (D(6), D("540.00"), "long"),
            (D(10), D("100.00"), "short"),
        ]
        assert sum_gains(lines).long_usd == D("540.00")
        closed = closed_lots(books, _closed(session, account), prices.stocks)
        assert [(one.quantity, one.gain_usd, one.term) for one in closed] == [(D(4), D("360.00"), "long")]

    def test_deposits_are_no_lots(self, session: Session, account: Account) -> None:
        move_cash(session, account, amount="5000.00", booked_on=NIGHT)
        books, prices = read(session, account)
        assert open_lots(books, prices, as_of=NIGHT) == []
        assert books[0].cash_usd == D("1005000.00")


def _closed(session: Session, account: Account) -> list[ClosedLot]:
    return lots_closed(session, account_ids=[account.account_id], first_on=date(2017, 1, 1), until_on=NIGHT)
