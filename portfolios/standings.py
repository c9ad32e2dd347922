"""Keeps how accounts stand beside the rows that it follows from, so that lists can sort and filter by it.

Whoever moves money or holdings calls `refresh` in the same transaction; the night does it for everybody.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from clients.practice import PAPER_BOOK
from core.log import get_logger
from core.money import money, weight
from database.queries import accounts as account_queries
from database.queries import portfolios as queries
from database.queries import standings as standing_queries
from database.queries.portfolios import AccountDay, Flow
from database.session import Session
from portfolios.book import Book, Moment, Prices, read_books, unpriced
from portfolios.drift import measure_drift
from portfolios.facts import History, read_history, state_facts
from portfolios.health import assess
from portfolios.history import lay_out_flows
from quant.flows import time_weighted_returns

_log = get_logger("portfolios")
_YEAR_LOOK_BACK = timedelta(days=31)


def refresh(session: Session, *, account_ids: Collection[int], as_of: date) -> int:
    """Write anew how some accounts stand, with all that is booked, at the closes of `as_of`; returns how many.

    The number of queries does not depend on theirs. An account that holds something without any price keeps its
    standing of before: what it is worth is not known.
    """
    accounts = queries.accounts_of(session, kind="accounts", account_ids=account_ids)
    if not accounts:
        return 0
    books, prices = read_books(session, accounts=accounts, moment=Moment(as_of, date.max))
    held = {lot.instrument_id for book in books for lot in book.lots}
    planned = {key for book in books if book.plan is not None for key in book.plan.weights}
    history = read_history(session, instrument_ids=held | planned, as_of=as_of)
    moved = _read_years(session, account_ids, as_of)
    rows = []
    for book in books:
        missing = unpriced(book, prices)
        if missing:
            _log.warning("standing not known", account_id=book.account_id, instruments=sorted(missing))
        else:
            rows.append(_standing(book, prices, history, as_of) | moved.get(book.account_id, _UNMOVED))
    return standing_queries.write_standings(session, standings=rows)


def keep_standings(session: Session, *, as_of: date, book: str) -> int:
    """The night's end: the universe's returns up to `as_of` and every open account's standing; 0 for a replay."""
    if book != PAPER_BOOK:
        return 0
    newest = standing_queries.newest_universe_day(session)
    first_on = newest + timedelta(days=1) if newest is not None else standing_queries.first_valued_on(session)
    if first_on is not None and first_on <= as_of:
        standing_queries.add_universe_days(session, first_on=first_on, last_on=as_of)
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    return refresh(session, account_ids=[account.account_id for account in accounts], as_of=as_of)


def _standing(book: Book, prices: Prices, history: History, as_of: date) -> dict[str, Any]:
    drift = measure_drift(book, prices)
    score = assess(state_facts(book, prices, history)).score
    return {
        "account_id": book.account_id,
        "session_on": as_of,
        "value_usd": book.value_usd(prices),
        "cash_usd": book.cash_usd,
        "drift": drift.total,
        "off_plan_count": drift.off_count,
        "health_score": None if score is None else Decimal(str(score)),
    }


_UNMOVED: dict[str, Any] = {"day_change_usd": None, "year_return": None}


def _read_years(session: Session, account_ids: Collection[int], as_of: date) -> dict[int, dict[str, Any]]:
    """The day's gain and the year's return of each account that was valued on `as_of` and before."""
    first_on = date(as_of.year, 1, 1) - _YEAR_LOOK_BACK
    days: dict[int, list[AccountDay]] = {}
    for day in queries.account_days(session, account_ids=account_ids, first_on=first_on, until_on=as_of):
        days.setdefault(day.account_id, []).append(day)
    flows: dict[int, list[Flow]] = {}
    for flow in queries.flows_of(session, account_ids=account_ids, until_on=as_of):
        flows.setdefault(flow.account_id, []).append(flow)
    return {
        key: _year(own, flows.get(key, []), as_of)
        for key, own in days.items()
        if len(own) > 1 and own[-1].session_on == as_of
    }


def _year(days: Sequence[AccountDay], flows: Sequence[Flow], as_of: date) -> dict[str, Any]:
    base = max((row for row, day in enumerate(days) if day.session_on.year < as_of.year), default=0)
    days = days[base:]
    if len(days) < 2:
        return _UNMOVED
    values = np.array([float(day.value_usd) for day in days])
    inflows, outflows = lay_out_flows(tuple(day.session_on for day in days), flows)
    grown = float(np.prod(1.0 + time_weighted_returns(values, inflows, outflows)) - 1.0)
    change = values[-1] - values[-2] - inflows[-1] + outflows[-1]
    return {"day_change_usd": money(float(change)), "year_return": weight(grown)}
