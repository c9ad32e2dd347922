"""Every account of a book as the command line lists it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from clients.mandate import limits_of
from clients.practice import PAPER_BOOK
from database.queries import accounts as account_queries
from database.queries import households as household_queries
from database.session import Session


@dataclass(frozen=True)
class ClientAccount:
    """One client's account as a person reads it."""

    household: str
    client: str
    client_id: int
    account_id: int
    account: str
    book: str
    status: str
    risk_tolerance: str
    opened_on: date
    initial_cash_usd: Decimal
    autonomous: bool
    mandate_version: int
    mandate: dict[str, Any]
    restrictions: list[str]


def list_clients(session: Session, *, book: str = PAPER_BOOK) -> list[ClientAccount]:
    """Every account of `book` with its newest mandate and its restrictions, by household and client."""
    rows = household_queries.client_accounts(session, book=book)
    ids = [row.Account.account_id for row in rows]
    mandates = account_queries.newest_mandates(session, account_ids=ids)
    restrictions = account_queries.restrictions_of(session, account_ids=ids)
    return [
        ClientAccount(
            household=row.Household.name,
            client=row.Client.name,
            client_id=row.Client.client_id,
            account_id=row.Account.account_id,
            account=row.Account.name,
            book=row.Account.book,
            status=row.Account.status,
            risk_tolerance=row.Client.risk_tolerance,
            opened_on=row.Account.opened_on,
            initial_cash_usd=row.Account.initial_cash_usd,
            autonomous=row.AutonomousSetting is not None
            and row.AutonomousSetting.enabled
            and row.AutonomousSetting.paused_at is None,
            mandate_version=mandates[row.Account.account_id].version,
            mandate=limits_of(mandates[row.Account.account_id]).as_row(),
            restrictions=[f"{item.kind} {item.value}" for item in restrictions.get(row.Account.account_id, [])],
        )
        for row in rows
    ]
