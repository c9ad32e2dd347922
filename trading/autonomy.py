"""Which accounts trade by themselves, within which limits: settings, pause, resume, and the night at hand."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from auth.audit import record
from clients.practice import practice_date
from core.clock import now, today_in_new_york
from core.errors import DataMissing, InputError, NotFound, Refused
from database.queries import accounts as queries
from database.queries.quotes import has_bars
from database.session import Session
from database.tables.accounts import AutonomousSetting
from market_data.calendars import is_session, next_session


def change_settings(session: Session, *, account_id: int, changes: Mapping[str, Any], actor: str) -> None:
    """Set `enabled`, `orders_max` or `traded_usd_max`; what is not named stays. NotFound; Refused for a closed account.

    A limit of None is no limit. A pause stays a pause, whatever else is changed.
    """
    _require_open(session, account_id)
    before = _state(queries.find_autonomous_setting(session, account_id=account_id))
    after = {**before, **changes}
    if after == before:
        return
    if after["enabled"] != before["enabled"]:
        queries.set_autonomous(
            session,
            account_id=account_id,
            enabled=after["enabled"],
            paused_at=before["paused_at"],
            paused_reason=before["paused_reason"],
        )
    queries.set_autonomous_limits(
        session, account_id=account_id, orders_max=after["orders_max"], traded_usd_max=after["traded_usd_max"]
    )
    record(
        session, actor=actor, action="change", subject="autonomous", subject_id=account_id, before=before, after=after
    )


def pause(session: Session, *, account_id: int, reason: str, actor: str) -> None:
    """Let nothing be traded without a person until somebody resumes it. Refused where it is paused, or not on."""
    _require_open(session, account_id)
    before = _state(queries.find_autonomous_setting(session, account_id=account_id))
    if not reason.strip():
        raise InputError("reason is empty: say why, those who come later will ask")
    if not before["enabled"]:
        raise Refused(f"account {account_id} does not trade by itself: there is nothing to pause")
    if before["paused_at"] is not None:
        raise Refused(f"account {account_id} is paused since {before['paused_at']:%Y-%m-%d}: {before['paused_reason']}")
    reason = reason.strip()
    queries.set_autonomous(session, account_id=account_id, enabled=True, paused_at=now(), paused_reason=reason)
    after = {"paused_reason": reason}
    record(session, actor=actor, action="pause", subject="autonomous", subject_id=account_id, after=after)


def resume(session: Session, *, account_id: int, actor: str) -> None:
    """Let it trade by itself again. Refused where it is not paused."""
    _require_open(session, account_id)
    before = _state(queries.find_autonomous_setting(session, account_id=account_id))
    if before["paused_at"] is None:
        raise Refused(f"account {account_id} is not paused: there is nothing to resume")
    queries.set_autonomous(
        session, account_id=account_id, enabled=before["enabled"], paused_at=None, paused_reason=None
    )
    record(session, actor=actor, action="resume", subject="autonomous", subject_id=account_id, before=before)


def night_to_run(session: Session) -> date:
    """The session whose night can be run now: today's where its bars are there, else the next that the book has not
    lived. DataMissing where neither has bars: a night without prices decides nothing."""
    today = today_in_new_york()
    if is_session(today) and has_bars(session, session_on=today):
        return today
    following = next_session(practice_date(session))
    if not has_bars(session, session_on=following):
        raise DataMissing(
            f"there are no bars of {following}, the next session of the book: wait for them, or import them first"
        )
    return following


def _state(setting: AutonomousSetting | None) -> dict[str, Any]:
    names = ("enabled", "orders_max", "traded_usd_max", "paused_at", "paused_reason")
    return {name: getattr(setting, name) if setting else (False if name == "enabled" else None) for name in names}


def _require_open(session: Session, account_id: int) -> None:
    account = queries.find_account(session, account_id=account_id)
    if account is None:
        raise NotFound("account", account_id)
    if account.status == "closed":
        raise Refused(f"account {account_id} is closed: nothing is traded in it")
