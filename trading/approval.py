"""Who says yes or no to recommendations: the account's autonomy, or an advisor."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from auth.audit import record
from core.errors import InputError, Refused
from core.money import ZERO
from database.queries import accounts as account_queries
from database.queries import orders as order_queries
from database.queries.kill_switches import engaged_switches
from database.queries.orders import RecommendationRow
from database.session import Session, advisory_lock
from database.tables.accounts import Account, AutonomousSetting
from trading.expiry import is_void
from trading.judgement import Judged, Objection, hold_recommendations, judge
from trading.kill_switch import stopped_by
from trading.order import client_order_id
from trading.timeline import Move, move_orders, start_orders

AUTONOMOUS = "autonomous"


@dataclass(frozen=True)
class Approved:
    """Orders made from recommendations, and recommendations that wait for a person."""

    orders: int
    waiting: int


@dataclass(frozen=True)
class Refusal:
    """An account of which nothing was approved, and why."""

    account_id: int
    client: str
    objections: tuple[Objection, ...]


@dataclass(frozen=True)
class Approval:
    """What a person's yes brought: orders of one night and book, and the accounts whose rules said no."""

    as_of: date
    book: str
    recommendation_ids: tuple[int, ...]
    order_ids: tuple[int, ...]
    account_ids: tuple[int, ...]
    refused: tuple[Refusal, ...]


def approve_autonomous(session: Session, *, as_of: date, book: str) -> Approved:
    """Approve what the rules let pass in accounts that may trade by themselves; the rest waits for its advisor.

    Past an account's limits for one night the rest waits too, and under a kill switch all of it does.
    """
    advisory_lock(session, f"acis:trading:{book}")
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    rows = order_queries.recommendations_on(session, account_ids=ids, session_on=as_of, statuses=("proposed",))
    rows = [row for row in rows if not is_void(row)]
    wanted = _within_limits(session, _allowed(session, rows, accounts), as_of)
    order_ids = _approve(session, wanted, brokers=_brokers(accounts), decided_by=AUTONOMOUS)
    return Approved(orders=len(order_ids), waiting=len(rows) - len(wanted))


def approve(session: Session, *, recommendation_ids: Sequence[int], actor: str) -> Approval:
    """An advisor's yes to recommendations of one night and book, all of them or none.

    The rules are asked again. InputError for numbers that do not exist or belong to several nights, Refused with the
    rules' reasons.
    """
    approval = approve_accounts(session, recommendation_ids=recommendation_ids, actor=actor)
    if approval.refused:
        raise Refused("; ".join(sentences(approval.refused)))
    return approval


def approve_accounts(session: Session, *, recommendation_ids: Sequence[int], actor: str) -> Approval:
    """The same, account by account: where a rule objects to any of an account's, none of that account is approved."""
    judged = judge(session, hold_recommendations(session, recommendation_ids=recommendation_ids))
    as_of, book = one_night(judged)
    passed = [one for one in judged if not one.objections]
    rows = [row for one in passed for row in one.chosen]
    order_queries.replace_checks(session, checks=[check for one in passed for check in one.checks])
    brokers = {one.holder.account_id: one.holder.broker for one in passed}
    order_ids = _approve(session, rows, brokers=brokers, decided_by=actor)
    for row in rows:
        after = {"quantity": row.quantity, "side": row.side, "session_on": row.session_on}
        record(
            session,
            actor=actor,
            action="approve",
            subject="recommendation",
            subject_id=row.recommendation_id,
            after=after,
        )
    return Approval(
        as_of=as_of,
        book=book,
        recommendation_ids=tuple(row.recommendation_id for row in rows),
        order_ids=tuple(order_ids),
        account_ids=tuple(brokers),
        refused=tuple(
            Refusal(one.holder.account_id, one.holder.client, one.objections) for one in judged if one.objections
        ),
    )


