"""Double entry: hand-worked entries, and random lives of an account that always add up."""

from datetime import date
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import IntegrityBroken
from core.money import money
from database.queries import ledger as queries
from database.queries import positions as position_queries
from database.tables.accounts import Account
from database.tables.fills import Fill
from database.tables.orders import Order
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NIGHT, create_stock
from trading.ledger import (
    BookedFill,
    Entry,
    Line,
    book_entries,
    book_fills,
    buy_entry,
    dividend_entry,
    require_sound_books,
    sell_entry,
)

D = Decimal
_numbers = count(1)


def make_fill(*, side: str, quantity: int = 10, price: str = "100.0000", commission: str = "0.35") -> BookedFill:
    return BookedFill(
        fill_id=1,
        broker_fill_id="f1",
        instrument_id=7,
        symbol="AAA",
        side=side,
        session_on=NIGHT,
        quantity=D(quantity),
        price=D(price),
        commission_usd=D(commission),
    )


def create_fill(
    session: Session,
    account: Account,
    instrument_id: int,
    *,
    side: str,
    quantity: int,
    price: str = "100.0000",
    commission: str = "0.35",
    session_on: date = NIGHT,
) -> BookedFill:
    """A fill with the order it belongs to, not booked yet."""
    number = next(_numbers)
    order = Order(
        client_order_id=f"test-{number}",
        account_id=account.account_id,
        instrument_id=instrument_id,
        session_on=session_on,
        side=side,
        quantity=D(quantity),
        filled_quantity=D(quantity),
        state="filled",
        broker="paper",
    )
    session.add(order)
    session.flush()
    fill = Fill(
        broker_fill_id=f"test-{number}:1",
        order_id=order.order_id,
        session_on=session_on,
        filled_at=text("now()"),
        quantity=D(quantity),
        market_price=D(price),
        price=D(price),
        commission_usd=D(commission),
        spread_cost_usd=D(0),
        impact_cost_usd=D(0),
    )
    session.add(fill)
    session.flush()
    return BookedFill(
        fill_id=fill.fill_id,
        broker_fill_id=f"test-{number}:1",
        instrument_id=instrument_id,
        symbol="AAA",
        side=side,
        session_on=session_on,
        quantity=D(quantity),
        price=D(price),
        commission_usd=D(commission),
    )


def amounts(entry: Entry) -> dict[str, Decimal]:
    return {line.ledger_account: line.amount_usd for line in entry.lines}


class TestEntries:
    def test_a_buy(self) -> None:
        assert amounts(buy_entry(make_fill(side="buy"))) == {
            "securities": D("1000.00"),
            "commissions": D("0.35"),
            "cash": D("-1000.35"),
        }

    def test_a_sale_with_a_gain(self) -> None:
        entry = sell_entry(make_fill(side="sell"), cost_usd=D("900.00"))
        assert amounts(entry) == {
            "cash": D("999.65"),
            "commissions": D("0.35"),
            "securities": D("-900.00"),
            "realised_gains": D("-100.00"),
        }

    def test_a_dividend(self) -> None:
        entry = dividend_entry(instrument_id=7, symbol="AAA", ex_on=NIGHT, shares=D(33), amount_usd=D("0.135"))
        assert amounts(entry) == {"cash": D("4.46"), "dividends": D("-4.46")}  # 4.455 to the even cent

    def test_an_unbalanced_entry_cannot_be_made(self) -> None:
        with pytest.raises(IntegrityBroken, match="sums to 1"):
            Entry(NIGHT, "deposit", "x", "x", (Line("cash", D(5)), Line("capital", D(-4))))


