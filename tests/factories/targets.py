"""Builders of what the other specialists leave for trading: allocations and targets."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from database.tables.accounts import Account, Mandate
from database.tables.allocations import Allocation, AllocationWeight
from database.tables.models import ModelVersion
from database.tables.targets import StrategyChoice, Target, TargetWeight
from tests.factories.scores import create_batch

STRATEGY = "momentum_largecap"


def create_allocation(session: Session, *, session_on: date, weights: Mapping[int, Decimal]) -> Allocation:
    """The night's allocation of one strategy with its score batch; the one that is there already, where one is."""
    standing = session.scalar(
        select(Allocation).where(Allocation.session_on == session_on, Allocation.strategy == STRATEGY)
    )
    if standing is not None:
        return standing
    model = session.scalar(
        select(ModelVersion).where(ModelVersion.strategy == STRATEGY, ModelVersion.valid_from_on <= session_on)
    )
    batch = create_batch(session, session_on=session_on, strategy=STRATEGY, instrument_ids=sorted(weights), model=model)
    allocation = Allocation(
        lane="served",
        session_on=session_on,
        strategy=STRATEGY,
        allocator="equal_weight",
        reason="the only one in this test",
        score_batch_id=batch.score_batch_id,
        regime="bull",
        cash_weight=1 - sum(weights.values()),
        diagnostics={},
    )
    choice = StrategyChoice(
        session_on=session_on, strategy=STRATEGY, regime="bull", reason="the only one in this test", evidence={}
    )
    session.add_all([allocation, choice])
    session.flush()
    session.add_all(
        AllocationWeight(allocation_id=allocation.allocation_id, instrument_id=key, weight=value)
        for key, value in weights.items()
    )
    session.flush()
    return allocation


def create_target(session: Session, account: Account, *, session_on: date, weights: Mapping[int, Decimal]) -> Target:
    """What `account` should hold after `session_on`, under its newest mandate."""
    allocation = create_allocation(session, session_on=session_on, weights=weights)
    mandate_id = session.scalars(
        select(Mandate.mandate_id).where(Mandate.account_id == account.account_id).order_by(Mandate.version.desc())
    ).first()
    assert mandate_id is not None, "create the mandate first"
    target = Target(
        account_id=account.account_id,
        session_on=session_on,
        strategy=STRATEGY,
        reason="the only one in this test",
        allocation_id=allocation.allocation_id,
        mandate_id=mandate_id,
        cash_weight=1 - sum(weights.values()),
        adjustments=[],
    )
    session.add(target)
    session.flush()
    session.add_all(
        TargetWeight(target_id=target.target_id, instrument_id=key, weight=value) for key, value in weights.items()
    )
    session.flush()
    return target


def equal_weights(instrument_ids: list[int], *, invested: str = "0.9") -> dict[int, Decimal]:
    """The same weight for each, `invested` in all."""
    each = (Decimal(invested) / len(instrument_ids)).quantize(Decimal("0.00000001"))
    return dict.fromkeys(instrument_ids, each)
