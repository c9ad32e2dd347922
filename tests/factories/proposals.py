"""A night's proposals that wait for a person, without models: targets by hand, then the night's own verbs."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.orm import Session

from database.queries import accounts as queries
from database.queries.orders import RecommendationRow, recommendations_on
from database.tables.accounts import Account
from tests.factories.quotes import NIGHT
from tests.factories.targets import create_target
from trading import service


def open_account(session: Session, account_id: int, *, autonomous: bool = False) -> Account:
    """Give an account its opening deposit and its autonomous setting."""
    queries.set_autonomous(session, account_id=account_id, enabled=autonomous, paused_at=None, paused_reason=None)
    service.open_paper_account(session, account_id=account_id)
    account = queries.find_account(session, account_id=account_id)
    assert account is not None
    return account


def propose(
    session: Session, accounts: Sequence[Account], weights: Mapping[int, Decimal], *, night: date = NIGHT
) -> dict[int, list[RecommendationRow]]:
    """Targets, proposals and their checks for one night; what is proposed, by account."""
    for account in accounts:
        create_target(session, account, session_on=night, weights=weights)
    service.settle_book(session, as_of=night, book=accounts[0].book)
    service.propose_orders(session, as_of=night, book=accounts[0].book)
    service.check_orders(session, as_of=night, book=accounts[0].book)
    return {
        account.account_id: recommendations_on(session, account_ids=[account.account_id], session_on=night)
        for account in accounts
    }


_TRADED = (
    "targets",
    "target_weights",
    "recommendations",
    "pretrade_checks",
    "orders",
    "order_events",
    "fills",
    "lot_closings",
    "tax_lots",
    "positions",
    "journal_lines",
    "journal_entries",
    "account_valuations",
    "kill_switches",
    "strategy_choices",
    "allocations",
    "allocation_weights",
    "score_batches",
    "scores",
    "restrictions",
    "job_events",
    "jobs",
)


def forget_trading(session: Session) -> None:
    """Leave nothing of any night, as if nobody had ever traded: past the triggers that keep history as it is."""
    session.execute(text("set local session_replication_role = replica"))
    for table in _TRADED:
        session.execute(text(f"delete from {table}"))
    session.execute(text("update accounts set status = 'active', halted_reason = null, closed_on = null"))
    session.execute(text("update autonomous_settings set orders_max = null, traded_usd_max = null"))
    session.execute(text("set local session_replication_role = origin"))
