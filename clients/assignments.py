"""Which advisor looks after which client, since when and until when: what decides whom they see."""

from collections.abc import Sequence
from datetime import date

from auth.audit import record
from clients.people import require_client
from core.clock import today_in_new_york
from core.errors import InputError, NotFound, Refused
from database.queries import households as queries
from database.queries.households import AssignmentRow
from database.session import Session

ASSIGNABLE = ("advisor", "viewer")


def assignments_of(session: Session, *, client_id: int, is_open: bool = False) -> Sequence[AssignmentRow]:
    """The client's advisors, present and past, newest first; only those present where `is_open`."""
    require_client(session, client_id=client_id)
    today = today_in_new_york()
    return [
        row
        for row in queries.assignments_of(session, client_id=client_id)
        if not is_open or (row.start_on <= today and (row.end_on is None or row.end_on > today))
    ]


def assign(session: Session, *, client_id: int, advisor_id: int, start_on: date | None, actor: str) -> None:
    """Let an advisor (or a viewer) look after the client from `start_on` on, today unless told otherwise.

    Refused where they do already, or where the person has a role that sees no clients or sees them all.
    """
    client = require_client(session, client_id=client_id, is_locked=True)
    advisor = queries.find_colleague(session, user_id=advisor_id)
    if advisor is None:
        raise NotFound("user", advisor_id)
    if advisor.role not in ASSIGNABLE or advisor.disabled_at is not None:
        state = "disabled" if advisor.disabled_at is not None else f"a person of the role {advisor.role}"
        raise InputError(f"advisor_id is {advisor_id}, {state}: choose an active {' or '.join(ASSIGNABLE)}")
    day = start_on or today_in_new_york()
    for row in queries.assignments_of(session, client_id=client.client_id):
        if row.user_id == advisor_id and (row.end_on is None or row.end_on > day):
            raise Refused(f"user {advisor_id} looks after client {client_id} since {row.start_on} already")
    queries.add_assignment(session, advisor_id=advisor_id, client_id=client_id, start_on=day)
    after = {"advisor_id": advisor_id, "advisor": advisor.email, "start_on": day}
    record(session, actor=actor, action="assign", subject="client", subject_id=client_id, after=after)


def end_assignment(session: Session, *, client_id: int, advisor_id: int, end_on: date | None, actor: str) -> None:
    """Let an advisor's care for the client end: from `end_on` on, today unless told otherwise, they see nothing."""
    require_client(session, client_id=client_id, is_locked=True)
    day = end_on or today_in_new_york()
    standing = [
        row
        for row in queries.assignments_of(session, client_id=client_id)
        if row.user_id == advisor_id and (row.end_on is None or row.end_on > day)
    ]
    if not standing:
        raise NotFound("assignment of user", advisor_id)
    row = standing[0]
    # A spell that has not lasted a day leaves no trace but the audit's.
    if day <= row.start_on:
        queries.remove_assignment(session, advisor_id=advisor_id, client_id=client_id, start_on=row.start_on)
    else:
        queries.end_assignment(session, advisor_id=advisor_id, client_id=client_id, start_on=row.start_on, end_on=day)
    record(
        session,
        actor=actor,
        action="end_assignment",
        subject="client",
        subject_id=client_id,
        before={"advisor_id": advisor_id, "advisor": row.email, "start_on": row.start_on},
        after={"end_on": day},
    )