class TestBookEntries:
    def test_twice_is_once(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        entry = dividend_entry(
            instrument_id=create_stock(session, "AAA"), symbol="AAA", ex_on=NIGHT, shares=D(10), amount_usd=D(1)
        )
        for expected in ({entry.source_key}, set()):
            assert book_entries(session, account_id=account.account_id, entries=[entry], closed_on=None) == expected
        cash = queries.cash_on(session, account_ids=[account.account_id], until_on=NIGHT)
        assert cash[account.account_id] == D("1000010.00")

    def test_a_valued_session_is_closed(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=date(2017, 6, 1))
        entry = dividend_entry(
            instrument_id=create_stock(session, "AAA"), symbol="AAA", ex_on=NIGHT, shares=D(10), amount_usd=D(1)
        )
        book_entries(session, account_id=account.account_id, entries=[entry], closed_on=date(2017, 7, 5))
        for until_on, cash in ((date(2017, 7, 5), "1000000.00"), (date(2017, 7, 6), "1000010.00")):
            assert queries.cash_on(session, account_ids=[account.account_id], until_on=until_on) == {
                account.account_id: D(cash)
            }


class TestBookFills:
    def test_lots_positions_and_journal_move_together(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        key = create_stock(session, "AAA")
        for side, quantity, price in (("buy", 100, "10.0000"), ("buy", 50, "15.0000"), ("sell", 120, "20.0000")):
            fill = create_fill(session, account, key, side=side, quantity=quantity, price=price)
            book_fills(session, account_id=account.account_id, fills=[fill], closed_on=None)
        require_sound_books(session, account_id=account.account_id)
        held = position_queries.positions_of(session, account_ids=[account.account_id])[account.account_id]
        assert held == {key: (D(30), D("450.00"))}
        assert queries.trial_balance(session, account_id=account.account_id) == {
            "capital": D("-1000000.00"),
            "cash": D("1000000.00") - D("1750.00") + D("2400.00") - 3 * D("0.35"),
            "commissions": D("1.05"),
            "realised_gains": D("-1100.00"),
            "securities": D("450.00"),
        }

    def test_the_same_fill_twice_is_once(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        key = create_stock(session, "AAA")
        buy = create_fill(session, account, key, side="buy", quantity=100)
        sale = create_fill(session, account, key, side="sell", quantity=40)
        for _ in range(2):
            book_fills(session, account_id=account.account_id, fills=[buy, sale], closed_on=None)
        held = position_queries.positions_of(session, account_ids=[account.account_id])[account.account_id]
        assert held[key].quantity == D(60)
        require_sound_books(session, account_id=account.account_id)

    def test_refuses_a_sale_of_what_is_not_held(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        fill = create_fill(session, account, create_stock(session, "AAA"), side="sell", quantity=1)
        with pytest.raises(IntegrityBroken, match="open lots of 0"):
            book_fills(session, account_id=account.account_id, fills=[fill], closed_on=None)


class TestRequireSoundBooks:
    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("update positions set quantity = quantity + 1", "position 101.0"),
            ("update positions set cost_usd = cost_usd + 0.01", "10000.01 USD"),
            ("update tax_lots set remaining = remaining - 1", "open lots 99.0"),
            ("delete from positions", "position None"),
        ],
    )
    def test_tells_what_differs(self, session: Session, statement: str, told: str) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        fill = create_fill(session, account, create_stock(session, "AAA"), side="buy", quantity=100)
        book_fills(session, account_id=account.account_id, fills=[fill], closed_on=None)
        session.execute(text(statement))
        with pytest.raises(IntegrityBroken, match=told):
            require_sound_books(session, account_id=account.account_id)

    def test_negative_cash_is_a_fault(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        fill = create_fill(session, account, create_stock(session, "AAA"), side="buy", quantity=100_000)
        book_fills(session, account_id=account.account_id, fills=[fill], closed_on=None)
        with pytest.raises(IntegrityBroken, match=r"cash is -9000000\.35"):
            require_sound_books(session, account_id=account.account_id)


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-60, 100), st.integers(100, 99_999_999), st.integers(0, 500)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, batch=st.integers(1, 5))
def test_any_life_of_an_account_adds_up(session: Session, steps: list[tuple[int, int, int, int]], batch: int) -> None:
    """Random buys and sales in random batches: the journal balances, positions are their lots, cash is its lines."""
    with session.begin_nested() as savepoint:
        account = create_funded_account(session, opened_on=NIGHT)
        keys = [create_stock(session, f"H{next(_numbers)}") for _ in range(3)]
        cash, held = D("1000000.00"), dict.fromkeys(keys, D(0))
        fills = []
        for stock, wanted, ticks, commission in steps:
            key, price, fee = keys[stock], D(ticks) / 10_000, D(commission) / 100
            quantity = D(max(wanted, -int(held[key])))
            if quantity == 0 or (quantity > 0 and money(quantity * price) + fee > cash):
                continue
            side = "buy" if quantity > 0 else "sell"
            fills.append(
                create_fill(
                    session, account, key, side=side, quantity=abs(int(quantity)), price=str(price), commission=str(fee)
                )
            )
            cash += (-1 if side == "buy" else 1) * money(abs(quantity) * price) - fee
            held[key] += quantity
        for start in range(0, len(fills), batch):
            book_fills(session, account_id=account.account_id, fills=fills[start : start + batch], closed_on=None)
            require_sound_books(session, account_id=account.account_id)
        session.execute(text("set constraints all immediate"))
        session.execute(text("set constraints all deferred"))
        balance = queries.trial_balance(session, account_id=account.account_id)
        assert sum(balance.values()) == 0
        assert balance["cash"] == cash
        found = position_queries.positions_of(session, account_ids=[account.account_id])[account.account_id]
        assert {key: holding.quantity for key, holding in found.items()} == {k: q for k, q in held.items() if q}
        assert balance.get("securities", D(0)) == sum((holding.cost_usd for holding in found.values()), D(0))
        savepoint.rollback()
