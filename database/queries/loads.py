"""What was loaded: the loads themselves, rows that were refused, how new each data set is."""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import func, select, text

from database.paging import Page, read_page
from database.session import Session
from database.tables.bars import DataVintage, ImportBatch, QuarantinedBar


class Change(NamedTuple):
    """When a data set last changed, and the highest version of any of its years."""

    changed_at: datetime
    version: int


def newest_changes(session: Session) -> dict[str, Change]:
    """Data set -> its last change."""
    rows = session.execute(
        select(DataVintage.dataset, func.max(DataVintage.changed_at), func.max(DataVintage.version)).group_by(
            DataVintage.dataset
        )
    )
    return {row[0]: Change(row[1], row[2]) for row in rows}


def newest_days(session: Session, *, as_of: date) -> dict[str, date | None]:
    """Data set -> the newest day up to `as_of` that it tells of, of all but the bars."""
    row = session.execute(
        text("""
            select (select max(known_on) from macro_observations where known_on <= :as_of) as macro_series,
                   (select max(known_on) from fundamentals where known_on <= :as_of) as fundamentals,
                   (select max(ex_on) from corporate_actions where ex_on <= :as_of) as corporate_actions,
                   (select max(start_on) from index_memberships where start_on <= :as_of) as index_memberships,
                   (select max(least(last_on, :as_of)) from feature_snapshots where first_on <= :as_of) as features,
                   (select max(session_on) from regimes where session_on <= :as_of) as regimes,
                   (select max(session_on) from score_batches where session_on <= :as_of) as screens
        """),
        {"as_of": as_of},
    ).one()
    return {str(name): day for name, day in row._mapping.items()}


def page_batches(
    session: Session, *, status: str | None, source: str | None, sort: str, limit: int, cursor: str | None
) -> Page:
    """A page of the loads."""
    query = select(ImportBatch)
    if status is not None:
        query = query.where(ImportBatch.status == status)
    if source is not None:
        query = query.where(ImportBatch.source == source)
    return read_page(
        session,
        query,
        sorts={"started_at": ImportBatch.started_at.expression, "batch_id": ImportBatch.batch_id.expression},
        key=ImportBatch.batch_id.expression,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


def page_quarantine(
    session: Session,
    *,
    reason: str | None,
    symbol: str | None,
    batch_id: int | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """A page of refused rows, each with the source and file that it came in."""
    query = select(QuarantinedBar, ImportBatch.source, ImportBatch.file_name).join(
        ImportBatch, ImportBatch.batch_id == QuarantinedBar.batch_id
    )
    for column, wanted in (
        (QuarantinedBar.reason, reason),
        (QuarantinedBar.symbol, symbol),
        (QuarantinedBar.batch_id, batch_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return read_page(
        session,
        query,
        sorts={
            "quarantine_id": QuarantinedBar.quarantine_id.expression,
            "reason": QuarantinedBar.reason.expression,
            "symbol": QuarantinedBar.symbol.expression,
        },
        key=QuarantinedBar.quarantine_id.expression,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
