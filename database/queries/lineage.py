"""From an order back to everything that it came from, in a handful of statements."""

from typing import Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from database.session import Session
from database.tables.accounts import Account, Mandate
from database.tables.allocations import Allocation, AllocationWeight
from database.tables.features import FeatureSnapshot
from database.tables.fills import Fill
from database.tables.households import Client
from database.tables.instruments import Instrument
from database.tables.models import ModelVersion
from database.tables.orders import Order, OrderEvent, PretradeCheck, Recommendation
from database.tables.positions import LotClosing, TaxLot
from database.tables.regimes import Regime
from database.tables.runs import Run
from database.tables.scores import Score, ScoreBatch
from database.tables.targets import StrategyChoice, Target, TargetWeight


class Chain(NamedTuple):
    """The rows that one order hangs on; None where the order has no such row."""

    order: Order
    account: Account
    client: Client
    instrument: Instrument
    recommendation: Recommendation | None
    target: Target | None
    target_weight: TargetWeight | None
    mandate: Mandate | None
    allocation: Allocation | None
    allocation_weight: AllocationWeight | None
    allocator: ModelVersion | None
    batch: ScoreBatch | None
    score: Score | None
    screener: ModelVersion | None
    choice: StrategyChoice | None


class Surroundings(NamedTuple):
    """What belongs to the order or to its night in numbers of rows."""

    events: list[OrderEvent]
    fills: list[Fill]
    lots: list[TaxLot]
    closings: list[LotClosing]
    bought_by: dict[int, int]  # lot closed by this order -> order that opened it
    checks: list[PretradeCheck]
    regimes: list[Regime]
    runs: list[Run]
    snapshots: list[FeatureSnapshot]


def find_chain(session: Session, *, order_id: int) -> Chain | None:
    """Order, recommendation, target, mandate, allocation, score and both models, in one statement."""
    allocator, screener = aliased(ModelVersion), aliased(ModelVersion)
    query = (
        select(
            Order,
            Account,
            Client,
            Instrument,
            Recommendation,
            Target,
            TargetWeight,
            Mandate,
            Allocation,
            AllocationWeight,
            allocator,
            ScoreBatch,
            Score,
            screener,
            StrategyChoice,
        )
        .join(Account, Account.account_id == Order.account_id)
        .join(Client, Client.client_id == Account.client_id)
        .join(Instrument, Instrument.instrument_id == Order.instrument_id)
        .outerjoin(Recommendation, Recommendation.recommendation_id == Order.recommendation_id)
        .outerjoin(Target, Target.target_id == Recommendation.target_id)
        .outerjoin(
            TargetWeight,
            and_(TargetWeight.target_id == Target.target_id, TargetWeight.instrument_id == Order.instrument_id),
        )
        .outerjoin(Mandate, Mandate.mandate_id == Target.mandate_id)
        .outerjoin(Allocation, Allocation.allocation_id == Target.allocation_id)
        .outerjoin(
            AllocationWeight,
            and_(
                AllocationWeight.allocation_id == Allocation.allocation_id,
                AllocationWeight.instrument_id == Order.instrument_id,
            ),
        )
        .outerjoin(allocator, allocator.model_version_id == Allocation.model_version_id)
        .outerjoin(ScoreBatch, ScoreBatch.score_batch_id == Allocation.score_batch_id)
        .outerjoin(
            Score,
            and_(Score.score_batch_id == ScoreBatch.score_batch_id, Score.instrument_id == Order.instrument_id),
        )
        .outerjoin(screener, screener.model_version_id == ScoreBatch.model_version_id)
        .outerjoin(StrategyChoice, StrategyChoice.session_on == Order.session_on)
        .where(Order.order_id == order_id)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else Chain._make(row)


def read_surroundings(session: Session, *, chain: Chain) -> Surroundings:
    """Timeline, fills with their lots, checks, regimes of the night, its runs, and the feature snapshot."""
    order = chain.order
    fills = list(session.scalars(select(Fill).where(Fill.order_id == order.order_id).order_by(Fill.fill_id)))
    fill_ids = [fill.fill_id for fill in fills]
    closings = _all(session, LotClosing, LotClosing.fill_id.in_(fill_ids), LotClosing.lot_id)
    opened = (
        select(TaxLot.lot_id, Fill.order_id)
        .join(Fill, Fill.fill_id == TaxLot.fill_id)
        .where(TaxLot.lot_id.in_([closing.lot_id for closing in closings]))
    )
    return Surroundings(
        events=_all(session, OrderEvent, OrderEvent.order_id == order.order_id, OrderEvent.event_id),
        fills=fills,
        lots=_all(session, TaxLot, TaxLot.fill_id.in_(fill_ids), TaxLot.lot_id),
        closings=closings,
        bought_by={row.lot_id: row.order_id for row in session.execute(opened)} if closings else {},
        checks=_all(
            session, PretradeCheck, PretradeCheck.recommendation_id == order.recommendation_id, PretradeCheck.rule
        ),
        regimes=_all(session, Regime, Regime.session_on == order.session_on, Regime.detector),
        runs=_all(session, Run, and_(Run.as_of == order.session_on, Run.book == chain.account.book), Run.run_id),
        snapshots=_snapshot_of(session, chain.batch),
    )


def _snapshot_of(session: Session, batch: ScoreBatch | None) -> list[FeatureSnapshot]:
    """The year's snapshot that the batch's cross-section was read from: the newest built of its data before it."""
    if batch is None:
        return []
    query = (
        select(FeatureSnapshot)
        .where(
            FeatureSnapshot.year == batch.session_on.year,
            FeatureSnapshot.data_vintage == batch.data_vintage,
            FeatureSnapshot.created_at <= batch.created_at,
        )
        .order_by(FeatureSnapshot.created_at.desc())
        .limit(1)
    )
    return list(session.scalars(query))


def newest_order_ids(session: Session, *, limit: int = 5) -> list[int]:
    """The newest orders, newest first: for whoever asked for one that does not exist."""
    return list(session.scalars(select(Order.order_id).order_by(Order.order_id.desc()).limit(limit)))


def _all(session: Session, table: Any, condition: Any, order_by: Any) -> list[Any]:
    return list(session.scalars(select(table).where(condition).order_by(order_by)))
