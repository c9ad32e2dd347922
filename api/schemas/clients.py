"""Clients."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.schemas.accounts import AccountOut, NewAccount
from api.schemas.figures import Dollars, PriceUsd, Shares
from api.schemas.practice import Given, Name, Note, Number, Read, Standing

RiskTolerance = Literal["conservative", "balanced", "growth"]
Email = Annotated[str, StringConstraints(max_length=254)]
Phone = Annotated[str, StringConstraints(max_length=40)]


class ClientOut(Standing):
    """A client as the list shows them, with how their open accounts stand together."""

    client_id: int
    household_id: int
    household: str
    name: str
    email: str | None
    phone: str | None
    note: str | None
    risk_tolerance: RiskTolerance
    reviewed_on: date | None = Field(description="When an advisor last went through the plan with them.")
    created_at: datetime
    archived_at: datetime | None
    accounts: int = Field(description="Open accounts.")
    autonomous_accounts: int = Field(description="Those of them that trade without being asked.")


class AssignmentOut(Read):
    """One spell of an advisor's care for the client."""

    user_id: int
    name: str
    email: str
    start_on: date
    end_on: date | None = Field(description="The first day on which they see the client no more.")


class ClientShown(ClientOut):
    """One client with their open accounts and those who look after them now."""

    account_list: list[AccountOut]
    advisors: list[AssignmentOut]


class ClientIn(Given):
    """A new client, in a household that stands (`household_id`) or is made or found by name (`household`)."""

    name: Name = Field(examples=["Ruth Alder"])
    household: Name | None = Field(default=None, examples=["Alder household"])
    household_id: Number | None = None
    risk_tolerance: RiskTolerance = "balanced"
    email: Email | None = Field(default=None, examples=["ruth@alder.example"])
    phone: Phone | None = Field(default=None, examples=["+1 212 555 0123"])
    note: Note | None = None
    account: NewAccount | None = Field(default=None, description="Their first account, with its opening deposit.")

    @model_validator(mode="after")
    def _one_household(self) -> Self:
        if (self.household is None) == (self.household_id is None):
            raise ValueError("give either household_id (one that stands) or household (a name), not both or none")
        return self


class ClientChange(Given):
    """What changes; fields left out stay. Another risk tolerance changes no mandate by itself."""

    name: Name = Field(default_factory=str)
    household_id: Number = Field(default_factory=int)
    risk_tolerance: RiskTolerance = Field(default_factory=lambda: "balanced")
    email: Email | None = None
    phone: Phone | None = None
    note: Note | None = None
    reviewed_on: date | None = None


class AssignmentIn(Given):
    """Who shall look after the client."""

    advisor_id: Number = Field(description="A user of the role advisor or viewer.")
    start_on: date | None = Field(default=None, description="Today in New York, unless given.")


class ActivityOut(Read):
    """Something that happened to one of the client's accounts. The audit trail itself is for admins."""

    at: datetime = Field(description="When it was recorded.")
    on: date | None = Field(description="The session or day that it counts for.")
    kind: Literal["order", "fill", "deposit", "withdrawal", "dividend", "split", "transfer", "reversal", "import"]
    number: int = Field(description="Of the order, fill, journal entry or import.")
    account_id: int
    status: str | None
    symbol: str | None
    side: str | None
    quantity: Shares | None
    price: PriceUsd | None
    amount_usd: Dollars | None = Field(description="Of a fill: quantity times price; of an entry: change of cash.")
    text: str | None
