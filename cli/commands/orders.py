"""`acis orders`: the night's recommendations and orders; approve and reject what waits for a person."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import typer

from cli.arguments import JsonFlag, parse_date
from cli.output import print_json, print_table, say
from clients.service import PAPER_BOOK
from database.queries.accounts import accounts_in_book
from database.queries.instruments import instruments_by_id
from database.queries.orders import find_recommendations, orders_of_session, recommendations_on
from database.session import Session, transaction
from market_data.service import latest_session
from mlops.jobs.send_approved import run_send_approved
from trading.service import reject

group = typer.Typer(no_args_is_help=True)
Ids = Annotated[list[int], typer.Argument(help="Numbers of recommendations, as `acis orders list` shows them.")]


@group.command("list")
def list_(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Session of the night (YYYY-MM-DD).")] = None,
    book: Annotated[str, typer.Option(help="Book of accounts: paper, or a replay's.")] = PAPER_BOOK,
    as_json: JsonFlag = False,
) -> None:
    """Show a night's recommendations with what became of them."""
    with transaction() as session:
        day = parse_date(as_of, "--as-of") if as_of else latest_session(session)
        rows = _recommendations(session, day, book)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"no recommendations on {day} in book {book!r}; `acis nightly --as-of {day}` makes them")
        return
    columns = ["recommendation", "account", "order", "symbol", "side", "quantity", "status", "state", "reason"]
    print_table(f"recommendations of {day}", columns, [[row[name] for name in columns] for row in rows])


def _recommendations(session: Session, day: date, book: str) -> list[dict[str, Any]]:
    ids = [account.account_id for account in accounts_in_book(session, book=book)]
    rows = recommendations_on(session, account_ids=ids, session_on=day)
    orders = orders_of_session(session, account_ids=ids, session_on=day)
    instruments = instruments_by_id(session, ids={row.instrument_id for row in rows})
    found = []
    for row in rows:
        order = orders.get(row.recommendation_id)
        found.append(
            {
                "recommendation": row.recommendation_id,
                "account": row.account_id,
                "order": order.order_id if order else None,
                "symbol": instruments[row.instrument_id].symbol,
                "side": row.side,
                "quantity": int(row.quantity),
                "filled": int(order.filled_quantity) if order else 0,
                "status": row.status,
                "state": order.state if order else None,
                "reason": row.reason,
            }
        )
    return found


@group.command("approve")
def approve(
    recommendations: Ids,
    by: Annotated[str, typer.Option(help="Who approves: name or e-mail; goes into the audit trail.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Approve recommendations that passed the rules, and send their orders."""
    if not yes:
        typer.confirm(f"approve and send {_described(recommendations)}?", abort=True, err=True)
    sent = run_send_approved(recommendation_ids=recommendations, actor=by)
    if as_json:
        print_json(sent)
    else:
        said = (
            f"{len(recommendations)} approved, {sent.accepted} accepted, {sent.rejected} rejected, {sent.fills} fills"
        )
        say(f"{said}; {sent.withheld} withheld by a kill switch" if sent.withheld else said)


@group.command("reject")
def reject_(
    recommendations: Ids,
    by: Annotated[str, typer.Option(help="Who rejects: name or e-mail; goes into the audit trail.")],
    reason: Annotated[str, typer.Option(help="Why; stored beside the recommendation.")],
    as_json: JsonFlag = False,
) -> None:
    """Reject recommendations, with the reason."""
    with transaction() as session:
        count = reject(session, recommendation_ids=recommendations, actor=by, reason=reason)
    if as_json:
        print_json({"rejected": count})
    else:
        say(f"{count} rejected")


def _described(recommendation_ids: Sequence[int]) -> str:
    with transaction() as session:
        rows = find_recommendations(session, recommendation_ids=recommendation_ids)
        instruments = instruments_by_id(session, ids={row.instrument_id for row in rows})
        return ", ".join(f"{row.side} {int(row.quantity)} {instruments[row.instrument_id].symbol}" for row in rows)
