"""Pages of a list by keyset: each row on exactly one page, whatever is added meanwhile."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    SQLColumnExpression,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from core.errors import InputError
from database.session import Session

__all__ = ["COUNTED_MAX", "Page", "Row", "read_page"]

COUNTED_MAX = 10_000


@dataclass(frozen=True)
class Page:
    """Rows, the cursor of the page after (None on the last), and how many there are in all.

    `total` is counted on the first page only, and None above COUNTED_MAX: nobody waits for a count of millions.
    """

    rows: Sequence[Row[Any]]
    next: str | None
    total: int | None


def read_page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    *,
    sorts: Mapping[str, SQLColumnExpression[Any]],
    key: SQLColumnExpression[Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of `query` (without order or limit), sorted by a name of `sorts`, `-` before it for descending.

    `key` is unique and breaks ties; rows without a value come last either way. InputError for another sort,
    and for a cursor that is not ours or belongs to another sort.
    """
    name = sort.removeprefix("-")
    if name not in sorts:
        known = ", ".join(sorted(sorts))
        raise InputError(f"sort {sort!r} is not one of {known}, or one of these with - before it")
    descending, column = sort.startswith("-"), sorts[name]
    order, after = (column.desc(), key.desc()) if descending else (column.asc(), key.asc())
    if _may_be_null(column, key):
        order = order.nulls_last()  # said without need it would keep the database from walking an index backwards
    page = query
    if cursor is not None:
        page = page.where(_beyond(column, key, descending, *_read(cursor, sort, column, key)))
    if len(query.columns_clause_froms) > 1:
        # First whose rows, then what stands beside them: what a list only shows is joined to a page, not to all.
        chosen = page.with_only_columns(key).order_by(order, after).limit(limit + 1).correlate(None)
        page = query.where(key.in_(chosen))
    else:
        page = page.limit(limit + 1)
    shown = page.add_columns(column.label("sort_value"), key.label("sort_key")).order_by(order, after)
    rows = session.execute(shown).all()
    more = len(rows) > limit
    rows = rows[:limit]
    total = None
    if cursor is None:
        total = _count(session, query) if more else len(rows)
    return Page(rows, _write(sort, rows[-1]) if more else None, total)


def _may_be_null(column: SQLColumnExpression[Any], key: SQLColumnExpression[Any]) -> bool:
    """Whether a row may lack the value: not in a column of the key's own table that takes none."""
    element, own = getattr(column, "expression", column), getattr(key, "expression", key)
    if not isinstance(element, Column) or not isinstance(own, Column):
        return True
    return bool(element.nullable) or element.table.description != own.table.description


def _beyond(
    column: SQLColumnExpression[Any], key: SQLColumnExpression[Any], descending: bool, value: Any, last: Any
) -> ColumnElement[bool]:
    if not _may_be_null(column, key):
        here, there = (
            tuple_(column, key),
            tuple_(literal(value, cast(Any, column).type), literal(last, cast(Any, key).type)),
        )
        return here < there if descending else here > there
    later = key < last if descending else key > last
    if value is None:
        return and_(column.is_(None), later)
    further = column < value if descending else column > value
    return or_(further, and_(column == value, later), column.is_(None))


def _count(session: Session, query: Select[*tuple[Any, ...]]) -> int | None:
    counted = session.scalar(select(func.count()).select_from(query.limit(COUNTED_MAX + 1).subquery()))
    return counted if counted is not None and counted <= COUNTED_MAX else None


def _write(sort: str, row: Row[Any]) -> str:
    content = json.dumps([sort, _plain(row.sort_value), _plain(row.sort_key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value


def _read(cursor: str, sort: str, column: SQLColumnExpression[Any], key: SQLColumnExpression[Any]) -> tuple[Any, Any]:
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        written, value, last = content
        found = (_typed(value, column), _typed(last, key))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError("cursor is not one of ours: take `next` of the page before, or leave it out") from error
    if written != sort or found[1] is None:
        raise InputError("cursor belongs to a list of another order: start again without it")
    return found


def _typed(value: Any, column: SQLColumnExpression[Any]) -> Any:
    """The value as the column's own type, so that a cursor cannot smuggle in another."""
    if value is None:
        return None
    kind = cast(ColumnElement[Any], column).type.python_type
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is date:
        return date.fromisoformat(value)
    if kind is Decimal:
        return Decimal(str(value))
    if kind is UUID:
        return UUID(str(value))
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
