"""Paper accounts: opened, filled, emptied, begun anew; and what moved in them."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Response

from api.deps import desk, needs
from api.once import Once, OnceKey, do_once
from api.schemas.accounts import AccountOut
from api.schemas.paper import MovementIn, MovementOut, PaperIn, ResetIn, ResetOut, StatementEntry, StatementOut
from api.sheets import csv_response
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from clients import service
from core.errors import NotFound
from database.queries import clients as lists
from database.session import Session
from portfolios import standings
from strategies.library import STRATEGIES
from trading import paper
from trading.statement import make_statement

router = Word("paper", tags=["paper"])
_CELLS = tuple(name for name in StatementEntry.model_fields if name != "entry_id")
_SUMS = tuple(name for name in _CELLS if name.endswith("_usd") and name != "cash_usd")


@router.post("", status_code=201, response_model=AccountOut)
def open_paper_account(given: PaperIn, once: Once, actor: Actor = needs("paper.write")) -> Response:
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
        return _account(session, account.account_id)

    return do_once(once, actor, work, status=201)


@router.post("/{account_id}/deposits", status_code=201, response_model=MovementOut)
def add_deposit(account_id: int, given: MovementIn, once: Once, actor: Actor = needs("paper.write")) -> Response:
    """Bring money in."""
    return _move(paper.deposit, account_id, given, once, actor)


@router.post("/{account_id}/withdrawals", status_code=201, response_model=MovementOut)
def add_withdrawal(account_id: int, given: MovementIn, once: Once, actor: Actor = needs("paper.write")) -> Response:
    """Take money out: never more than is there and not needed by orders under way. Warns under the mandate's floor."""
    return _move(paper.withdraw, account_id, given, once, actor)


def _move(
    verb: Callable[..., paper.Movement], account_id: int, given: MovementIn, once: OnceKey, actor: Actor
) -> Response:
    """The money moved, once, and the account's standing after it."""

    def work(session: Session) -> MovementOut:
        as_of = service.practice_date(session)
        moved = verb(
            session,
            account_id=account_id,
            amount_usd=given.amount_usd,
            reference=f"{actor.user_id}:{once.key}",
            note=given.note,
            as_of=as_of,
            actor=actor.email,
        )
        standings.refresh(session, account_ids=[account_id], as_of=as_of)
        return MovementOut.model_validate(moved)

    return do_once(once, actor, work, status=201)


@router.post("/{account_id}/reset", status_code=201, response_model=ResetOut)
def reset_account(account_id: int, given: ResetIn, once: Once, actor: Actor = needs("paper.write")) -> Response:
    """Close the account and open a fresh one in its place with the same mandate; the old history stays."""

    def work(session: Session) -> ResetOut:
        as_of = service.practice_date(session)
        opened = paper.reset_account(
            session,
            account_id=account_id,
            confirm=given.confirm,
            initial_cash_usd=given.initial_cash_usd,
            as_of=as_of,
            actor=actor.email,
        )
        standings.refresh(session, account_ids=[opened.account_id], as_of=as_of)
        return ResetOut(closed=_account(session, account_id), opened=_account(session, opened.account_id))

    return do_once(once, actor, work, status=201)


@router.get(
    "/{account_id}/statement",
    response_model=StatementOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "As asked for."}},
)
def show_statement(
    account_id: int,
    from_on: Annotated[date, Query(alias="from", description="First day.")],
    to_on: Annotated[date, Query(alias="to", description="Last day.")],
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    actor: Actor = needs("portfolio.read"),
) -> Any:
    """What moved in the account between two days, from its opening to its closing cash."""
    with desk(actor) as session:
        statement = make_statement(session, account_id=account_id, from_on=from_on, to_on=to_on)
        look(session, actor=actor.email, subject="account", subject_id=account_id)
    shown = StatementOut.model_validate(statement)
    if form == "json":
        return shown
    return csv_response(f"statement-{account_id}-{from_on}-{to_on}.csv", _CELLS, _statement_cells(shown))


def _statement_cells(shown: StatementOut) -> Iterator[tuple[Any, ...]]:
    """Opening cash, each entry, the sums, closing cash."""
    blank = dict.fromkeys(_CELLS)
    opening = {"booked_on": shown.from_on, "kind": "opening", "memo": "cash before", "cash_usd": shown.opening_cash_usd}
    sums = {"booked_on": shown.to_on, "kind": "sums", "memo": "of all entries"}
    closing = {"booked_on": shown.to_on, "kind": "closing", "memo": "cash after", "cash_usd": shown.closing_cash_usd}
    sums |= {name: getattr(shown, name) for name in _SUMS}
    sums["cash_usd"] = shown.closing_cash_usd - shown.opening_cash_usd
    yield tuple((blank | opening).values())
    for entry in shown.entries:
        yield tuple(getattr(entry, name) for name in _CELLS)
    yield tuple((blank | sums).values())
    yield tuple((blank | closing).values())


def _account(session: Session, account_id: int) -> AccountOut:
    row = lists.account_row(session, account_id=account_id)
    if row is None:
        raise NotFound("account", account_id)
    return AccountOut.of(row)
