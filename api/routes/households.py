"""Households: people who are advised together."""

from typing import Literal

from fastapi import Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.match import OUTDATED, IfMatch, etag_of, require_match, tell_etag
from api.once import Once, do_once
from api.schemas.clients import ClientOut
from api.schemas.households import HouseholdChange, HouseholdIn, HouseholdOut, HouseholdShown
from api.schemas.page import Page
from api.schemas.practice import Reason
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from clients import service
from core.errors import NotFound
from database.queries import clients as lists
from database.session import Session
from database.tables.households import Household

router = Word("households", tags=["households"])
_MEMBERS_MAX = 500


@router.get("")
def list_households(
    search: Search = None,
    archived: Literal["no", "only", "all"] = "no",
    sort: str = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[HouseholdOut]:
    """Households by name, clients, value_usd or created_at (`-` before it: the other way)."""
    wanted = lists.HouseholdFilter(search=search, is_archived=None if archived == "all" else archived == "only")
    with desk(actor) as session:
        rows = lists.page_households(
            session, book=service.PAPER_BOOK, wanted=wanted, sort=sort, limit=limit, cursor=cursor
        )
        return Page[HouseholdOut].of(rows, HouseholdOut.model_validate)


@router.post("", status_code=201, response_model=HouseholdOut)
def add_household(given: HouseholdIn, once: Once, actor: Actor = needs("clients.write")) -> Response:
    """A new household, without clients yet."""

    def work(session: Session) -> HouseholdOut:
        made = service.add_household(
            session, name=given.name, note=given.note, user_id=actor.user_id, actor=actor.email
        )
        return _shown(session, made.household_id)

    return do_once(once, actor, work, status=201)


@router.get("/{household_id}")
def show_household(household_id: int, response: Response, actor: Actor = needs("clients.read")) -> HouseholdShown:
    """One household with its clients, archived ones too; of 500 and more the first by name."""
    with desk(actor) as session:
        household = service.require_household(session, household_id=household_id)
        look(session, actor=actor.email, subject="household", subject_id=household_id)
        members = lists.page_clients(
            session,
            book=service.PAPER_BOOK,
            wanted=lists.ClientFilter(household_id=household_id),
            sort="name",
            limit=_MEMBERS_MAX,
            cursor=None,
        )
        tell_etag(response, _etag(household))
        return HouseholdShown(
            **_shown(session, household_id).model_dump(),
            members=[ClientOut.model_validate(row) for row in members.rows],
        )


@router.patch("/{household_id}", responses=OUTDATED)
def change_household(
    household_id: int, given: HouseholdChange, if_match: IfMatch = None, actor: Actor = needs("clients.write")
) -> HouseholdOut:
    """Another name or note."""
    with desk(actor) as session:
        standing = service.require_household(session, household_id=household_id, is_locked=True)
        require_match(if_match, _etag(standing), "household", household_id)
        service.change_household(
            session, household_id=household_id, changes=given.model_dump(exclude_unset=True), actor=actor.email
        )
        return _shown(session, household_id)


@router.post("/{household_id}/archive")
def archive_household(household_id: int, given: Reason, actor: Actor = needs("clients.write")) -> HouseholdOut:
    """Put it away; refused while it has clients who are not archived."""
    with desk(actor) as session:
        service.archive_household(session, household_id=household_id, reason=given.reason, actor=actor.email)
        return _shown(session, household_id)


@router.post("/{household_id}/restore")
def restore_household(household_id: int, actor: Actor = needs("clients.write")) -> HouseholdOut:
    """Bring it back."""
    with desk(actor) as session:
        service.restore_household(session, household_id=household_id, actor=actor.email)
        return _shown(session, household_id)


def _shown(session: Session, household_id: int) -> HouseholdOut:
    row = lists.household_row(session, book=service.PAPER_BOOK, household_id=household_id)
    if row is None:
        raise NotFound("household", household_id)
    return HouseholdOut.model_validate(row)


def _etag(household: Household) -> str:
    return etag_of(household.name, household.note, household.archived_at)
