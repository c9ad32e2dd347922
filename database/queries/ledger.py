"""The journal: appended to by natural key, summed into cash."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import insert as plain_insert
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.ledger import JournalEntry, JournalLine


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
