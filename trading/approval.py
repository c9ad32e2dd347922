"""Who says yes or no to recommendations: the account's autonomy, or an advisor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from auth.audit import record
from core.errors import InputError, Refused
from database.queries import accounts as account_queries
from database.queries import orders as order_queries
from database.queries.orders import RecommendationRow
from database.session import Session
from database.tables.accounts import Account
from trading.order import client_order_id
from trading.timeline import Move, move_orders, start_orders

AUTONOMOUS = "autonomous"


@dataclass(frozen=True)
class Approved:
    """Orders made from recommendations, and recommendations that wait for a person."""

    orders: int
    waiting: int


def approve_autonomous(session: Session, *, as_of: date, book: str) -> Approved:
    """Approve what the rules let pass in accounts that may trade by themselves; the rest waits for its advisor."""
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    free = account_queries.autonomous_accounts(session, account_ids=ids)
    rows = order_queries.recommendations_on(session, account_ids=ids, session_on=as_of, statuses=("proposed",))
    wanted = [row for row in rows if row.account_id in free]
    orders = _approve(session, wanted, brokers=_brokers(accounts), decided_by=AUTONOMOUS)
    return Approved(orders=orders, waiting=len(rows) - len(wanted))


def approve(session: Session, *, recommendation_ids: Sequence[int], actor: str) -> int:
    """An advisor's yes to recommendations that passed the rules; returns the number of orders made."""
    rows = _waiting_for_decision(session, recommendation_ids)
    accounts = [account_queries.find_account(session, account_id=key) for key in {row.account_id for row in rows}]
    brokers = _brokers([account for account in accounts if account is not None])
    made = _approve(session, rows, brokers=brokers, decided_by=actor)
    for row in rows:
        record(session, actor=actor, action="approve", subject="recommendation", subject_id=row.recommendation_id)
    return made


def reject(session: Session, *, recommendation_ids: Sequence[int], actor: str, reason: str) -> int:
    """An advisor's no, with the reason; returns how many recommendations it was said to."""
    rows = _waiting_for_decision(session, recommendation_ids)
    ids = [row.recommendation_id for row in rows]
    order_queries.decide(session, recommendation_ids=ids, status="rejected", decided_by=actor)
    for key in ids:
        after = {"reason": reason}
        record(session, actor=actor, action="reject", subject="recommendation", subject_id=key, after=after)
    return len(ids)


def _waiting_for_decision(session: Session, recommendation_ids: Sequence[int]) -> list[RecommendationRow]:
    rows = order_queries.find_recommendations(session, recommendation_ids=recommendation_ids)
    missing = set(recommendation_ids) - {row.recommendation_id for row in rows}
    if missing:
        raise InputError(f"recommendation_ids holds {sorted(missing)}, which do not exist: list the proposed ones")
    decided = [f"{row.recommendation_id} ({row.status})" for row in rows if row.status != "proposed"]
    if decided:
        raise Refused(f"recommendations {', '.join(decided)} are decided already; only proposed ones can be")
    return rows


def _brokers(accounts: Sequence[Account]) -> dict[int, str]:
    return {account.account_id: account.broker for account in accounts}


def _approve(
    session: Session, rows: Sequence[RecommendationRow], *, brokers: Mapping[int, str], decided_by: str
) -> int:
    """Orders in `intent` from recommendations that every rule has judged; one order each, ever."""
    judged = order_queries.checked_recommendations(session, recommendation_ids=[row.recommendation_id for row in rows])
    unjudged = [row.recommendation_id for row in rows if row.recommendation_id not in judged]
    if unjudged:
        raise Refused(f"recommendations {unjudged} were not checked: run the pre-trade rules first")
    ids = order_queries.insert_orders(
        session,
        rows=[
            {
                "client_order_id": client_order_id(
                    account_id=row.account_id, target_id=row.target_id, instrument_id=row.instrument_id
                ),
                "account_id": row.account_id,
                "recommendation_id": row.recommendation_id,
                "instrument_id": row.instrument_id,
                "session_on": row.session_on,
                "side": row.side,
                "quantity": row.quantity,
                "state": "planned",
                "broker": brokers[row.account_id],
            }
            for row in rows
        ],
    )
    start_orders(session, order_ids=ids, state="planned", evidence={"decided_by": decided_by})
    move_orders(session, [Move(key, "planned", "intent", {"decided_by": decided_by}) for key in ids])
    order_queries.decide(
        session,
        recommendation_ids=[row.recommendation_id for row in rows],
        status="approved",
        decided_by=decided_by,
    )
    return len(ids)
