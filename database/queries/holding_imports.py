"""Imports of holdings: what a file would change, and whether it was booked."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, text, update

from database.paging import Page, read_page
from database.session import Session
from database.tables.accounts import Account
from database.tables.holding_imports import HoldingImport
from database.tables.households import Client


def add_import(session: Session, brought: HoldingImport) -> HoldingImport:
    """Store a file that was looked at; earlier ones of the account that were not booked are out of date."""
    session.execute(
        update(HoldingImport)
        .where(HoldingImport.account_id == brought.account_id, HoldingImport.status == "previewed")
        .values(status="superseded")
    )
    session.add(brought)
    session.flush()
    return brought


def find_import(session: Session, *, import_id: int, is_locked: bool = False) -> HoldingImport | None:
    """One import; locked until the transaction ends where it is about to be booked or undone."""
    return session.get(HoldingImport, import_id, with_for_update=is_locked, populate_existing=is_locked)


def set_status(session: Session, *, brought: HoldingImport, status: str, values: Mapping[str, datetime]) -> None:
    """Note that the import was booked or undone."""
    brought.status = status
    for column, value in values.items():
        setattr(brought, column, value)
    session.flush()


def applied_before(session: Session, *, account_id: int, content_sha256: str) -> int | None:
    """The account's import of the very same file that stands booked."""
    return session.scalar(
        select(HoldingImport.holding_import_id)
        .where(
            HoldingImport.account_id == account_id,
            HoldingImport.content_sha256 == content_sha256,
            HoldingImport.status == "applied",
        )
        .limit(1)
    )


def page_imports(
    session: Session,
    *,
    account_id: int | None,
    client_id: int | None,
    statuses: Collection[str],
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """Imports without their rows, each with its counts."""
    query = _imports()
    if account_id is not None:
        query = query.where(HoldingImport.account_id == account_id)
    if client_id is not None:
        query = query.where(Account.client_id == client_id)
    if statuses:
        query = query.where(HoldingImport.status.in_(statuses))
    sorts: dict[str, ColumnElement[Any]] = {
        "created_at": HoldingImport.created_at.expression,
        "client": Client.name.expression,
    }
    key = HoldingImport.holding_import_id.expression
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def import_row(session: Session, *, import_id: int) -> Row[Any] | None:
    """One import as the list shows it."""
    return session.execute(_imports().where(HoldingImport.holding_import_id == import_id)).one_or_none()


def _imports() -> Select[Any]:
    brought = HoldingImport
    columns: list[Any] = [
        brought.holding_import_id,
        brought.account_id,
        Account.name.label("account"),
        Account.client_id,
        Client.name.label("client"),
        brought.file_name,
        brought.status,
        brought.changes["mode"].as_string().label("mode"),
        brought.changes["counts"].label("counts"),
        brought.created_by,
        brought.created_at,
        brought.applied_at,
        brought.undone_at,
    ]
    return (
        select(*columns)
        .join(Account, Account.account_id == brought.account_id)
        .join(Client, Client.client_id == Account.client_id)
    )


def rows_of_import(
    session: Session, *, import_id: int, status: str | None, after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Rows of the file behind line `after`, in their order: those of one status where given."""
    rows = session.execute(
        text("""
            select r.row
            from holding_imports h cross join lateral jsonb_array_elements(h.rows) as r (row)
            where h.holding_import_id = :import_id and (r.row ->> 'number')::int > :after
              and (cast(:status as text) is null or r.row ->> 'status' = :status)
            order by (r.row ->> 'number')::int limit :limit
        """),
        {"import_id": import_id, "status": status, "after": after, "limit": limit},
    )
    return list(rows.scalars())
