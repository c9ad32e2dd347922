"""Households, their people, and who looks after them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from database.session import Session
from database.tables.accounts import Account, AutonomousSetting
from database.tables.households import AdvisorAssignment, Client, Household
from database.tables.users import User


class Colleague(NamedTuple):
    """Somebody who works here, as far as an assignment asks."""

    user_id: int
    email: str
    role: str
    disabled_at: datetime | None


class AssignmentRow(NamedTuple):
    """One spell of an advisor's care for a client."""

    user_id: int
    name: str
    email: str
    start_on: date
    end_on: date | None


def households_named(session: Session, *, name: str) -> list[Household]:
    """The households of that name that are not archived."""
    query = select(Household).where(Household.name == name, Household.archived_at.is_(None))
    return list(session.scalars(query.order_by(Household.household_id)))


def find_household(session: Session, *, household_id: int, is_locked: bool = False) -> Household | None:
    """One household; locked until the transaction ends where it is about to be changed."""
    return session.get(Household, household_id, with_for_update=is_locked, populate_existing=is_locked)


def add_household(session: Session, *, name: str, note: str | None, created_by: int | None) -> Household:
    """A new household."""
    household = Household(name=name, note=note, created_by=created_by)
    session.add(household)
    session.flush()
    return household


def change_household(session: Session, *, household: Household, values: Mapping[str, Any]) -> None:
    """Set columns of the household."""
    for column, value in values.items():
        setattr(household, column, value)
    session.flush()


def count_clients(session: Session, *, household_id: int) -> int:
    """Clients of the household who are not archived."""
    query = select(func.count()).where(Client.household_id == household_id, Client.archived_at.is_(None))
    return session.scalar(query) or 0


def find_client(session: Session, *, client_id: int, is_locked: bool = False) -> Client | None:
    """One client; locked until the transaction ends where they are about to be changed."""
    return session.get(Client, client_id, with_for_update=is_locked, populate_existing=is_locked)


def add_client(
    session: Session, *, household_id: int, name: str, risk_tolerance: str, starts_on: date
) -> Client | None:
    """A new client, added by the firm itself; None where the household has one of that name."""
    del starts_on
    client = Client(household_id=household_id, name=name, risk_tolerance=risk_tolerance)
    try:
        with session.begin_nested():
            session.add(client)
            session.flush()
    except IntegrityError:
        return None
    return client


def register_client(
    session: Session, *, household_id: int, name: str, risk_tolerance: str, starts_on: date
) -> Client | None:
    """The same for a person over the API: an advisor is assigned to the client in the same stroke."""
    try:
        with session.begin_nested():
            client_id = session.scalar(
                text("select acis_register_client(:household_id, :name, null, :risk_tolerance, :starts_on)"),
                {
                    "household_id": household_id,
                    "name": name,
                    "risk_tolerance": risk_tolerance,
                    "starts_on": starts_on,
                },
            )
    except IntegrityError:
        return None
    return session.get_one(Client, client_id)


def change_client(session: Session, *, client: Client, values: Mapping[str, Any]) -> bool:
    """Set columns of the client; False where the household has another of that name."""
    try:
        with session.begin_nested():
            for column, value in values.items():
                setattr(client, column, value)
            session.flush()
    except IntegrityError:
        return False
    return True


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


def first_account_named(session: Session, *, household: str, client: str, book: str) -> Account | None:
    """The oldest account in `book` of the client of that name in the household of that name."""
    return session.scalar(
        select(Account)
        .join(Client, Client.client_id == Account.client_id)
        .join(Household, Household.household_id == Client.household_id)
        .where(Household.name == household, Client.name == client, Account.book == book)
        .order_by(Account.account_id)
        .limit(1)
    )


def find_colleague(session: Session, *, user_id: int) -> Colleague | None:
    """Somebody who works here."""
    row = session.execute(
        select(User.user_id, User.email, User.role, User.disabled_at).where(User.user_id == user_id)
    ).one_or_none()
    return None if row is None else Colleague._make(row)


def assignments_of(session: Session, *, client_id: int) -> list[AssignmentRow]:
    """Who looks after the client, or did; newest first."""
    query = (
        select(User.user_id, User.name, User.email, AdvisorAssignment.start_on, AdvisorAssignment.end_on)
        .join(User, User.user_id == AdvisorAssignment.advisor_id)
        .where(AdvisorAssignment.client_id == client_id)
        .order_by(AdvisorAssignment.start_on.desc(), User.user_id)
    )
    return [AssignmentRow._make(row) for row in session.execute(query)]


def add_assignment(session: Session, *, advisor_id: int, client_id: int, start_on: date) -> None:
    """Let an advisor look after a client."""
    session.add(AdvisorAssignment(advisor_id=advisor_id, client_id=client_id, start_on=start_on))
    session.flush()


def end_assignment(session: Session, *, advisor_id: int, client_id: int, start_on: date, end_on: date) -> None:
    """Say when the spell that began on `start_on` ends."""
    session.execute(
        update(AdvisorAssignment)
        .where(
            AdvisorAssignment.advisor_id == advisor_id,
            AdvisorAssignment.client_id == client_id,
            AdvisorAssignment.start_on == start_on,
        )
        .values(end_on=end_on)
    )


def remove_assignment(session: Session, *, advisor_id: int, client_id: int, start_on: date) -> None:
    """Take back a spell that never began."""
    session.execute(
        delete(AdvisorAssignment).where(
            AdvisorAssignment.advisor_id == advisor_id,
            AdvisorAssignment.client_id == client_id,
            AdvisorAssignment.start_on == start_on,
        )
    )
