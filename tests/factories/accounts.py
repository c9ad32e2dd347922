"""Builders of households, clients, accounts and mandates."""

from datetime import date
from decimal import Decimal
from itertools import count

from sqlalchemy.orm import Session

from database.tables.accounts import Account, Mandate
from database.tables.households import Client, Household

_numbers = count(1)


def create_client(session: Session, *, name: str | None = None, risk_tolerance: str = "balanced") -> Client:
    """A client in a household of its own."""
    name = name or f"Client {next(_numbers)}"
    household = Household(name=f"Household of {name}")
    session.add(household)
    session.flush()
    client = Client(household_id=household.household_id, name=name, risk_tolerance=risk_tolerance)
    session.add(client)
    session.flush()
    return client


def create_account(
    session: Session,
    *,
    client: Client | None = None,
    book: str = "paper",
    opened_on: date = date(2017, 6, 1),
    cash_usd: str = "1000000.00",
) -> Account:
    """An active paper account; its opening deposit is not booked."""
    client = client or create_client(session)
    account = Account(
        client_id=client.client_id,
        name=f"{client.name}, account {next(_numbers)}",
        kind="paper" if book == "paper" else "replay",
        book=book,
        opened_on=opened_on,
        initial_cash_usd=Decimal(cash_usd),
    )
    session.add(account)
    session.flush()
    return account


def create_mandate(
    session: Session,
    account: Account,
    *,
    cash_weight_min: str = "0.02",
    position_weight_max: str = "0.08",
    sector_weight_max: str = "0.40",
    drift_threshold: str = "0.005",
    turnover_max: str = "2",
    trade_usd_min: str = "500",
    preferred_strategy: str | None = None,
) -> Mandate:
    """The account's first mandate."""
    mandate = Mandate(
        account_id=account.account_id,
        version=1,
        effective_on=account.opened_on,
        cash_weight_min=Decimal(cash_weight_min),
        position_weight_max=Decimal(position_weight_max),
        sector_weight_max=Decimal(sector_weight_max),
        drift_threshold=Decimal(drift_threshold),
        turnover_max=Decimal(turnover_max),
        trade_usd_min=Decimal(trade_usd_min),
        preferred_strategy=preferred_strategy,
    )
    session.add(mandate)
    session.flush()
    return mandate
