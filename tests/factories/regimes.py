"""Builders of a night on which strategies can be chosen: regime, screens, allocations."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from database.queries.allocations import add_allocations
from database.tables.allocations import Allocation
from database.tables.models import ModelVersion
from database.tables.regimes import LABELS, Regime
from database.tables.scores import ScoreBatch
from tests.factories.models import create_model
from tests.factories.scores import create_batch


def create_regime(session: Session, *, session_on: date, label: str = "bull", detector: str = "rules") -> Regime:
    """A reading that is sure of its label."""
    regime = Regime(
        session_on=session_on,
        detector=detector,
        label=label,
        raw_label=label,
        probabilities={name: 1.0 if name == label else 0.0 for name in LABELS},
        drivers={},
        detector_version=f"{detector} 1",
        data_vintage={},
    )
    session.add(regime)
    session.flush()
    return regime


def create_screen(
    session: Session, *, session_on: date, strategy: str, instrument_ids: Sequence[int], lane: str = "served"
) -> ScoreBatch:
    """The strategy's scored batch of the night, best stock first; the year's model is made where it is not there."""
    model = session.scalar(
        select(ModelVersion).where(
            ModelVersion.kind == "screener", ModelVersion.strategy == strategy, ModelVersion.valid_to_on > session_on
        )
    )
    return create_batch(
        session,
        session_on=session_on,
        strategy=strategy,
        instrument_ids=instrument_ids,
        lane=lane,
        model=model or create_model(session, strategy=strategy, year=session_on.year),
    )


def create_weighed_screen(
    session: Session, *, session_on: date, strategy: str, instrument_ids: Sequence[int], cash_weight: str = "0.04"
) -> int:
    """The same with an equal-weight allocation over its stocks; returns allocation_id."""
    batch = create_screen(session, session_on=session_on, strategy=strategy, instrument_ids=instrument_ids)
    weight = ((1 - Decimal(cash_weight)) / len(instrument_ids)).quantize(Decimal("0.00000001"))
    allocation = Allocation(
        lane="served",
        session_on=session_on,
        strategy=strategy,
        allocator="equal_weight",
        reason="made for a test",
        model_version_id=None,
        score_batch_id=batch.score_batch_id,
        regime="bull",
        cash_weight=1 - weight * len(instrument_ids),
        diagnostics={},
    )
    return add_allocations(session, [allocation], weights=[dict.fromkeys(instrument_ids, weight)])[strategy, "served"]
