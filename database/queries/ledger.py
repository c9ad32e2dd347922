"""The journal: appended to by natural key, summed into cash."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import insert as plain_insert
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.ledger import JournalEntry, JournalLine


class StatementRow(NamedTuple):
    """One entry of the journal by what it did to the cash; `cash_usd` is the sum of the others, signed."""

    entry_id: int
    booked_on: date
    kind: str
    memo: str
    symbol: str | None
    quantity: Decimal | None
    deposits_usd: Decimal
    withdrawals_usd: Decimal
    purchases_usd: Decimal
    sales_usd: Decimal
    dividends_usd: Decimal
    fees_usd: Decimal
    other_usd: Decimal
    realised_gains_usd: Decimal
    cash_usd: Decimal


def insert_entries(session: Session, *, entries: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], int]:
    """Add entries (without lines); entry ids by (account_id, source_key) of those that were not booked before."""
    if not entries:
        return {}
    rows = session.execute(
        insert(JournalEntry)
        .on_conflict_do_nothing(index_elements=["account_id", "source_key"])
        .returning(JournalEntry.account_id, JournalEntry.source_key, JournalEntry.entry_id),
        list(entries),
    )
    return {(row.account_id, row.source_key): row.entry_id for row in rows}


def insert_lines(session: Session, *, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines; at the end of the transaction the database checks that each entry sums to zero."""
    if lines:
        # With nulls written out all lines have the same columns and go in one statement.
        session.execute(plain_insert(JournalLine).execution_options(render_nulls=True), list(lines))


def booked_keys(session: Session, *, account_id: int, source_keys: Collection[str]) -> set[str]:
    """Those of `source_keys` that the account's journal holds already."""
    rows = session.execute(
        text("select source_key from journal_entries where account_id = :account_id and source_key = any(:keys)"),
        {"account_id": account_id, "keys": list(source_keys)},
    )
    return set(rows.scalars())


def entry_id_of(session: Session, *, account_id: int, source_key: str) -> int | None:
    """The number of the account's entry of that natural key."""
    found: int | None = session.scalar(
        text("select entry_id from journal_entries where account_id = :account_id and source_key = :key"),
        {"account_id": account_id, "key": source_key},
    )
    return found


def cash_on(session: Session, *, account_ids: Collection[int], until_on: date) -> dict[int, Decimal]:
    """Cash of each account by what is booked not after `until_on`.

    Starts from the newest valuation not after it: a valued session is closed, nothing is booked into it later.
    """
    rows = session.execute(
        text("""
            select a.id, coalesce(v.cash_usd, 0) + coalesce(sum(l.amount_usd), 0)
            from unnest(cast(:ids as bigint[])) as a (id)
            left join lateral (
                select session_on, cash_usd from account_valuations
                where account_id = a.id and session_on <= :until_on order by session_on desc limit 1
            ) as v on true
            left join journal_entries e on e.account_id = a.id and e.booked_on <= :until_on
                and e.booked_on > coalesce(v.session_on, '-infinity')
            left join journal_lines l on l.entry_id = e.entry_id and l.ledger_account = 'cash'
            group by a.id, v.cash_usd
        """),
        {"ids": sorted(account_ids), "until_on": until_on},
    )
    return {row[0]: row[1] for row in rows}


def cash_before(session: Session, *, account_id: int, on: date) -> Decimal:
    """Cash of an account by everything booked before a day."""
    cash: Decimal = session.execute(
        text("""
            select coalesce(sum(l.amount_usd), 0)::numeric(20, 2)
            from journal_entries e join journal_lines l using (entry_id)
            where e.account_id = :account_id and e.booked_on < :on and l.ledger_account = 'cash'
        """),
        {"account_id": account_id, "on": on},
    ).scalar_one()
    return cash


def statement_rows(
    session: Session, *, account_id: int, from_on: date, to_on: date, limit: int
) -> Sequence[StatementRow]:
    """What was booked between two days, in the order of booking: each entry's cash, split by what it was for.

    Of a fill the notional counts as purchase or sale and the commission as fee.
    """
    rows = session.execute(
        text("""
            with entries as (
                select entry_id, booked_on, kind, memo from journal_entries
                where account_id = :account_id and booked_on between :from_on and :to_on
                order by booked_on, entry_id limit :limit
            ), sums as (
                select l.entry_id, max(l.instrument_id) as instrument_id,
                       count(distinct l.instrument_id) as instruments,
                       sum(l.quantity) as quantity,
                       coalesce(sum(l.amount_usd) filter (where l.ledger_account = 'cash'), 0) as cash,
                       coalesce(sum(l.amount_usd) filter (where l.ledger_account = 'commissions'), 0) as fees,
                       coalesce(sum(l.amount_usd) filter (where l.ledger_account = 'realised_gains'), 0) as gains
                from entries join journal_lines l using (entry_id) group by 1
            )
            select e.entry_id, e.booked_on, e.kind, e.memo,
                   case when s.instruments = 1 then i.symbol end,
                   case when s.instruments = 1 then s.quantity end,
                   case when e.kind = 'deposit' then s.cash else 0 end,
                   case when e.kind = 'withdrawal' then -s.cash else 0 end,
                   case when e.kind = 'fill' and s.quantity > 0 then -s.cash - s.fees else 0 end,
                   case when e.kind = 'fill' and s.quantity < 0 then s.cash + s.fees else 0 end,
                   case when e.kind = 'dividend' then s.cash else 0 end,
                   case when e.kind = 'fill' then s.fees else 0 end,
                   case when e.kind in ('split', 'transfer', 'reversal') then s.cash else 0 end,
                   -s.gains, s.cash
            from entries e join sums s using (entry_id)
            left join instruments i on i.instrument_id = s.instrument_id
            order by e.booked_on, e.entry_id
        """),
        {"account_id": account_id, "from_on": from_on, "to_on": to_on, "limit": limit},
    )
    return [StatementRow._make(row) for row in rows]


def trial_balance(session: Session, *, account_id: int) -> dict[str, Decimal]:
    """Sum of each ledger account over the whole journal of one account; together they are zero."""
    rows = session.execute(
        text("""
            select l.ledger_account, sum(l.amount_usd)
            from journal_entries e join journal_lines l using (entry_id)
            where e.account_id = :account_id group by 1 order by 1
        """),
        {"account_id": account_id},
    )
    return {row[0]: row[1] for row in rows}
