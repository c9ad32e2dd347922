"""Households and their people."""

from typing import Any

from sqlalchemy import Row, select

from database.session import Session
from database.tables.accounts import Account, AutonomousSetting
from database.tables.households import Client, Household


def find_household(session: Session, *, name: str) -> Household | None:
    """The household of that name."""
    return session.scalar(select(Household).where(Household.name == name))


def find_client(session: Session, *, name: str) -> Client | None:
    """The client of that name."""
    return session.scalar(select(Client).where(Client.name == name))


def add_household(session: Session, *, name: str) -> Household:
    """A new household."""
    household = Household(name=name)
    session.add(household)
    session.flush()
    return household


def add_client(session: Session, *, household_id: int, name: str, email: str | None, risk_tolerance: str) -> Client:
    """A new client of a household."""
    client = Client(household_id=household_id, name=name, email=email, risk_tolerance=risk_tolerance)
    session.add(client)
    session.flush()
    return client


def client_accounts(session: Session, *, book: str) -> list[Row[Any]]:
    """Household, Client, Account and AutonomousSetting (or None) of every account in `book`, by household and name."""
    query = (
        select(Household, Client, Account, AutonomousSetting)
        .join(Client, Client.household_id == Household.household_id)
        .join(Account, Account.client_id == Client.client_id)
        .outerjoin(AutonomousSetting, AutonomousSetting.account_id == Account.account_id)
        .where(Account.book == book)
        .order_by(Household.name, Client.name, Account.account_id)
    )
    return list(session.execute(query))


def first_account(session: Session, *, client_id: int, book: str) -> Account:
    """The client's oldest account in `book`."""
    return session.scalars(
        select(Account)
        .where(Account.client_id == client_id, Account.book == book)
        .order_by(Account.account_id)
        .limit(1)
    ).one()
