"""Clients: the people whose money is managed, and who looks after them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Query, Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.match import OUTDATED, IfMatch, etag_of, require_match, tell_etag
from api.once import Once, do_once
from api.schemas.accounts import AccountOut
from api.schemas.clients import (
    ActivityOut,
    AssignmentIn,
    AssignmentOut,
    ClientChange,
    ClientIn,
    ClientOut,
    ClientShown,
    RiskTolerance,
)
from api.schemas.page import Page
from api.schemas.practice import Reason
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from clients import service
from core.clock import today_in_new_york
from core.errors import NotFound
from database.queries import activity
from database.queries import clients as lists
from database.session import Session
from database.tables.households import Client
from portfolios import standings
from strategies.library import STRATEGIES
from trading.closing import archive_client as archive
from trading.opening import open_paper_account

router = Word("clients", tags=["clients"])
_ACCOUNTS_MAX = 500
ClientSort = Annotated[
    str,
    Query(
        max_length=32,
        description="name, household, risk_tolerance, reviewed_on, created_at, accounts, value_usd, cash_usd,"
        " day_change_usd, year_return, drift, off_plan_count or health_score; `-` before it: the other way.",
    ),
]


@router.get("")
def list_clients(
    search: Search = None,
    household_id: int | None = None,
    advisor_id: Annotated[int | None, Query(description="Whom this user looks after today.")] = None,
    risk_tolerance: RiskTolerance | None = None,
    drift_min: Annotated[Decimal | None, Query(ge=0, le=1, description="With at least this drift.")] = None,
    is_off_plan: Annotated[
        bool | None, Query(description="With a holding off by more than the mandate's threshold, or without.")
    ] = None,
    archived: Literal["no", "only", "all"] = "no",
    sort: ClientSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[ClientOut]:
    """Clients with how their open accounts stand together; rows without a value come last either way."""
    wanted = lists.ClientFilter(
        search=search,
        household_id=household_id,
        advisor_id=advisor_id,
        on=today_in_new_york(),
        risk_tolerance=risk_tolerance,
        drift_min=drift_min,
        is_off_plan=is_off_plan,
        is_archived=None if archived == "all" else archived == "only",
    )
    with desk(actor) as session:
        rows = lists.page_clients(
            session, book=service.PAPER_BOOK, wanted=wanted, sort=sort, limit=limit, cursor=cursor
        )
        return Page[ClientOut].of(rows, ClientOut.model_validate)


@router.post("", status_code=201, response_model=ClientShown)
def add_client(given: ClientIn, once: Once, actor: Actor = needs("clients.write")) -> Response:
    """A new client, with a first account where one is given; an advisor becomes the client's advisor."""

    def work(session: Session) -> ClientShown:
        opening = None
        if given.account is not None:
            opening = service.Opening(
                opened_on=given.account.opened_on or service.practice_date(session),
                initial_cash_usd=given.account.initial_cash_usd,
                name=given.account.name,
                limits=None if given.account.limits is None else given.account.limits.changes(),
                known_strategies=STRATEGIES,
                autonomous=given.account.is_autonomous,
                taxation=given.account.taxation,
            )
        client, account = service.add_client(
            session,
            **given.model_dump(exclude={"account"}),
            opening=opening,
            user_id=actor.user_id,
            actor=actor.email,
        )
        if account is not None:
            open_paper_account(session, account_id=account.account_id)
            as_of = service.practice_date(session)
            standings.refresh(session, account_ids=[account.account_id], as_of=as_of)
        return _shown(session, client.client_id)

    return do_once(once, actor, work, status=201)


@router.get("/{client_id}")
def show_client(client_id: int, response: Response, actor: Actor = needs("clients.read")) -> ClientShown:
    """One client with their accounts and those who look after them."""
    with desk(actor) as session:
        client = service.require_client(session, client_id=client_id)
        look(session, actor=actor.email, subject="client", subject_id=client_id)
        tell_etag(response, _etag(client))
        return _shown(session, client_id)


@router.patch("/{client_id}", responses=OUTDATED)
def change_client(
    client_id: int, given: ClientChange, if_match: IfMatch = None, actor: Actor = needs("clients.write")
) -> ClientShown:
    """Change single fields; those left out stay."""
    with desk(actor) as session:
        standing = service.require_client(session, client_id=client_id, is_locked=True)
        require_match(if_match, _etag(standing), "client", client_id)
        service.change_client(
            session, client_id=client_id, changes=given.model_dump(exclude_unset=True), actor=actor.email
        )
        return _shown(session, client_id)


