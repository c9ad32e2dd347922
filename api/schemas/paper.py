"""Paper accounts: money in and out, and statements."""

from datetime import date
from typing import Literal

from pydantic import Field

from api.schemas.accounts import AccountOut, NewAccount
from api.schemas.figures import Dollars, Shares
from api.schemas.practice import Given, Note, Number, Read, Usd


class PaperIn(NewAccount):
    """A paper account for a client, with invented money."""

    client_id: Number


class MovementIn(Given):
    """Money that comes or goes."""

    amount_usd: Usd = Field(gt=0, examples=["25000.00"])
    note: Note | None = Field(default=None, examples=["bonus"])


class MovementOut(Read):
    """What was booked, and how the cash stands after it."""

    account_id: int
    entry_id: int
    kind: Literal["deposit", "withdrawal"]
    amount_usd: Dollars
    booked_on: date = Field(description="Later than today's session where that is closed already.")
    cash_usd: Dollars
    available_usd: Dollars = Field(description="What may still be taken out: cash less what buys under way may need.")
    warnings: list[str]


class ResetIn(Given):
    """A fresh start. `confirm` is the account's name, typed."""

    confirm: str = Field(max_length=200)
    initial_cash_usd: Usd | None = Field(default=None, ge=0, description="As before, unless given.")


class ResetOut(Read):
    """The account that ended and the one that took its place."""

    closed: AccountOut
    opened: AccountOut


class StatementEntry(Read):
    """One entry of the journal by what it did to the cash."""

    entry_id: int
    booked_on: date
    kind: Literal["deposit", "withdrawal", "fill", "dividend", "split", "transfer", "reversal"]
    memo: str
    symbol: str | None
    quantity: Shares | None = Field(description="Shares that came (or went: below 0).")
    deposits_usd: Dollars
    withdrawals_usd: Dollars
    purchases_usd: Dollars
    sales_usd: Dollars
    dividends_usd: Dollars
    fees_usd: Dollars
    other_usd: Dollars
    realised_gains_usd: Dollars
    cash_usd: Dollars = Field(description="What the entry changed in cash: the sum of the others, fees taken off.")


class StatementOut(Read):
    """A stretch of days of one account, both ends included; every sum is to the cent.

    opening_cash + deposits - withdrawals + sales - purchases + dividends + other - fees = closing_cash.
    """

    account_id: int
    account: str
    from_on: date
    to_on: date
    opening_cash_usd: Dollars
    deposits_usd: Dollars
    withdrawals_usd: Dollars
    purchases_usd: Dollars
    sales_usd: Dollars
    dividends_usd: Dollars
    fees_usd: Dollars
    other_usd: Dollars = Field(description="Cash in lieu of fractions of shares.")
    realised_gains_usd: Dollars
    closing_cash_usd: Dollars
    opening_value_usd: Dollars | None = Field(description="At the last valuation before; null where there was none.")
    closing_value_usd: Dollars | None
    entries: list[StatementEntry]
