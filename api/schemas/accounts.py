"""Accounts."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field

from api.schemas.figures import Dollars
from api.schemas.mandates import LimitsChange
from api.schemas.practice import Given, Name, Number, Standing, Usd

Taxation = Literal["taxable", "tax_deferred", "tax_free"]
Status = Literal["active", "halted", "closed"]


class AccountOut(Standing):
    """One account and how it stands."""

    account_id: int
    client_id: int
    client: str
    household_id: int
    household: str
    name: str
    kind: Literal["paper", "replay", "live"]
    book: str
    broker: str
    currency: str
    status: Status
    halted_reason: str | None
    opened_on: date
    closed_on: date | None
    taxation: Taxation
    initial_cash_usd: Dollars
    created_at: datetime
    is_autonomous: bool = Field(description="Whether it trades without being asked, now.")
    paused_reason: str | None = Field(description="Why it does not at present, where it may.")
    mandate_version: int | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """The account of a row of the list."""
        columns = {name: getattr(row, name) for name in cls.model_fields if name in row._fields}
        held = {name: getattr(row.Account, name) for name in cls.model_fields if name not in columns}
        return cls(**columns, **held)


class NewAccount(Given):
    """A paper account. `limits` change single limits of the client's risk tolerance's default mandate."""

    name: Name | None = Field(default=None, description="The client's name, unless given.")
    initial_cash_usd: Usd = Field(
        default=Decimal("1000000.00"),
        ge=0,
        description="Opening deposit: 10,000 to 1,000,000,000 USD, or 0 for an account whose holdings are imported.",
    )
    taxation: Taxation = "taxable"
    is_autonomous: bool = Field(default=False, description="Trade without being asked.")
    opened_on: date | None = Field(default=None, description="The practice's present session, unless given.")
    limits: LimitsChange | None = None


class AccountIn(NewAccount):
    """A new account of a client."""

    client_id: Number


class AccountChange(Given):
    """What changes; fields left out stay."""

    name: Name = Field(default_factory=str)
    taxation: Taxation = Field(default_factory=lambda: "taxable")
