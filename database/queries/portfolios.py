"""What portfolios are read from, many accounts at once.

An account's `mark` moves with whatever an answer about it depends on, loaded market data included.
"""

from collections.abc import Collection
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text

from database.session import Session

_SPAN_DAYS = 400


class AccountRow(NamedTuple):
    """An account with whose it is; of a client without accounts the account's columns are None."""

    account_id: int | None
    account: str | None
    status: str | None
    halted_reason: str | None
    opened_on: date | None
    closed_on: date | None
    taxation: str | None
    client_id: int
    client: str
    risk_tolerance: str
    household_id: int
    household: str
    mark: str


class HeldLot(NamedTuple):
    """What was left of a lot on a day. `fill_on` is the session of its purchase, None for what was brought in."""

    lot_id: int
    account_id: int
    instrument_id: int
    opened_on: date
    fill_on: date | None
    quantity: Decimal
    cost_usd: Decimal


class ClosedLot(NamedTuple):
    """The part of a lot that a sale closed."""

    lot_id: int
    account_id: int
    instrument_id: int
    opened_on: date
    closed_on: date
    quantity: Decimal
    cost_usd: Decimal
    proceeds_usd: Decimal
    gain_usd: Decimal


class StockRow(NamedTuple):
    """What an instrument is called and where it belongs."""

    instrument_id: int
    symbol: str
    name: str
    sector: str | None


class TargetRow(NamedTuple):
    """The newest decision for an account."""

    target_id: int
    account_id: int
    session_on: date
    strategy: str
    cash_weight: Decimal


class RankRow(NamedTuple):
    """Where a stock stood in the served screen of a strategy; `listed` stocks have a rank."""

    strategy: str
    instrument_id: int
    rank: int
    listed: int


class Flow(NamedTuple):
    """Money or shares that came in (positive) or went out on a day, at their worth before that day."""

    account_id: int
    booked_on: date
    kind: str
    amount_usd: Decimal


class DayRow(NamedTuple):
    """The valuations of one session, summed over `accounts` accounts."""

    session_on: date
    cash_usd: Decimal
    securities_usd: Decimal
    accounts: int


class AccountDay(NamedTuple):
    """One account's value at a close."""

    account_id: int
    session_on: date
    value_usd: Decimal


class SpanRow(NamedTuple):
    """Since when an account is valued, and until when where it is closed."""

    account_id: int
    first_on: date
    closed_on: date | None


_ACCOUNTS = """
    select a.account_id, a.name, a.status, a.halted_reason, a.opened_on, a.closed_on, a.taxation,
           c.client_id, c.name, c.risk_tolerance, h.household_id, h.name,
           concat_ws(' ', a.account_id, a.xmin, c.xmin, h.xmin, acis_account_mark(a.account_id),
               (select sum(version) || ' ' || count(*) from data_vintages))
    from clients c
    join households h using (household_id)
    left join accounts a on a.client_id = c.client_id and a.book = 'paper'
    where {whose} order by h.name, c.name, c.client_id, a.account_id
"""
_WHOSE = {
    "account": "a.account_id = :id",
    "client": "c.client_id = :id",
    "household": "c.household_id = :id",
    "practice": "c.archived_at is null",
    "accounts": "a.account_id = any(:ids)",
}


def accounts_of(
    session: Session, *, kind: str, key: int | None = None, account_ids: Collection[int] = ()
) -> list[AccountRow]:
    """The firm's own accounts of an account, client or household, of everybody, or those named; if they may be seen."""
    values = {"id": key} if key is not None else {"ids": sorted(account_ids)} if kind == "accounts" else {}
    return [AccountRow._make(row) for row in session.execute(text(_ACCOUNTS.format(whose=_WHOSE[kind])), values)]


def last_bars_on(session: Session, *, as_of: date) -> date | None:
    """The newest session not after `as_of`, and not more than ten days before it, with any bar."""
    found: date | None = session.scalar(
        text("select max(session_on) from daily_bars where session_on <= :as_of and session_on > :first_on"),
        {"as_of": as_of, "first_on": as_of - timedelta(days=10)},
    )
    return found


