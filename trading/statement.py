"""An account's statement: the cash of a stretch of days, entry by entry, from its opening to its closing balance."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from clients.service import require_account
from core.errors import InputError, IntegrityBroken
from core.money import ZERO, money
from database.queries import ledger as queries
from database.queries import positions as position_queries
from database.queries.ledger import StatementRow
from database.session import Session

DAYS_MAX = 1_100
ENTRIES_MAX = 20_000


@dataclass(frozen=True)
class Statement:
    """What moved between two days, both included; every sum is to the cent.

    opening_cash + deposits - withdrawals + sales - purchases + dividends + other - fees = closing_cash. `other` is cash
    in lieu of fractions. Values are None where no session was valued by then.
    """

    account_id: int
    account: str
    from_on: date
    to_on: date
    opening_cash_usd: Decimal
    deposits_usd: Decimal
    withdrawals_usd: Decimal
    purchases_usd: Decimal
    sales_usd: Decimal
    dividends_usd: Decimal
    fees_usd: Decimal
    other_usd: Decimal
    realised_gains_usd: Decimal
    closing_cash_usd: Decimal
    opening_value_usd: Decimal | None
    closing_value_usd: Decimal | None
    entries: list[StatementRow]


def make_statement(session: Session, *, account_id: int, from_on: date, to_on: date) -> Statement:
    """The statement of an account. InputError for a stretch that is none, or too long to be read at once."""
    account = require_account(session, account_id=account_id)
    if to_on < from_on:
        raise InputError(f"to is {to_on}, before from, {from_on}: give the earlier day first")
    if (to_on - from_on).days > DAYS_MAX:
        raise InputError(f"from {from_on} to {to_on} is longer than {DAYS_MAX} days: ask for less at once")
    opening = queries.cash_before(session, account_id=account_id, on=from_on)
    entries = queries.statement_rows(
        session, account_id=account_id, from_on=from_on, to_on=to_on, limit=ENTRIES_MAX + 1
    )
    if len(entries) > ENTRIES_MAX:
        raise InputError(f"from {from_on} to {to_on} has more than {ENTRIES_MAX:,} entries: ask for less at once")
    sums = {
        name: money(sum((getattr(entry, name) for entry in entries), ZERO))
        for name in (
            "deposits_usd",
            "withdrawals_usd",
            "purchases_usd",
            "sales_usd",
            "dividends_usd",
            "fees_usd",
            "other_usd",
            "realised_gains_usd",
        )
    }
    closing = opening + sum((entry.cash_usd for entry in entries), ZERO)
    came = sums["deposits_usd"] + sums["sales_usd"] + sums["dividends_usd"] + sums["other_usd"]
    went = sums["withdrawals_usd"] + sums["purchases_usd"] + sums["fees_usd"]
    if opening + came - went != closing:
        raise IntegrityBroken(f"the statement of account {account_id} does not add up to the cent")
    values = position_queries.values_around(session, account_id=account_id, before_on=from_on, until_on=to_on)
    return Statement(
        account_id=account_id,
        account=account.name,
        from_on=from_on,
        to_on=to_on,
        opening_cash_usd=opening,
        closing_cash_usd=closing,
        opening_value_usd=values[0],
        closing_value_usd=values[1],
        entries=list(entries),
        **sums,
    )
