"""What a person is about to decide, judged again: the rules on the chosen recommendations as the account stands now.

The night judged all proposals of an account together. A person may choose some of them, and meanwhile cash, holdings,
restrictions or a switch may have changed; so whoever approves or changes a quantity has the rules asked again, on the
chosen ones and on what of the same night is approved already and still under way.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from core.errors import NotFound
from core.money import ZERO
from database.queries import orders as order_queries
from database.queries.kill_switches import engaged_switches
from database.queries.orders import OrderRow, RecommendationRow
from database.queries.recommendations import Holder, accounts_by_id, holders
from database.session import Session, advisory_lock
from market_data.calendars import is_session, next_session
from trading.expiry import is_void
from trading.kill_switch import stopped_by
from trading.order import OPEN
from trading.portfolio import Portfolio, read_portfolios
from trading.pretrade import StoredCheck, judge_basket, make_basket, stored_checks
from trading.risk_rule import Basket


@dataclass(frozen=True)
class Objection:
    """Why one recommendation cannot be approved: the rule that says so, and its sentence."""

    recommendation_id: int
    rule: str
    reason: str


@dataclass(frozen=True)
class Judged:
    """One account's chosen recommendations, with every objection; `basket` is None where none could be made."""

    holder: Holder
    chosen: tuple[RecommendationRow, ...]
    objections: tuple[Objection, ...]
    portfolio: Portfolio | None = None
    basket: Basket | None = None
    checks: tuple[StoredCheck, ...] = ()


def hold_recommendations(session: Session, *, recommendation_ids: Collection[int]) -> list[RecommendationRow]:
    """The recommendations, locked behind their books: neither a night nor a sender moves them until the end.

    NotFound for a number that is not there.
    """
    rows = order_queries.find_recommendations(session, recommendation_ids=recommendation_ids)
    missing = sorted(set(recommendation_ids) - {row.recommendation_id for row in rows})
    if missing:
        raise NotFound("recommendation", missing[0])
    known = holders(session, account_ids={row.account_id for row in rows})
    for book in sorted({holder.book for holder in known.values()}):
        advisory_lock(session, f"acis:trading:{book}")
    return order_queries.find_recommendations(session, recommendation_ids=recommendation_ids, is_locked=True)


def judge(session: Session, rows: Sequence[RecommendationRow]) -> list[Judged]:
    """Every account's chosen recommendations under every rule, as of their night; by client and account."""
    by_night: dict[date, list[RecommendationRow]] = defaultdict(list)
    for row in rows:
        by_night[row.session_on].append(row)
    found = [judged for day, own in by_night.items() for judged in _judge_night(session, own, day)]
    return sorted(found, key=lambda judged: (judged.holder.client, judged.holder.account_id))


def _judge_night(session: Session, rows: Sequence[RecommendationRow], as_of: date) -> list[Judged]:
    by_account: dict[int, list[RecommendationRow]] = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(row)
    known = holders(session, account_ids=by_account)
    approved = _approved(session, account_ids=by_account, as_of=as_of)
    orders = order_queries.orders_of_session(session, account_ids=by_account, session_on=as_of)
    stocks = {row.instrument_id for row in (*rows, *(row for own in approved.values() for row in own))}
    portfolios = {
        portfolio.account.account_id: portfolio
        for portfolio in read_portfolios(
            session,
            accounts=accounts_by_id(session, account_ids=by_account),
            as_of=as_of,
            instrument_ids=stocks,
        )
    }
    switches = engaged_switches(session)
    strategies = order_queries.strategies_of(session, target_ids={row.target_id for row in rows})
    executes_on = next_session(as_of) if is_session(as_of) else None
    judged = []
    for key, chosen in by_account.items():
        before = _undecidable(known[key], chosen)
        portfolio = portfolios.get(key)
        if before or portfolio is None:
            judged.append(Judged(known[key], tuple(chosen), before or _not_judged(chosen)))
            continue
        stopped = stopped_by(switches, client_id=known[key].client_id, strategy=strategies.get(chosen[0].target_id))
        basket = _basket(portfolio, chosen, approved[key], orders, as_of, executes_on, stopped)
        judged.append(_judged(known[key], chosen, portfolio, basket))
    return judged


def _approved(session: Session, *, account_ids: Collection[int], as_of: date) -> dict[int, list[RecommendationRow]]:
    found: dict[int, list[RecommendationRow]] = defaultdict(list)
    for row in order_queries.recommendations_on(
        session, account_ids=account_ids, session_on=as_of, statuses=("approved",)
    ):
        found[row.account_id].append(row)
    return found


def _undecidable(holder: Holder, chosen: Sequence[RecommendationRow]) -> tuple[Objection, ...]:
    """What no rule needs to be asked about: decided or void proposals, clients and accounts that are no more."""
    gone = None
    if holder.status == "closed":
        gone = "the account is closed"
    elif holder.archived_at is not None:
        gone = "the client is archived"
    found = []
    for row in chosen:
        reason = gone
        if is_void(row):
            reason = f"it was made for the open after {row.session_on}, which is over: the next night proposes anew"
        elif row.status != "proposed":
            reason = f"it is decided already: {row.status}"
        if reason is not None:
            found.append(Objection(row.recommendation_id, "undecidable", reason))
    return tuple(found)


def _not_judged(chosen: Sequence[RecommendationRow]) -> tuple[Objection, ...]:
    reason = "the account has no mandate in force, or holds something that has no price"
    return tuple(Objection(row.recommendation_id, "undecidable", reason) for row in chosen)


def _basket(
    portfolio: Portfolio,
    chosen: Sequence[RecommendationRow],
    approved: Sequence[RecommendationRow],
    orders: Mapping[int, OrderRow],
    as_of: date,
    executes_on: date | None,
    stopped: str | None,
) -> Basket:
    """The chosen ones with what is under way of the same night, in the night's order; filled parts count as traded."""
    under_way, reserved, traded = [], ZERO, ZERO
    for row in approved:
        order = orders.get(row.recommendation_id)
        filled = ZERO if order is None else order.filled_quantity
        left = row.quantity - filled if order is not None and order.state in OPEN else ZERO
        traded += filled * row.reference_price
        if left > 0:
            under_way.append(row._replace(quantity=left))
            reserved += left * row.reference_price if row.side == "buy" else ZERO
    together = sorted((*under_way, *chosen), key=lambda row: (row.side == "buy", row.recommendation_id))
    basket = make_basket(
        portfolio, together, as_of=as_of, executes_on=executes_on, stopped_by=stopped, traded_usd=traded
    )
    # What is under way stands in the basket itself; its cash must not be taken twice.
    basket.reserved_usd -= reserved
    return basket


def _judged(holder: Holder, chosen: Sequence[RecommendationRow], portfolio: Portfolio, basket: Basket) -> Judged:
    ids = {row.recommendation_id for row in chosen}
    checks = tuple(check for check in stored_checks(basket, judge_basket(basket)) if check[0] in ids)
    objections = tuple(Objection(key, rule, reason) for key, rule, passed, _, _, reason in checks if not passed)
    return Judged(holder, tuple(chosen), objections, portfolio, basket, checks)