def lots_held(session: Session, *, account_ids: Collection[int], until_on: date) -> list[HeldLot]:
    """What was left of each lot after all that is booked not after `until_on`, oldest first."""
    rows = session.execute(
        text("""
            select l.lot_id, l.account_id, l.instrument_id, l.opened_on, f.session_on,
                   l.remaining + coalesce(x.quantity, 0), l.remaining_cost_usd + coalesce(x.cost_usd, 0)
            from tax_lots l
            left join fills f on f.fill_id = l.fill_id
            left join journal_entries e on e.entry_id = l.entry_id
            left join lateral (
                select sum(quantity) as quantity, sum(cost_usd) as cost_usd from lot_closings
                where lot_id = l.lot_id and closed_on > :until_on
            ) as x on true
            where l.account_id = any(:ids) and l.opened_on <= :until_on
              and (l.entry_id is null or e.booked_on <= :until_on)
              and l.remaining + coalesce(x.quantity, 0) > 0
            order by l.account_id, l.instrument_id, l.opened_on, l.lot_id
        """),
        {"ids": sorted(account_ids), "until_on": until_on},
    )
    return [HeldLot._make(row) for row in rows]


def lots_closed(session: Session, *, account_ids: Collection[int], first_on: date, until_on: date) -> list[ClosedLot]:
    """What sales between two days closed, newest first."""
    rows = session.execute(
        text("""
            select l.lot_id, l.account_id, l.instrument_id, l.opened_on, c.closed_on, c.quantity, c.cost_usd,
                   c.proceeds_usd, c.gain_usd
            from tax_lots l join lot_closings c using (lot_id)
            where l.account_id = any(:ids) and c.closed_on between :first_on and :until_on
            order by c.closed_on desc, l.lot_id
        """),
        {"ids": sorted(account_ids), "first_on": first_on, "until_on": until_on},
    )
    return [ClosedLot._make(row) for row in rows]


def stocks_of(session: Session, *, instrument_ids: Collection[int]) -> dict[int, StockRow]:
    """Names and sectors."""
    rows = session.execute(
        text("select instrument_id, symbol, name, sector from instruments where instrument_id = any(:ids)"),
        {"ids": sorted(instrument_ids)},
    )
    return {row[0]: StockRow._make(row) for row in rows}


def newest_targets(session: Session, *, account_ids: Collection[int], as_of: date) -> dict[int, TargetRow]:
    """The newest target of each account not after `as_of`."""
    rows = session.execute(
        text("""
            select t.target_id, t.account_id, t.session_on, t.strategy, t.cash_weight
            from unnest(cast(:ids as bigint[])) as a (id)
            cross join lateral (
                select * from targets where account_id = a.id and session_on <= :as_of
                order by session_on desc limit 1
            ) as t
        """),
        {"ids": sorted(account_ids), "as_of": as_of},
    )
    return {row[1]: TargetRow._make(row) for row in rows}


def ranks_of(session: Session, *, session_on: date, instrument_ids: Collection[int]) -> list[RankRow]:
    """Ranks of some stocks in the screens that were served on a session."""
    rows = session.execute(
        text("""
            select b.strategy, s.instrument_id, s.rank, b.scored_count
            from score_batches b join scores s using (score_batch_id)
            where b.session_on = :session_on and b.lane = 'served' and s.instrument_id = any(:ids)
        """),
        {"session_on": session_on, "ids": sorted(instrument_ids)},
    )
    return [RankRow._make(row) for row in rows]


def flows_of(session: Session, *, account_ids: Collection[int], until_on: date) -> list[Flow]:
    """What came in from outside and went out, oldest first. Shares count at the last close before their day, or at
    cost where there is none."""
    rows = session.execute(
        text("""
            select e.account_id, e.booked_on, e.kind, sum(case l.ledger_account
                when 'cash' then l.amount_usd
                when 'securities' then coalesce(round((l.quantity * p.close)::numeric, 2), l.amount_usd)
                else 0 end)
            from journal_entries e join journal_lines l using (entry_id)
            left join lateral (
                select close::numeric as close from daily_bars
                where l.ledger_account = 'securities' and instrument_id = l.instrument_id
                  and session_on < e.booked_on and session_on > e.booked_on - cast(:span as integer)
                order by session_on desc limit 1
            ) as p on true
            where e.account_id = any(:ids) and e.booked_on <= :until_on
              and e.kind in ('deposit', 'withdrawal', 'transfer', 'reversal')
              and exists (select from journal_lines c where c.entry_id = e.entry_id and c.ledger_account = 'capital')
            group by e.entry_id order by e.booked_on, e.entry_id
        """),
        {"ids": sorted(account_ids), "until_on": until_on, "span": _SPAN_DAYS},
    )
    return [Flow._make(row) for row in rows]


