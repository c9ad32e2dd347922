"""Verbs on households: people who are advised together."""

from collections.abc import Mapping
from typing import Any

from auth.audit import record
from clients.words import note_of, require_text
from core.clock import now
from core.errors import InputError, NotFound, Refused
from database.queries import households as queries
from database.session import Session
from database.tables.households import Household


def add_household(
    session: Session, *, name: str, note: str | None = None, user_id: int | None = None, actor: str = "operator"
) -> Household:
    """A new household. Two may bear one name. `user_id`: who made it, and sees it while it is empty."""
    household = queries.add_household(session, name=require_text("name", name), note=note_of(note), created_by=user_id)
    after = {"name": household.name, "note": household.note}
    record(session, actor=actor, action="add", subject="household", subject_id=household.household_id, after=after)
    return household


def household_for(
    session: Session, *, household_id: int | None, name: str | None, user_id: int | None, actor: str
) -> Household:
    """The household that a new client joins: by number, or by name; a name that nobody bears is made.

    InputError where both or neither is given, or where several households bear the name.
    """
    if (household_id is None) == (name is None):
        raise InputError("household_id and household are both given or both missing: give one of them")
    if household_id is not None:
        return require_open(require_household(session, household_id=household_id))
    name = require_text("household", name or "")
    standing = queries.households_named(session, name=name)
    if len(standing) > 1:
        ids = " or ".join(str(home.household_id) for home in standing)
        raise InputError(f"household is {name!r}, which {len(standing)} households are called: give household_id {ids}")
    if standing:
        return standing[0]
    return add_household(session, name=name, user_id=user_id, actor=actor)


def change_household(session: Session, *, household_id: int, changes: Mapping[str, Any], actor: str) -> Household:
    """Give the household another `name` or `note`."""
    household = require_household(session, household_id=household_id, is_locked=True)
    values = dict(changes)
    if "name" in values:
        values["name"] = require_text("name", values["name"])
    if "note" in values:
        values["note"] = note_of(values["note"])
    before = {key: getattr(household, key) for key in values}
    if before == values:
        return household
    queries.change_household(session, household=household, values=values)
    record(
        session,
        actor=actor,
        action="change",
        subject="household",
        subject_id=household_id,
        before=before,
        after=values,
    )
    return household


def archive_household(session: Session, *, household_id: int, reason: str, actor: str) -> Household:
    """Put the household away; Refused while clients of it are not archived."""
    household = require_open(require_household(session, household_id=household_id, is_locked=True))
    reason = require_text("reason", reason)
    active = queries.count_clients(session, household_id=household_id)
    if active:
        raise Refused(f"household {household_id} has {active} clients who are not archived: archive them first")
    queries.change_household(session, household=household, values={"archived_at": now()})
    after = {"reason": reason}
    record(session, actor=actor, action="archive", subject="household", subject_id=household_id, after=after)
    return household


def restore_household(session: Session, *, household_id: int, actor: str) -> Household:
    """Bring an archived household back."""
    household = require_household(session, household_id=household_id, is_locked=True)
    if household.archived_at is None:
        raise Refused(f"household {household_id} is not archived: there is nothing to restore")
    queries.change_household(session, household=household, values={"archived_at": None})
    record(session, actor=actor, action="restore", subject="household", subject_id=household_id)
    return household


def require_household(session: Session, *, household_id: int, is_locked: bool = False) -> Household:
    """The household; NotFound where there is none that the caller may see."""
    household = queries.find_household(session, household_id=household_id, is_locked=is_locked)
    if household is None:
        raise NotFound("household", household_id)
    return household


def require_open(household: Household) -> Household:
    """The household, where it is not archived."""
    if household.archived_at is not None:
        raise Refused(f"household {household.household_id} is archived: restore it first")
    return household
