"""The practice as a whole: what is managed, who is off plan, how it went. Of the clients that the caller may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from core.money import ZERO, Money
from database.queries import standings as standing_queries
from database.session import Session
from database.tables.standings import AccountStanding
from portfolios.view import View

# Upper ends of the classes of drift; the last has none.
DRIFT_CLASSES = (Decimal("0.01"), Decimal("0.025"), Decimal("0.05"), Decimal("0.10"), Decimal("0.20"))


@dataclass(frozen=True)
class DriftClass:
    """How many accounts drifted by at least `from_drift` and less than `to_drift` (None: no end)."""

    from_drift: Decimal
    to_drift: Decimal | None
    accounts: int


@dataclass(frozen=True)
class Practice:
    """Sums over accounts with a standing; `unknown_accounts` have none or an old one and are in no figure.

    Where no account has one, nothing is known of the sums.
    """

    as_of: date
    clients: int
    accounts: int
    value_usd: Money | None
    cash_usd: Money | None
    day_change_usd: Money | None
    clients_off_plan: int
    accounts_drift_unknown: int
    halted_accounts: int
    unknown_accounts: int
    drift_classes: tuple[DriftClass, ...]
    health_mean: float | None


def sum_practice(session: Session, view: View) -> Practice:
    """The practice by its accounts' standings."""
    accounts = view.accounts
    found = standing_queries.standings_of(session, account_ids=[row.account_id or 0 for row in accounts])
    standings = [one for one in found.values() if one.session_on >= view.moment.as_of]
    client_of = {row.account_id: row.client_id for row in accounts}
    changes = [one.day_change_usd for one in standings if one.day_change_usd is not None]
    scored = [one for one in standings if one.health_score is not None and one.value_usd > 0]
    weight = sum((one.value_usd for one in scored), ZERO)
    is_known = bool(standings) or not accounts
    return Practice(
        as_of=view.moment.as_of,
        clients=len({row.client_id for row in view.rows}),
        accounts=len(accounts),
        value_usd=sum((one.value_usd for one in standings), ZERO) if is_known else None,
        cash_usd=sum((one.cash_usd for one in standings), ZERO) if is_known else None,
        day_change_usd=sum(changes, ZERO) if changes else None,
        clients_off_plan=len({client_of[one.account_id] for one in standings if one.off_plan_count}),
        accounts_drift_unknown=sum(one.drift is None for one in standings),
        halted_accounts=sum(row.status == "halted" for row in accounts),
        unknown_accounts=len(accounts) - len(standings),
        drift_classes=tuple(_classes(standings)),
        health_mean=float(sum((one.health_score or ZERO) * one.value_usd for one in scored) / weight)
        if weight
        else None,
    )


def _classes(standings: Sequence[AccountStanding]) -> list[DriftClass]:
    known = [one.drift for one in standings if one.drift is not None]
    bounds = [ZERO, *DRIFT_CLASSES, None]
    return [
        DriftClass(low, high, sum(low <= drift and (high is None or drift < high) for drift in known))
        for low, high in pairwise(bounds)
        if low is not None
    ]
