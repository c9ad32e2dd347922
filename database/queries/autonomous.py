"""Accounts that trade by themselves, as people see them: settings, and what the last night did with them."""

from datetime import date
from typing import Any

from sqlalchemy import Row, and_, case, func, or_, select

from database.paging import Page, read_page
from database.session import Session
from database.tables.accounts import Account, AutonomousSetting
from database.tables.households import Client
from database.tables.orders import Recommendation

MODES = ("automatic", "paused", "off")


def page_of_accounts(
    session: Session,
    *,
    session_on: date,
    mode: str | None,
    client_id: int | None,
    search: str | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """Open accounts with their settings and what became of the night's proposals; never a replay's."""
    query = _settings(session_on)
    if mode is not None:
        query = query.where(_MODE.in_([mode]))
    if client_id is not None:
        query = query.where(Account.client_id == client_id)
    if search:
        query = query.where(
            or_(Client.name.icontains(search, autoescape=True), Account.name.icontains(search, autoescape=True))
        )
    sorts: dict[str, Any] = {"client": Client.name, "mode": _MODE, "changed_at": AutonomousSetting.changed_at}
    key: Any = Account.account_id
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def find_shown(session: Session, *, account_id: int, session_on: date) -> Row[Any] | None:
    """One account as the list shows it."""
    found: Row[Any] | None = session.execute(
        _settings(session_on).where(Account.account_id == account_id)
    ).one_or_none()
    return found


def count_modes(session: Session) -> dict[str, int]:
    """How many of the open accounts are in each mode."""
    query: Any = (
        select(_MODE, func.count())
        .select_from(Account)
        .outerjoin(AutonomousSetting, AutonomousSetting.account_id == Account.account_id)
        .where(Account.status != "closed", Account.kind != "replay")
        .group_by(_MODE)
    )
    counted = {row[0]: row[1] for row in session.execute(query)}
    return {mode: counted.get(mode, 0) for mode in MODES}


_MODE: Any = case(
    (and_(AutonomousSetting.enabled, AutonomousSetting.paused_at.is_(None)), "automatic"),
    (AutonomousSetting.enabled, "paused"),
    else_="off",
)


def _settings(session_on: date) -> Any:
    def decided(status: str, *by: Any) -> Any:
        return (
            select(func.count())
            .where(
                Recommendation.account_id == Account.account_id,
                Recommendation.session_on == session_on,
                Recommendation.status == status,
                *by,
            )
            .scalar_subquery()
        )

    traded = (
        select(func.coalesce(func.sum(Recommendation.quantity * Recommendation.reference_price), 0))
        .where(
            Recommendation.account_id == Account.account_id,
            Recommendation.session_on == session_on,
            Recommendation.status == "approved",
            Recommendation.decided_by == "autonomous",
        )
        .scalar_subquery()
    )
    return (
        select(
            Account.account_id,
            Account.name.label("account"),
            Account.client_id,
            Client.name.label("client"),
            Account.status,
            _MODE.label("mode"),
            func.coalesce(AutonomousSetting.enabled, False).label("is_enabled"),
            AutonomousSetting.paused_at,
            AutonomousSetting.paused_reason,
            AutonomousSetting.orders_max,
            AutonomousSetting.traded_usd_max,
            AutonomousSetting.changed_at,
            decided("approved", Recommendation.decided_by == "autonomous").label("approved"),
            decided("proposed").label("waiting"),
            decided("refused").label("refused"),
            traded.label("traded_usd"),
        )
        .select_from(Account)
        .join(Client, Client.client_id == Account.client_id)
        .outerjoin(AutonomousSetting, AutonomousSetting.account_id == Account.account_id)
        .where(Account.status != "closed", Account.kind != "replay")
    )
