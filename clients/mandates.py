"""Verbs on mandates: versions of an account's limits, each from its day on."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from auth.audit import record
from clients.accounts import require_account, require_open_account
from clients.mandate import changed_limits, limits_of
from core.errors import InputError, NotFound
from database.queries import accounts as queries
from database.session import Session
from database.tables.accounts import Mandate


def mandate_of(session: Session, *, account_id: int) -> Mandate:
    """The newest version, in force already or later."""
    require_account(session, account_id=account_id)
    found = queries.newest_mandates(session, account_ids=[account_id])
    if account_id not in found:
        raise NotFound("mandate of account", account_id)
    return found[account_id]


def mandate_history(session: Session, *, account_id: int) -> list[Mandate]:
    """Every version, newest first."""
    require_account(session, account_id=account_id)
    return queries.mandate_versions(session, account_id=account_id)


def change_mandate(
    session: Session,
    *,
    account_id: int,
    effective_on: date,
    changes: Mapping[str, Any],
    known_strategies: Collection[str] = (),
    actor: str = "operator",
) -> Mandate:
    """A new version of the mandate from `effective_on` on; where nothing would change, the version that stands."""
    require_open_account(session, account_id=account_id, is_locked=True)
    standing = mandate_of(session, account_id=account_id)
    before = limits_of(standing)
    known = {*known_strategies, *([before.preferred_strategy] if before.preferred_strategy else [])}
    after = changed_limits(before, changes, known_strategies=known)
    if after == before:
        return standing
    if effective_on < standing.effective_on:
        raise InputError(
            f"effective_on is {effective_on}, before version {standing.version} of {standing.effective_on}:"
            " a mandate is changed forwards, choose a later date"
        )
    mandate = queries.add_mandate(session, account_id=account_id, effective_on=effective_on, limits=after.as_row())
    record(
        session,
        actor=actor,
        action="change",
        subject="mandate",
        subject_id=account_id,
        before={"version": standing.version, **before.as_row()},
        after={"version": mandate.version, "effective_on": effective_on, **after.as_row()},
    )
    return mandate
