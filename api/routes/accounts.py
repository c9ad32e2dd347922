"""Accounts: pots of money with a mandate each."""

from typing import Annotated, Literal

from fastapi import Query, Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.match import OUTDATED, IfMatch, etag_of, require_match, tell_etag
from api.once import Once, do_once
from api.schemas.accounts import AccountChange, AccountIn, AccountOut, Status, Taxation
from api.schemas.page import Page
from api.schemas.practice import Reason
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from clients import service
from core.errors import NotFound
from database.queries import clients as lists
from database.session import Session
from database.tables.accounts import Account
from portfolios import standings
from strategies.library import STRATEGIES
from trading import closing, paper

router = Word("accounts", tags=["accounts"])
AccountSort = Annotated[
    str,
    Query(
        max_length=32,
        description="name, client, household, opened_on, status, value_usd, cash_usd, day_change_usd, year_return,"
        " drift or health_score; `-` before it: the other way.",
    ),
]


@router.get("")
def list_accounts(
    search: Search = None,
    client_id: int | None = None,
    household_id: int | None = None,
    status: Status | None = None,
    taxation: Taxation | None = None,
    is_autonomous: bool | None = None,
    is_off_plan: bool | None = None,
    book: Annotated[Literal["paper"], Query(description="The firm's own book.")] = "paper",
    sort: AccountSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[AccountOut]:
    """Accounts with how they stand; rows without a value come last either way."""
    wanted = lists.AccountFilter(
        search=search,
        client_id=client_id,
        household_id=household_id,
        status=status,
        taxation=taxation,
        is_autonomous=is_autonomous,
        is_off_plan=is_off_plan,
    )
    with desk(actor) as session:
        rows = lists.page_accounts(session, book=book, wanted=wanted, sort=sort, limit=limit, cursor=cursor)
        return Page[AccountOut].of(rows, AccountOut.of)


@router.post("", status_code=201, response_model=AccountOut)
def add_account(given: AccountIn, once: Once, actor: Actor = needs("clients.write")) -> Response:
    """Another paper account of a client, with its opening deposit and first mandate."""

    def work(session: Session) -> AccountOut:
        as_of = service.practice_date(session)
        account = paper.open_account(
            session,
            client_id=given.client_id,
            name=given.name,
            opened_on=given.opened_on or as_of,
            initial_cash_usd=given.initial_cash_usd,
            taxation=given.taxation,
            is_autonomous=given.is_autonomous,
            limits=None if given.limits is None else given.limits.changes(),
            known_strategies=STRATEGIES,
            actor=actor.email,
        )
        standings.refresh(session, account_ids=[account.account_id], as_of=as_of)
        return _shown(session, account.account_id)

    return do_once(once, actor, work, status=201)


@router.get("/{account_id}")
def show_account(account_id: int, response: Response, actor: Actor = needs("clients.read")) -> AccountOut:
    """One account and how it stands."""
    with desk(actor) as session:
        account = service.require_account(session, account_id=account_id)
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        tell_etag(response, _etag(account))
        return _shown(session, account_id)


@router.patch("/{account_id}", responses=OUTDATED)
def change_account(
    account_id: int, given: AccountChange, if_match: IfMatch = None, actor: Actor = needs("clients.write")
) -> AccountOut:
    """Another name or taxation."""
    with desk(actor) as session:
        standing = service.require_account(session, account_id=account_id, is_locked=True)
        require_match(if_match, _etag(standing), "account", account_id)
        service.change_account(
            session, account_id=account_id, changes=given.model_dump(exclude_unset=True), actor=actor.email
        )
        return _shown(session, account_id)


@router.post("/{account_id}/close")
def close_account(account_id: int, given: Reason, actor: Actor = needs("clients.write")) -> AccountOut:
    """Close it for good; refused while orders are under way. Its history stays."""
    with desk(actor) as session:
        closed_on = service.practice_date(session)
        closing.close_account(
            session, account_id=account_id, closed_on=closed_on, reason=given.reason, actor=actor.email
        )
        return _shown(session, account_id)


@router.post("/{account_id}/halt")
def halt_account(account_id: int, given: Reason, actor: Actor = needs("clients.write")) -> AccountOut:
    """Stop all trading of the account until a person resumes it."""
    with desk(actor) as session:
        service.halt(session, account_id=account_id, reason=given.reason, actor=actor.email)
        return _shown(session, account_id)


@router.post("/{account_id}/resume")
def resume_account(account_id: int, given: Reason, actor: Actor = needs("clients.write")) -> AccountOut:
    """Let a halted account trade again."""
    with desk(actor) as session:
        service.resume(session, account_id=account_id, reason=given.reason, actor=actor.email)
        return _shown(session, account_id)


def _shown(session: Session, account_id: int) -> AccountOut:
    row = lists.account_row(session, account_id=account_id)
    if row is None:
        raise NotFound("account", account_id)
    return AccountOut.of(row)


def _etag(account: Account) -> str:
    return etag_of(account.name, account.taxation, account.status, account.halted_reason)
