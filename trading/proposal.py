"""From targets to recommendations, and the rules' judgement on them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from database.queries import accounts as account_queries
from database.queries import orders as order_queries
from database.queries.kill_switches import engaged_switches
from database.queries.orders import RecommendationRow
from database.session import Session
from market_data.calendars import is_session, next_session
from trading.expiry import expires_at
from trading.generate import Book, Trade, generate_trades
from trading.kill_switch import stopped_by
from trading.portfolio import Portfolio, read_portfolios
from trading.pretrade import StoredCheck, judge_basket, make_basket, stored_checks

RULES = "pre-trade rules"


@dataclass(frozen=True)
class Checked:
    """How many recommendations the rules let pass, and how many each rule refused."""

    passed: int
    refused: int
    by_rule: dict[str, int]


def propose_orders(session: Session, *, as_of: date, book: str) -> int:
    """Turn the night's targets into recommendations; returns how many are new.

    A target that was turned into recommendations before is left alone, whatever was filled since.
    """
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    legs = order_queries.target_legs(session, account_ids=ids, session_on=as_of)
    done = order_queries.targets_with_recommendations(session, target_ids={leg.target_id for leg in legs})
    weights: dict[int, dict[int, Decimal]] = defaultdict(dict)
    target_ids: dict[int, int] = {}
    for leg in legs:
        if leg.target_id not in done:
            target_ids[leg.account_id] = leg.target_id
            if leg.instrument_id is not None:
                weights[leg.account_id][leg.instrument_id] = leg.weight
    wanted = {key for by_instrument in weights.values() for key in by_instrument}
    planned = [account for account in accounts if account.account_id in target_ids]
    if not planned:
        return 0
    rows: list[dict[str, Any]] = []
    for portfolio in read_portfolios(session, accounts=planned, as_of=as_of, instrument_ids=wanted):
        account_id = portfolio.account.account_id
        trades = generate_trades(_book_of(portfolio, weights[account_id]))
        void_at = expires_at(as_of, kind=portfolio.account.kind)
        rows += [_recommendation(trade, account_id, target_ids[account_id], as_of, void_at) for trade in trades]
    return order_queries.insert_recommendations(session, rows=rows)


def _book_of(portfolio: Portfolio, targets: Mapping[int, Decimal]) -> Book:
    return Book(
        cash_usd=portfolio.cash_usd,
        holdings=portfolio.holdings,
        prices={key: facts.close for key, facts in portfolio.prices.items()},
        targets=targets,
        cash_weight_min=portfolio.mandate.cash_weight_min,
        drift_threshold=portfolio.mandate.drift_threshold,
        trade_usd_min=portfolio.mandate.trade_usd_min,
        restricted=portfolio.restricted,
        frozen=portfolio.frozen,
        reserved_usd=portfolio.reserved_usd,
    )


def _recommendation(
    trade: Trade, account_id: int, target_id: int, as_of: date, void_at: datetime | None
) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "target_id": target_id,
        "instrument_id": trade.instrument_id,
        "session_on": as_of,
        "side": trade.side,
        "quantity": trade.quantity,
        "reference_price": trade.reference_price,
        "weight_before": trade.weight_before,
        "weight_after": trade.weight_after,
        "status": "proposed",
        "reason": trade.reason,
        "expires_at": void_at,
    }


def check_orders(session: Session, *, as_of: date, book: str) -> Checked:
    """Let every pre-trade rule judge the night's proposals; verdicts are stored, refused proposals stay with theirs."""
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    rows = order_queries.recommendations_on(session, account_ids=ids, session_on=as_of, statuses=("proposed",))
    judged = order_queries.checked_recommendations(session, recommendation_ids=[row.recommendation_id for row in rows])
    by_account: dict[int, list[RecommendationRow]] = defaultdict(list)
    for row in rows:
        if row.recommendation_id not in judged:
            by_account[row.account_id].append(row)
    if not by_account:
        return Checked(passed=0, refused=0, by_rule={})
    executes_on = next_session(as_of) if is_session(as_of) else None
    switches = engaged_switches(session)
    strategies = order_queries.strategies_of(session, target_ids={row.target_id for row in rows})
    checks: list[StoredCheck] = []
    refused: list[int] = []
    passed = 0
    portfolios = read_portfolios(
        session,
        accounts=[account for account in accounts if account.account_id in by_account],
        as_of=as_of,
        instrument_ids={row.instrument_id for group in by_account.values() for row in group},
    )
    for portfolio in portfolios:
        own = by_account[portfolio.account.account_id]
        stopped = stopped_by(switches, client_id=portfolio.account.client_id, strategy=strategies.get(own[0].target_id))
        basket = make_basket(portfolio, own, as_of=as_of, executes_on=executes_on, stopped_by=stopped)
        checks += stored_checks(basket, judge_basket(basket))
        passed += len(basket.standing)
        refused += [
            proposal.recommendation_id
            for proposal in basket.proposals
            if proposal.recommendation_id not in basket.standing
        ]
    order_queries.insert_checks(session, checks=checks)
    order_queries.decide(session, recommendation_ids=refused, status="refused", decided_by=RULES)
    by_rule: dict[str, int] = defaultdict(int)
    for _, rule, rule_passed, *_ in checks:
        if not rule_passed:
            by_rule[rule] += 1
    return Checked(passed=passed, refused=len(refused), by_rule=dict(by_rule))
