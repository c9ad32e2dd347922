"""Verbs on clients: the people whose money is managed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from auth.audit import record
from clients.accounts import open_account, require_cash
from clients.households import household_for, require_household, require_open
from clients.mandate import DEFAULT_LIMITS, RISK_TOLERANCES, changed_limits
from clients.words import email_of, note_of, phone_of, require_text
from core.clock import now, today_in_new_york
from core.errors import InputError, NotFound, Refused, UnknownName
from database.queries import households as queries
from database.session import Session
from database.tables.accounts import Account
from database.tables.households import Client


@dataclass(frozen=True)
class Opening:
    """The first account of a new client. `initial_cash_usd` is booked by trading."""

    opened_on: date
    initial_cash_usd: Decimal | int | str = "1000000"
    name: str | None = None
    limits: Mapping[str, Any] | None = None
    known_strategies: Collection[str] = ()
    autonomous: bool = True
    taxation: str = "taxable"


def add_client(
    session: Session,
    *,
    name: str,
    household: str | None = None,
    household_id: int | None = None,
    risk_tolerance: str = "balanced",
    email: str | None = None,
    phone: str | None = None,
    note: str | None = None,
    opening: Opening | None = None,
    user_id: int | None = None,
    actor: str = "operator",
) -> tuple[Client, Account | None]:
    """A client, in a household that stands or is made, with a first account where `opening` is given.

    The account gets the risk tolerance's default mandate with the limits of `opening`. `user_id` is who adds the
    client over the API: an advisor becomes the client's advisor. InputError naming field, value and remedy.
    """
    name = require_text("name", name)
    _require_tolerance(risk_tolerance)
    details = {"email": email_of(email), "phone": phone_of(phone), "note": note_of(note)}
    if opening is not None:
        # Checked before anything is written, so that a mistake in the account leaves no household behind.
        require_cash(opening.initial_cash_usd)
        changed_limits(DEFAULT_LIMITS[risk_tolerance], opening.limits or {}, known_strategies=opening.known_strategies)
    home = household_for(session, household_id=household_id, name=household, user_id=user_id, actor=actor)
    register = queries.add_client if user_id is None else queries.register_client
    client = register(
        session,
        household_id=home.household_id,
        name=name,
        risk_tolerance=risk_tolerance,
        starts_on=today_in_new_york(),
    )
    if client is None:
        raise InputError(
            f"name is {name!r}, and household {home.household_id} has a client of that name: choose another name"
        )
    queries.change_client(session, client=client, values=details)
    state = {"household": home.name, "name": name, "risk_tolerance": risk_tolerance, **details}
    record(session, actor=actor, action="add", subject="client", subject_id=client.client_id, after=state)
    if opening is None:
        return client, None
    account = open_account(
        session,
        client=client,
        name=opening.name or name,
        opened_on=opening.opened_on,
        initial_cash_usd=opening.initial_cash_usd,
        taxation=opening.taxation,
        limits=opening.limits,
        known_strategies=opening.known_strategies,
        autonomous=opening.autonomous,
        actor=actor,
    )
    return client, account


_CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda value: require_text("name", value),
    "email": email_of,
    "phone": phone_of,
    "note": note_of,
    "risk_tolerance": lambda value: _require_tolerance(value),
    "reviewed_on": lambda value: _reviewed(value),
    "household_id": lambda value: value,
}


def change_client(session: Session, *, client_id: int, changes: Mapping[str, Any], actor: str) -> Client:
    """Change single fields of a client: name, email, phone, note, risk_tolerance, reviewed_on, household_id.

    A new risk tolerance changes no mandate: those are changed by themselves.
    """
    client = require_client(session, client_id=client_id, is_locked=True)
    unknown = set(changes) - set(_CHANGES)
    if unknown:
        raise UnknownName("client field", sorted(unknown)[0], list(_CHANGES))
    values = {field: _CHANGES[field](value) for field, value in changes.items()}
    if "household_id" in values:
        require_open(require_household(session, household_id=values["household_id"]))
    before = {field: getattr(client, field) for field in values}
    if before == values:
        return client
    if not queries.change_client(session, client=client, values=values):
        raise InputError("name and household are those of another client there: choose another name")
    record(session, actor=actor, action="change", subject="client", subject_id=client_id, before=before, after=values)
    return client


def archive_client(session: Session, *, client_id: int, reason: str, actor: str) -> Client:
    """Put a client away; what trading has under way is `trading.closing`'s to look at first."""
    client = require_client(session, client_id=client_id, is_locked=True)
    if client.archived_at is not None:
        raise Refused(f"client {client_id} is archived already")
    queries.change_client(session, client=client, values={"archived_at": now()})
    after = {"reason": require_text("reason", reason)}
    record(session, actor=actor, action="archive", subject="client", subject_id=client_id, after=after)
    return client


def restore_client(session: Session, *, client_id: int, actor: str) -> Client:
    """Bring an archived client back; their accounts take part in the next night again."""
    client = require_client(session, client_id=client_id, is_locked=True)
    if client.archived_at is None:
        raise Refused(f"client {client_id} is not archived: there is nothing to restore")
    require_open(require_household(session, household_id=client.household_id))
    queries.change_client(session, client=client, values={"archived_at": None})
    record(session, actor=actor, action="restore", subject="client", subject_id=client_id)
    return client


def require_client(session: Session, *, client_id: int, is_locked: bool = False) -> Client:
    """The client; NotFound where there is none that the caller may see."""
    client = queries.find_client(session, client_id=client_id, is_locked=is_locked)
    if client is None:
        raise NotFound("client", client_id)
    return client


def _require_tolerance(value: str) -> str:
    if value not in RISK_TOLERANCES:
        raise UnknownName("risk tolerance", str(value), RISK_TOLERANCES)
    return value


def _reviewed(value: date | None) -> date | None:
    if value is not None and value > today_in_new_york():
        raise InputError(f"reviewed_on is {value}, in the future: give the day of the last review")
    return value
