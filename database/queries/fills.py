"""Executions: appended once each, by the broker's own id."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.fills import Fill


def insert_fills(session: Session, *, fills: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add executions; fill ids by broker_fill_id of those that were not known before."""
    if not fills:
        return {}
    rows = session.execute(
        insert(Fill)
        .on_conflict_do_nothing(index_elements=["broker_fill_id"])
        .returning(Fill.broker_fill_id, Fill.fill_id),
        list(fills),
    )
    return {row.broker_fill_id: row.fill_id for row in rows}


def fills_of(session: Session, *, order_ids: Collection[int]) -> dict[int, list[Fill]]:
    """Executions of each order, oldest first."""
    found: dict[int, list[Fill]] = {}
    for fill in session.scalars(select(Fill).where(Fill.order_id.in_(order_ids)).order_by(Fill.fill_id)):
        found.setdefault(fill.order_id, []).append(fill)
    return found


def shares_traded_after(
    session: Session, *, account_ids: Collection[int], after_on: date
) -> dict[tuple[int, int], Decimal]:
    """Signed shares that each (account, instrument) traded on sessions after `after_on`."""
    rows = session.execute(
        text("""
            select o.account_id, o.instrument_id,
                   sum(case o.side when 'buy' then f.quantity else -f.quantity end)
            from fills f join orders o using (order_id)
            where f.session_on > :after_on and o.account_id = any(:ids)
            group by 1, 2
        """),
        {"ids": list(account_ids), "after_on": after_on},
    )
    return {(row[0], row[1]): row[2] for row in rows}
