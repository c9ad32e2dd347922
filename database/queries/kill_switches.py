"""The kill switches: engaged, released, read; and the turn that senders and switchers take."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from core.clock import now
from database.paging import Page, read_page
from database.session import Session
from database.tables.households import Client
from database.tables.kill_switches import KillSwitch

_TURN = "hashtextextended('acis:kill_switches', 0)"
_LOCK_NOT_AVAILABLE = "55P03"


class Leaving(NamedTuple):
    """What decides whether an order may leave: whose it is, of which strategy, until when, and whether it is wanted."""

    order_id: int
    client_order_id: str
    account_id: int
    client_id: int
    strategy: str | None
    expires_at: datetime | None
    cancel_asked_by: str | None


def engaged_switches(session: Session) -> list[KillSwitch]:
    """The switches that are on now, oldest first."""
    query = select(KillSwitch).where(KillSwitch.released_at.is_(None)).order_by(KillSwitch.kill_switch_id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def engage(
    session: Session, *, scope: str, client_id: int | None, strategy: str | None, reason: str, engaged_by: str
) -> int | None:
    """Throw a switch; its number, or None where it is on already."""
    return session.scalar(
        insert(KillSwitch)
        .values(
            scope=scope,
            client_id=client_id,
            strategy=strategy,
            reason=reason,
            engaged_by=engaged_by,
            engaged_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(KillSwitch.kill_switch_id)
    )


def find_switch(session: Session, *, kill_switch_id: int, is_locked: bool = False) -> KillSwitch | None:
    """One throw of a switch; locked until the transaction ends where it is about to be released."""
    return session.get(KillSwitch, kill_switch_id, with_for_update=is_locked, populate_existing=True)


def release(session: Session, *, kill_switch_id: int, released_by: str, reason: str) -> None:
    """Let orders under it leave again."""
    session.execute(
        update(KillSwitch)
        .where(KillSwitch.kill_switch_id == kill_switch_id, KillSwitch.released_at.is_(None))
        .values(released_by=released_by, released_at=now(), release_reason=reason)
    )


def page_of_switches(session: Session, *, engaged: bool | None, sort: str, limit: int, cursor: str | None) -> Page:
    """Throws of switches with the client's name, those that are on or off where asked."""
    query: Any = select(KillSwitch, Client.name.label("client")).outerjoin(
        Client, Client.client_id == KillSwitch.client_id
    )
    if engaged is not None:
        query = query.where(KillSwitch.released_at.is_(None) if engaged else KillSwitch.released_at.is_not(None))
    sorts: dict[str, Any] = {"engaged_at": KillSwitch.engaged_at, "scope": KillSwitch.scope}
    key: Any = KillSwitch.kill_switch_id
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def take_turn_to_send(session: Session) -> None:
    """Until this transaction ends no switch is thrown unseen: senders share the turn, a switcher waits for them."""
    session.execute(text(f"select pg_advisory_xact_lock_shared({_TURN})"))


def take_turn_to_switch(session: Session, *, wait_ms: int) -> bool:
    """Wait until nobody is sending; False where somebody still is after `wait_ms`."""
    try:
        with session.begin_nested():
            session.execute(text("select set_config('lock_timeout', :wait, true)"), {"wait": f"{wait_ms}ms"})
            session.execute(text(f"select pg_advisory_xact_lock({_TURN})"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    session.execute(text("select set_config('lock_timeout', '0', true)"))
    return True


class Waiting(NamedTuple):
    """An approved order that was not sent yet."""

    order_id: int
    account_id: int
    client_id: int
    strategy: str | None
    session_on: date
    book: str


def waiting_orders(session: Session) -> list[Waiting]:
    """Approved orders that no broker has, by number; never a replay's."""
    rows = session.execute(
        text("""
            select o.order_id, o.account_id, a.client_id, t.strategy, o.session_on, a.book
            from orders o join accounts a using (account_id)
            left join recommendations r using (recommendation_id)
            left join targets t using (target_id)
            where o.state = 'intent' and a.kind <> 'replay' order by o.order_id
        """)
    )
    return [Waiting._make(row) for row in rows]


def leaving(session: Session, *, client_order_ids: Collection[str]) -> dict[str, Leaving]:
    """What is to be known of orders before they leave, by our id."""
    rows = session.execute(
        text("""
            select o.order_id, o.client_order_id, o.account_id, a.client_id, t.strategy, r.expires_at,
                   case when o.cancel_asked_at is not null then coalesce(o.cancel_asked_by, 'somebody') end
            from orders o join accounts a using (account_id)
            left join recommendations r using (recommendation_id)
            left join targets t using (target_id)
            where o.client_order_id = any(:ids)
        """),
        {"ids": list(client_order_ids)},
    )
    return {row.client_order_id: Leaving._make(row) for row in rows}
