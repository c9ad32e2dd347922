"""Executions booked by hand, valuations and flows: the past of an account."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import count

from sqlalchemy import text
from sqlalchemy.orm import Session

from database.tables.accounts import Account
from database.tables.fills import Fill
from database.tables.ledger import JournalEntry, JournalLine
from database.tables.orders import Order
from database.tables.positions import AccountValuation, TaxLot
from trading.ledger import BookedFill, Entry, Line, book_entries, book_fills

_numbers = count(1)


def trade(
    session: Session,
    account: Account,
    instrument_id: int,
    *,
    side: str = "buy",
    quantity: int = 100,
    price: str = "100.0000",
    session_on: date,
    commission: str = "1.00",
) -> None:
    """An execution of `session_on` with its order, in journal, lots and positions."""
    number = next(_numbers)
    order = Order(
        client_order_id=f"trade-{number}",
        account_id=account.account_id,
        instrument_id=instrument_id,
        session_on=session_on,
        side=side,
        quantity=Decimal(quantity),
        filled_quantity=Decimal(quantity),
        state="filled",
        broker="paper",
    )
    session.add(order)
    session.flush()
    values = {"quantity": Decimal(quantity), "price": Decimal(price), "commission_usd": Decimal(commission)}
    fill = Fill(
        broker_fill_id=f"trade-{number}:1",
        order_id=order.order_id,
        session_on=session_on,
        filled_at=text("now()"),
        market_price=Decimal(price),
        spread_cost_usd=Decimal("0.50"),
        impact_cost_usd=Decimal("0.25"),
        **values,
    )
    session.add(fill)
    session.flush()
    booked = BookedFill(
        fill_id=fill.fill_id,
        broker_fill_id=fill.broker_fill_id,
        instrument_id=instrument_id,
        symbol="ANY",
        side=side,
        session_on=session_on,
        **values,
    )
    book_fills(session, account_id=account.account_id, fills=[booked], closed_on=None)


def move_cash(session: Session, account: Account, *, amount: str, booked_on: date) -> None:
    """A deposit, or with a negative amount a withdrawal."""
    value = Decimal(amount)
    entry = Entry(
        booked_on=booked_on,
        kind="deposit" if value > 0 else "withdrawal",
        source_key=f"move-{next(_numbers)}",
        memo="by hand",
        lines=(Line("cash", value), Line("capital", -value)),
    )
    book_entries(session, account_id=account.account_id, entries=[entry], closed_on=None)


def bring_in(
    session: Session,
    account: Account,
    instrument_id: int,
    *,
    quantity: int,
    cost: str,
    opened_on: date,
    booked_on: date,
) -> None:
    """Shares brought in from elsewhere, with what they had cost."""
    entry = JournalEntry(
        account_id=account.account_id,
        booked_on=booked_on,
        kind="transfer",
        source_key=f"bring-{next(_numbers)}",
        memo="by hand",
    )
    session.add(entry)
    session.flush()
    lines = (("securities", Decimal(cost), instrument_id, Decimal(quantity)), ("capital", -Decimal(cost), None, None))
    session.add_all(
        JournalLine(
            entry_id=entry.entry_id,
            line=row,
            ledger_account=name,
            amount_usd=amount,
            instrument_id=key,
            quantity=shares,
        )
        for row, (name, amount, key, shares) in enumerate(lines, start=1)
    )
    session.add(
        TaxLot(
            account_id=account.account_id,
            instrument_id=instrument_id,
            entry_id=entry.entry_id,
            opened_on=opened_on,
            quantity=Decimal(quantity),
            remaining=Decimal(quantity),
            cost_usd=Decimal(cost),
            remaining_cost_usd=Decimal(cost),
        )
    )
    session.flush()


def value(session: Session, account: Account, closes: Mapping[date, tuple[str, str]]) -> None:
    """Cash and securities at the closes of some sessions."""
    session.add_all(
        AccountValuation(
            account_id=account.account_id, session_on=day, cash_usd=Decimal(cash), securities_usd=Decimal(securities)
        )
        for day, (cash, securities) in closes.items()
    )
    session.flush()
