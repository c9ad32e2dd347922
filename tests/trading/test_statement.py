"""Statements add up to the cent, whatever stretch of whatever life of an account they are of."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.errors import InputError, NotFound
from database.queries import ledger as queries
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NIGHT, create_priced_stock, create_stock
from tests.trading.test_ledger import create_fill
from trading.ledger import book_entries, book_fills, dividend_entry
from trading.paper import deposit, withdraw
from trading.statement import make_statement

D = Decimal
DAYS = tuple(NIGHT + timedelta(days=number) for number in range(6))


class TestMakeStatement:
    def test_by_hand(self, session: Session) -> None:
        """Bought 100 at 10, sold 40 at 15 a day later, a dividend of 0.25 on the rest, 500 taken out."""
        account = create_funded_account(session, opened_on=NIGHT)
        key, stock = account.account_id, create_priced_stock(session, "AAA")
        for side, quantity, price, day in (("buy", 100, "10.0000", 1), ("sell", 40, "15.0000", 2)):
            fill = create_fill(session, account, stock, side=side, quantity=quantity, price=price, session_on=DAYS[day])
            book_fills(session, account_id=key, fills=[fill], closed_on=None)
        entry = dividend_entry(instrument_id=stock, symbol="AAA", ex_on=DAYS[3], shares=D(60), amount_usd=D("0.25"))
        book_entries(session, account_id=key, entries=[entry], closed_on=None)
        withdraw(session, account_id=key, amount_usd=D(500), reference="w", note="holiday", as_of=DAYS[4], actor="ann")
        made = make_statement(session, account_id=key, from_on=DAYS[1], to_on=DAYS[5])
        assert (made.opening_cash_usd, made.deposits_usd) == (D("1000000.00"), D(0))
        assert (made.purchases_usd, made.sales_usd, made.fees_usd) == (D("1000.00"), D("600.00"), D("0.70"))
        assert (made.dividends_usd, made.withdrawals_usd) == (D("15.00"), D("500.00"))
        assert made.realised_gains_usd == D("200.00")
        assert made.closing_cash_usd == D("999114.30")
        assert [entry.memo for entry in made.entries][-1] == "holiday"
        first_day = make_statement(session, account_id=key, from_on=NIGHT, to_on=NIGHT)
        assert (first_day.opening_cash_usd, first_day.deposits_usd) == (D(0), D("1000000.00"))

    def test_bad_stretches(self, session: Session) -> None:
        key = create_funded_account(session, opened_on=NIGHT).account_id
        with pytest.raises(InputError, match="before from"):
            make_statement(session, account_id=key, from_on=DAYS[2], to_on=DAYS[1])
        with pytest.raises(InputError, match="longer than"):
            make_statement(session, account_id=key, from_on=date(2000, 1, 1), to_on=DAYS[1])
        with pytest.raises(NotFound):
            make_statement(session, account_id=-1, from_on=DAYS[1], to_on=DAYS[2])


steps = st.lists(
    st.tuples(
        st.sampled_from(("deposit", "withdraw", "buy", "sell", "dividend")),
        st.integers(1, 99_999),
        st.integers(1, 30),
        st.integers(0, 5),
    ),
    max_size=10,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, stretch=st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_any_statement_adds_up(
    session: Session, steps: list[tuple[str, int, int, int]], stretch: tuple[int, int]
) -> None:
    """What comes less what goes is the change of cash; two statements in a row are one; the last is the ledger's."""
    with session.begin_nested() as savepoint:
        account = create_funded_account(session, opened_on=NIGHT)
        key, stock = account.account_id, create_stock(session, "STM")
        held = 0
        for number, (kind, cents, shares, offset) in enumerate(sorted(steps, key=lambda step: step[3])):
            day, amount = DAYS[offset], D(cents) / 100
            if kind in {"deposit", "withdraw"}:
                move = deposit if kind == "deposit" else withdraw
                move(session, account_id=key, amount_usd=amount, reference=str(number), note=None, as_of=day, actor="a")
            elif kind == "dividend" and held:
                entry = dividend_entry(
                    instrument_id=stock,
                    symbol="STM",
                    ex_on=date(2018, 1, 1) + timedelta(days=number),
                    shares=D(held),
                    amount_usd=amount,
                )
                book_entries(session, account_id=key, entries=[entry], closed_on=None)
            elif kind in {"buy", "sell"}:
                quantity = shares if kind == "buy" else min(shares, held)
                if quantity:
                    fill = create_fill(
                        session, account, stock, side=kind, quantity=quantity, price=str(amount), session_on=day
                    )
                    book_fills(session, account_id=key, fills=[fill], closed_on=None)
                    held += quantity if kind == "buy" else -quantity
        first, last = min(stretch), max(stretch)
        whole = make_statement(session, account_id=key, from_on=DAYS[0], to_on=date(2019, 1, 1))
        parts = (
            [
                make_statement(session, account_id=key, from_on=DAYS[0], to_on=DAYS[first]),
                make_statement(session, account_id=key, from_on=DAYS[first] + timedelta(days=1), to_on=DAYS[last]),
                make_statement(session, account_id=key, from_on=DAYS[last] + timedelta(days=1), to_on=date(2019, 1, 1)),
            ]
            if first < last
            else [whole]
        )
        for before, after in pairwise(parts):
            assert before.closing_cash_usd == after.opening_cash_usd
        assert sum((part.dividends_usd for part in parts), D(0)) == whole.dividends_usd
        assert sum((part.fees_usd for part in parts), D(0)) == whole.fees_usd
        assert whole.closing_cash_usd == queries.trial_balance(session, account_id=key)["cash"]
        balance = queries.trial_balance(session, account_id=key)
        assert whole.dividends_usd == -balance.get("dividends", D(0))
        assert whole.realised_gains_usd == -balance.get("realised_gains", D(0))
        savepoint.rollback()