@router.post("/{client_id}/archive")
def archive_client(client_id: int, given: Reason, actor: Actor = needs("clients.write")) -> ClientShown:
    """Put a client away: no night trades their accounts. Refused while orders are under way."""
    with desk(actor) as session:
        archive(session, client_id=client_id, reason=given.reason, actor=actor.email)
        return _shown(session, client_id)


@router.post("/{client_id}/restore")
def restore_client(client_id: int, actor: Actor = needs("clients.write")) -> ClientShown:
    """Bring a client back."""
    with desk(actor) as session:
        service.restore_client(session, client_id=client_id, actor=actor.email)
        return _shown(session, client_id)


@router.get("/{client_id}/accounts")
def list_client_accounts(
    client_id: int,
    status: Literal["active", "halted", "closed"] | None = None,
    sort: str = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[AccountOut]:
    """The client's accounts, closed ones too."""
    wanted = lists.AccountFilter(client_id=client_id, status=status)
    with desk(actor) as session:
        service.require_client(session, client_id=client_id)
        look(session, actor=actor.email, subject="client", subject_id=client_id)
        rows = lists.page_accounts(
            session, book=service.PAPER_BOOK, wanted=wanted, sort=sort, limit=limit, cursor=cursor
        )
        return Page[AccountOut].of(rows, AccountOut.of)


@router.get("/{client_id}/activity")
def list_client_activity(
    client_id: int,
    kind: Literal["order", "fill", "deposit", "withdrawal", "dividend", "split", "transfer", "reversal", "import"]
    | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[ActivityOut]:
    """What happened to the client's accounts, newest first: orders, fills, movements of money, imports.

    Who changed or looked at what is the audit trail's to tell, which only admins read.
    """
    with desk(actor) as session:
        service.require_client(session, client_id=client_id)
        look(session, actor=actor.email, subject="client", subject_id=client_id)
        rows = activity.page_activity(session, client_id=client_id, kind=kind, limit=limit, cursor=cursor)
        return Page[ActivityOut].of(rows, ActivityOut.model_validate)


@router.get("/{client_id}/advisors")
def list_client_advisors(client_id: int, actor: Actor = needs("clients.read")) -> list[AssignmentOut]:
    """Who looks after the client or did, newest first; an advisor is shown their own care only."""
    with desk(actor) as session:
        rows = service.assignments_of(session, client_id=client_id)
        look(session, actor=actor.email, subject="client", subject_id=client_id)
        return [AssignmentOut.model_validate(row) for row in rows]


@router.post("/{client_id}/advisors", status_code=201)
def assign_advisor(
    client_id: int, given: AssignmentIn, actor: Actor = needs("assignments.write")
) -> list[AssignmentOut]:
    """Let an advisor or a viewer look after the client."""
    with desk(actor) as session:
        service.assign(
            session,
            client_id=client_id,
            advisor_id=given.advisor_id,
            start_on=given.start_on,
            actor=actor.email,
        )
        rows = service.assignments_of(session, client_id=client_id)
        return [AssignmentOut.model_validate(row) for row in rows]


@router.delete("/{client_id}/advisors/{advisor_id}")
def end_advisor(
    client_id: int,
    advisor_id: int,
    end_on: Annotated[date | None, Query(description="The first day without; today unless given.")] = None,
    actor: Actor = needs("assignments.write"),
) -> list[AssignmentOut]:
    """Let their care end: from that day on they see nothing of the client."""
    with desk(actor) as session:
        service.end_assignment(session, client_id=client_id, advisor_id=advisor_id, end_on=end_on, actor=actor.email)
        rows = service.assignments_of(session, client_id=client_id)
        return [AssignmentOut.model_validate(row) for row in rows]


def _shown(session: Session, client_id: int) -> ClientShown:
    row = lists.client_row(session, book=service.PAPER_BOOK, client_id=client_id)
    if row is None:
        raise NotFound("client", client_id)
    accounts = lists.page_accounts(
        session,
        book=service.PAPER_BOOK,
        wanted=lists.AccountFilter(client_id=client_id),
        sort="name",
        limit=_ACCOUNTS_MAX,
        cursor=None,
    )
    return ClientShown(
        **ClientOut.model_validate(row).model_dump(),
        account_list=[AccountOut.of(one) for one in accounts.rows if one.Account.status != "closed"],
        advisors=[
            AssignmentOut.model_validate(one)
            for one in service.assignments_of(session, client_id=client_id, is_open=True)
        ],
    )


def _etag(client: Client) -> str:
    return etag_of(
        client.name,
        client.household_id,
        client.risk_tolerance,
        client.email,
        client.phone,
        client.note,
        client.reviewed_on,
        client.archived_at,
    )