def valued_days(
    session: Session, *, account_ids: Collection[int], until_on: date, first_on: date = date.min
) -> list[DayRow]:
    """The sums of the accounts' valuations by session."""
    rows = session.execute(
        text("""
            select session_on, sum(cash_usd), sum(securities_usd), count(*) from account_valuations
            where account_id = any(:ids) and session_on between :first_on and :until_on group by 1 order by 1
        """),
        {"ids": sorted(account_ids), "first_on": first_on, "until_on": until_on},
    )
    return [DayRow._make(row) for row in rows]


def account_days(session: Session, *, account_ids: Collection[int], first_on: date, until_on: date) -> list[AccountDay]:
    """Each account's valuations between two days, by account and session."""
    rows = session.execute(
        text("""
            select account_id, session_on, cash_usd + securities_usd from account_valuations
            where account_id = any(:ids) and session_on between :first_on and :until_on order by 1, 2
        """),
        {"ids": sorted(account_ids), "first_on": first_on, "until_on": until_on},
    )
    return [AccountDay._make(row) for row in rows]


def valued_spans(session: Session, *, account_ids: Collection[int]) -> list[SpanRow]:
    """Since when each account is valued; accounts that never were are left out."""
    rows = session.execute(
        text("""
            select a.account_id, v.session_on, a.closed_on from accounts a
            cross join lateral (
                select session_on from account_valuations where account_id = a.account_id order by session_on limit 1
            ) as v where a.account_id = any(:ids)
        """),
        {"ids": sorted(account_ids)},
    )
    return [SpanRow._make(row) for row in rows]


def index_levels(session: Session, *, series: str, first_on: date, until_on: date) -> dict[date, float]:
    """The values of a market series, by day, as known at the end."""
    rows = session.execute(
        text("""
            select observed_on, value from macro_observations
            where series = :series and observed_on between :first_on and :until_on and known_on <= :until_on
        """),
        {"series": series, "first_on": first_on, "until_on": until_on},
    )
    return {row[0]: row[1] for row in rows}


def closes_between(
    session: Session, *, instrument_ids: Collection[int], first_on: date, until_on: date
) -> dict[int, tuple[list[date], list[float]]]:
    """Sessions and closes with dividends of each instrument."""
    rows = session.execute(
        text("""
            select instrument_id, array_agg(session_on order by session_on), array_agg(adj_close order by session_on)
            from daily_bars where instrument_id = any(:ids) and session_on between :first_on and :until_on
            group by 1
        """),
        {"ids": sorted(instrument_ids), "first_on": first_on, "until_on": until_on},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


class TradeRow(NamedTuple):
    """One execution with what it cost."""

    session_on: date
    account_id: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    amount_usd: Decimal
    commission_usd: Decimal
    spread_cost_usd: Decimal
    impact_cost_usd: Decimal


def trades_between(session: Session, *, account_ids: Collection[int], after_on: date, until_on: date) -> list[TradeRow]:
    """Executions with `after_on` < session_on <= `until_on`, oldest first."""
    rows = session.execute(
        text("""
            select f.session_on, o.account_id, i.symbol, o.side, f.quantity, f.price, round(f.quantity * f.price, 2),
                   f.commission_usd, f.spread_cost_usd, f.impact_cost_usd
            from orders o join fills f using (order_id) join instruments i on i.instrument_id = o.instrument_id
            where o.account_id = any(:ids) and f.session_on > :after_on and f.session_on <= :until_on
            order by f.session_on, i.symbol, f.fill_id
        """),
        {"ids": sorted(account_ids), "after_on": after_on, "until_on": until_on},
    )
    return [TradeRow._make(row) for row in rows]


def dividends_between(session: Session, *, account_ids: Collection[int], after_on: date, until_on: date) -> Decimal:
    """Dividends credited with `after_on` < booked_on <= `until_on`."""
    found: Decimal = session.scalar(
        text("""
            select coalesce(-sum(l.amount_usd), 0) from journal_entries e join journal_lines l using (entry_id)
            where e.account_id = any(:ids) and e.booked_on > :after_on and e.booked_on <= :until_on
              and l.ledger_account = 'dividends'
        """),
        {"ids": sorted(account_ids), "after_on": after_on, "until_on": until_on},
    )
    return found
