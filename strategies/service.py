"""Verbs of the room: choose the night's strategy, set each account's target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from core.config import get_settings
from core.errors import DataMissing, UnknownName
from core.log import get_logger
from database.queries import accounts as account_queries
from database.queries import allocations as allocation_queries
from database.queries import targets as target_queries
from database.queries.instruments import instruments_by_id
from database.queries.regimes import find_regime
from database.queries.scores import batches_on
from database.session import Session
from database.tables import targets as rows
from database.tables.accounts import Account, Mandate
from database.tables.allocations import Allocation
from strategies.library import STRATEGIES
from strategies.mandate import Limits, Projection, project
from strategies.performance import realised_performance
from strategies.select import DWELL_SESSIONS, Candidate, Incumbent, select_strategy
from strategies.strategy import Strategy

# A choice older than this is no habit to keep: nights were left out in between.
_GAP_DAYS_MAX = 7
_log = get_logger("strategies")


@dataclass(frozen=True)
class StrategyChoice:
    """The night's pick with its reason; `evidence` holds regime, availability, performance and worth of each."""

    session_on: date
    strategy: str
    regime: str
    reason: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What one account should hold after the session; `weights` and `cash_weight` sum to one."""

    target_id: int
    account_id: int
    session_on: date
    strategy: str
    reason: str
    cash_weight: Decimal
    weights: dict[int, Decimal]
    adjustments: list[dict[str, Any]]


def find_strategy(name: str) -> Strategy:
    """The strategy called `name` (`growth_largecap`) or in short (`growth`). UnknownName lists the known ones."""
    for strategy in STRATEGIES.values():
        if name in (strategy.name, strategy.short_name):
            return strategy
    raise UnknownName("strategy", name, list(STRATEGIES))


def choose_strategy(session: Session, *, as_of: date) -> StrategyChoice:
    """Choose among the strategies that were scored and allocated on the night; what was chosen once stands.

    DataMissing when the regime has not been read, or when no strategy is available.
    """
    stored = target_queries.find_choice(session, session_on=as_of)
    if stored is None:
        stored = target_queries.add_choice(session, _select(session, as_of))
    return StrategyChoice(
        session_on=as_of,
        strategy=stored.strategy,
        regime=stored.regime,
        reason=stored.reason,
        evidence=stored.evidence,
    )


def set_targets(session: Session, *, as_of: date, book: str) -> list[Target]:
    """One target for each active account of `book` with a mandate in force; those that have one keep it.

    An account follows its preferred strategy where that is available on the night, else the chosen one, and its
    target says which and why. DataMissing when no strategy has been chosen for the night.
    """
    choice = target_queries.find_choice(session, session_on=as_of)
    if choice is None:
        raise DataMissing(f"no strategy has been chosen for {as_of}; run choose_strategy first")
    accounts = [
        account
        for account in account_queries.accounts_in_book(session, book=book, as_of=as_of)
        if account.status == "active"
    ]
    ids = [account.account_id for account in accounts]
    mandates = account_queries.mandates_on(session, account_ids=ids, as_of=as_of)
    present = target_queries.targets_on(session, session_on=as_of, account_ids=ids)
    for account in accounts:
        if account.account_id not in mandates:
            _log.warning("account without a mandate in force gets no target", account=account.name, as_of=str(as_of))
    missing = [account for account in accounts if account.account_id not in present and account.account_id in mandates]
    if missing:
        _add_targets(session, missing, mandates, choice)
        present = target_queries.targets_on(session, session_on=as_of, account_ids=ids)
    weights = target_queries.target_weights(session, target_ids=[target.target_id for target in present.values()])
    return [
        Target(
            target_id=target.target_id,
            account_id=target.account_id,
            session_on=as_of,
            strategy=target.strategy,
            reason=target.reason,
            cash_weight=target.cash_weight,
            weights=weights[target.target_id],
            adjustments=target.adjustments,
        )
        for _, target in sorted(present.items())
    ]


def _select(session: Session, as_of: date) -> rows.StrategyChoice:
    regime = find_regime(session, session_on=as_of, detector=get_settings().regime_detector)
    if regime is None:
        raise DataMissing(f"the regime of {as_of} has not been read; run detect_regime first")
    batches = batches_on(session, session_on=as_of)
    allocated = allocation_queries.allocations_on(session, session_on=as_of)
    realised = realised_performance(session, as_of=as_of, strategies=list(STRATEGIES))
    candidates = []
    for name, strategy in STRATEGIES.items():
        batch = batches.get(name)
        if batch is None:
            refusal: str | None = "it was not screened that night"
        elif batch.status == "refused":
            refusal = batch.reason
        else:
            refusal = None if name in allocated else "its stocks were not weighed that night"
        candidates.append(Candidate(strategy=strategy, refusal=refusal, realised=realised.get(name)))
    selection = select_strategy(
        candidates,
        regime=regime.label,
        probabilities=regime.probabilities,
        incumbent=_incumbent(session, as_of),
    )
    return rows.StrategyChoice(
        session_on=as_of,
        strategy=selection.strategy,
        regime=regime.label,
        reason=selection.reason,
        evidence=selection.evidence,
    )


def _incumbent(session: Session, as_of: date) -> Incumbent | None:
    """The strategy of the nights before, as long as no night was left out."""
    nights = target_queries.choices_before(session, before=as_of, limit=DWELL_SESSIONS)
    sessions, following = 0, as_of
    for night in nights:
        if (following - night.session_on).days > _GAP_DAYS_MAX or night.strategy != nights[0].strategy:
            break
        sessions, following = sessions + 1, night.session_on
    return Incumbent(nights[0].strategy, sessions, nights[0].regime) if sessions else None


def _add_targets(
    session: Session, accounts: list[Account], mandates: Mapping[int, Mandate], choice: rows.StrategyChoice
) -> None:
    allocations = allocation_queries.allocations_on(session, session_on=choice.session_on)
    weights = allocation_queries.weights_of(
        session, allocation_ids=[allocation.allocation_id for allocation in allocations.values()]
    )
    held = {instrument_id for stocks in weights.values() for instrument_id in stocks}
    sectors = {key: row.sector for key, row in instruments_by_id(session, ids=held).items()}
    restricted = account_queries.restricted_instruments(
        session, account_ids=[account.account_id for account in accounts]
    )
    targets, projections = [], []
    for account in accounts:
        mandate = mandates[account.account_id]
        name, reason = _follow(mandate, choice)
        allocation = allocations[name]
        projection = project(
            weights[allocation.allocation_id],
            sectors=sectors,
            limits=Limits(
                cash_weight_min=mandate.cash_weight_min,
                position_weight_max=mandate.position_weight_max,
                sector_weight_max=mandate.sector_weight_max,
                excluded=restricted.get(account.account_id, {}),
            ),
        )
        targets.append(_target(account, mandate, allocation, reason, projection))
        projections.append(projection.weights)
    target_queries.add_targets(session, targets, weights=projections)


def _follow(mandate: Mandate, choice: rows.StrategyChoice) -> tuple[str, str]:
    """The strategy that the account follows on the night, and why."""
    if mandate.preferred_strategy is None:
        return choice.strategy, choice.reason
    preferred = find_strategy(mandate.preferred_strategy)
    unheard = {"available": False, "refusal": "it was not known on that night"}
    finding = choice.evidence["strategies"].get(preferred.name, unheard)
    if finding["available"]:
        return preferred.name, f"the client prefers {preferred.label}"
    return (
        choice.strategy,
        f"the client prefers {preferred.label}, which is not available: {finding['refusal']}; instead {choice.reason}",
    )


def _target(
    account: Account, mandate: Mandate, allocation: Allocation, reason: str, projection: Projection
) -> rows.Target:
    return rows.Target(
        account_id=account.account_id,
        session_on=allocation.session_on,
        strategy=allocation.strategy,
        reason=reason,
        allocation_id=allocation.allocation_id,
        mandate_id=mandate.mandate_id,
        cash_weight=projection.cash_weight,
        adjustments=projection.adjustments,
    )