def one_night(judged: Sequence[Judged]) -> tuple[date, str]:
    """The night and book that all of them belong to. InputError where they are several, or nothing was chosen."""
    nights = {(row.session_on, one.holder.book) for one in judged for row in one.chosen}
    if len(nights) != 1:
        raise InputError(
            f"recommendation_ids belong to {len(nights)} nights and books: decide on those of one night at a time"
        )
    return nights.pop()


def reject(session: Session, *, recommendation_ids: Sequence[int], actor: str, reason: str) -> int:
    """An advisor's no, with the reason; returns how many recommendations it was said to.

    Always possible while a proposal is open: halted accounts and kill switches stop a yes, never a no.
    """
    if not reason.strip():
        raise InputError("reason is empty: say why, it is kept beside the recommendation")
    rows = hold_recommendations(session, recommendation_ids=recommendation_ids)
    decided = [f"{row.recommendation_id} ({'expired' if is_void(row) else row.status})" for row in rows]
    if any(row.status != "proposed" or is_void(row) for row in rows):
        raise Refused(f"of recommendations {', '.join(decided)} some are decided already; only proposed ones can be")
    ids = [row.recommendation_id for row in rows]
    order_queries.decide(session, recommendation_ids=ids, status="rejected", decided_by=actor, note=reason.strip())
    for key in ids:
        after = {"reason": reason.strip()}
        record(session, actor=actor, action="reject", subject="recommendation", subject_id=key, after=after)
    return len(ids)


def sentences(refused: Sequence[Refusal]) -> list[str]:
    """The objections as a person reads them."""
    return [
        f"recommendation {objection.recommendation_id} of {one.client}: {objection.reason} ({objection.rule})"
        for one in refused
        for objection in one.objections
    ]


def _allowed(
    session: Session, rows: Sequence[RecommendationRow], accounts: Sequence[Account]
) -> list[RecommendationRow]:
    """The recommendations of accounts that may trade by themselves now, without those under a kill switch."""
    free = account_queries.autonomous_accounts(session, account_ids={row.account_id for row in rows})
    switches = engaged_switches(session)
    clients = {account.account_id: account.client_id for account in accounts}
    strategies = order_queries.strategies_of(session, target_ids={row.target_id for row in rows})
    return [
        row
        for row in rows
        if row.account_id in free
        and not stopped_by(switches, client_id=clients[row.account_id], strategy=strategies.get(row.target_id))
    ]


def _within_limits(session: Session, rows: Sequence[RecommendationRow], as_of: date) -> list[RecommendationRow]:
    """Each account's first recommendations up to its limits for one night, those of an earlier try counted.

    A prefix of the basket keeps the rules' verdicts true: sales come first there, and every buy was judged after those
    before it. The first one that does not fit therefore ends the night's automatic trading of the account.
    """
    ids = {row.account_id for row in rows}
    settings = account_queries.autonomous_settings(session, account_ids=ids)
    done = order_queries.decided_today(session, account_ids=ids, session_on=as_of, decided_by=AUTONOMOUS)
    by_account: dict[int, list[RecommendationRow]] = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(row)
    wanted: list[RecommendationRow] = []
    for key, own in by_account.items():
        orders, traded_usd = done.get(key, (0, ZERO))
        for row in own:
            orders, traded_usd = orders + 1, traded_usd + row.quantity * row.reference_price
            if _is_past(settings[key], orders=orders, traded_usd=traded_usd):
                break
            wanted.append(row)
    return wanted


def _is_past(setting: AutonomousSetting, *, orders: int, traded_usd: Decimal) -> bool:
    return (setting.orders_max is not None and orders > setting.orders_max) or (
        setting.traded_usd_max is not None and traded_usd > setting.traded_usd_max
    )


def _brokers(accounts: Sequence[Account]) -> dict[int, str]:
    return {account.account_id: account.broker for account in accounts}


def _approve(
    session: Session, rows: Sequence[RecommendationRow], *, brokers: Mapping[int, str], decided_by: str
) -> list[int]:
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
    return ids
