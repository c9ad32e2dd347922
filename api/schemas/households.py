"""Households."""

from datetime import datetime

from pydantic import Field

from api.schemas.clients import ClientOut
from api.schemas.figures import Dollars
from api.schemas.practice import Given, Name, Note, Read


class HouseholdOut(Read):
    """People who are advised together."""

    household_id: int
    name: str
    note: str | None
    clients: int = Field(description="Clients who are not archived.")
    accounts: int = Field(description="Their open accounts.")
    value_usd: Dollars | None = Field(description="What those are worth; null where one of them is not known.")
    created_at: datetime
    archived_at: datetime | None


class HouseholdShown(HouseholdOut):
    """One household with its people."""

    members: list[ClientOut]


class HouseholdIn(Given):
    """A new household."""

    name: Name = Field(examples=["Alder household"])
    note: Note | None = None


class HouseholdChange(Given):
    """What changes; fields left out stay."""

    name: Name = Field(default_factory=str)
    note: Note | None = None
