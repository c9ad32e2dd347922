"""Verbs on mandates: versions of an account's limits, each from its day on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from auth.audit import record
from clients.accounts import require_account, require_open_account
from clients.mandate import Breach, Held, Limits, changed_limits, find_breaches, limits_of
from core.errors import InputError, NotFound
from core.money import ZERO, money, price
from database.queries import accounts as queries
from database.queries import ledger, positions
from database.queries.quotes import quoted_instruments
from database.session import Session
from database.tables.accounts import Mandate


@dataclass(frozen=True)
class Preview:
    """What a change of a mandate would mean for the account as it stands."""

    version: int
    limits: Limits
    is_change: bool
    breaches_now: list[Breach]
    breaches_then: list[Breach]
    priced_on: date


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
    after = _changed(before, changes, known_strategies)
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


def preview_mandate(
    session: Session,
    *,
    account_id: int,
    changes: Mapping[str, Any],
    known_strategies: Collection[str],
    as_of: date,
) -> Preview:
    """What `change_mandate` would do, and which limits the account breaks now and would break then. Writes nothing."""
    standing = mandate_of(session, account_id=account_id)
    before = limits_of(standing)
    after = _changed(before, changes, known_strategies)
    cash_usd = ledger.cash_on(session, account_ids=[account_id], until_on=date.max)[account_id]
    shares = positions.positions_of(session, account_ids=[account_id])[account_id]
    holdings = held_of(
        session,
        account_id=account_id,
        quantities={key: holding.quantity for key, holding in shares.items()},
        as_of=as_of,
    )
    return Preview(
        version=standing.version + (after != before),
        limits=after,
        is_change=after != before,
        breaches_now=find_breaches(before, cash_usd=cash_usd, holdings=holdings),
        breaches_then=find_breaches(after, cash_usd=cash_usd, holdings=holdings),
        priced_on=as_of,
    )


def held_of(session: Session, *, account_id: int, quantities: Mapping[int, Decimal], as_of: date) -> list[Held]:
    """Shares by instrument as an account's limits see them, at closes not after `as_of`; without a price: nothing."""
    if not quantities:
        return []
    restricted = queries.restricted_instruments(session, account_ids=[account_id]).get(account_id, {})
    return [
        Held(
            symbol=row.symbol,
            sector=row.sector,
            value_usd=ZERO if row.close is None else money(quantities[row.instrument_id] * price(row.close)),
            restriction=restricted.get(row.instrument_id),
        )
        for row in quoted_instruments(session, as_of=as_of, ids=quantities)
    ]


def _changed(before: Limits, changes: Mapping[str, Any], known_strategies: Collection[str]) -> Limits:
    known = {*known_strategies, *([before.preferred_strategy] if before.preferred_strategy else [])}
    return changed_limits(before, changes, known_strategies=known)
