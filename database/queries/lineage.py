"""From a recommendation or its order back to everything that it came from, in a handful of statements."""

from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, select, text
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
from database.tables.scores import Score, ScoreBatch
from database.tables.targets import StrategyChoice, Target, TargetWeight


class Chain(NamedTuple):
    """The rows that one recommendation or order hangs on; None where there is no such row."""

    order: Order | None
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

    @property
    def session_on(self) -> date:
        """The night that it is of."""
        night = self.recommendation or self.order
        assert night is not None, "a chain hangs on a recommendation, an order, or both"
        return night.session_on


class Surroundings(NamedTuple):
    """What belongs to the order or to its night in numbers of rows."""

    events: list[OrderEvent]
    fills: list[Fill]
    lots: list[TaxLot]
    closings: list[LotClosing]
    bought_by: dict[int, int]  # lot closed by this order -> order that opened it
    checks: list[PretradeCheck]
    regimes: list[Regime]
    runs: list[Row[Any]]
    snapshots: list[FeatureSnapshot]


def chain_of_order(session: Session, *, order_id: int) -> Chain | None:
    """Order, recommendation, target, mandate, allocation, score and both models, in one statement."""
    links = _select_chain().select_from(Order).outerjoin(Recommendation, _SAME_LEG)
    return _find(session, links, Order.order_id == order_id, holder=Order)


def chain_of_recommendation(session: Session, *, recommendation_id: int) -> Chain | None:
    """The same from a recommendation, whether or not it became an order."""
    links = _select_chain().select_from(Recommendation).outerjoin(Order, _SAME_LEG)
    return _find(session, links, Recommendation.recommendation_id == recommendation_id, holder=Recommendation)


_allocator, _screener = aliased(ModelVersion), aliased(ModelVersion)
_SAME_LEG = Recommendation.recommendation_id == Order.recommendation_id


def _select_chain() -> Any:
    """The columns of a chain, in the order of its fields."""
    return select(
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
        _allocator,
        ScoreBatch,
        Score,
        _screener,
        StrategyChoice,
    )


def _find(session: Session, links: Any, wanted: ColumnElement[bool], *, holder: Any) -> Chain | None:
    """`holder` is the row that is there for certain: it says which account, stock and night."""
    query = (
        links.join(Account, Account.account_id == holder.account_id)
        .join(Client, Client.client_id == Account.client_id)
        .join(Instrument, Instrument.instrument_id == holder.instrument_id)
        .outerjoin(Target, Target.target_id == Recommendation.target_id)
        .outerjoin(
            TargetWeight,
            and_(TargetWeight.target_id == Target.target_id, TargetWeight.instrument_id == holder.instrument_id),
        )
        .outerjoin(Mandate, Mandate.mandate_id == Target.mandate_id)
        .outerjoin(Allocation, Allocation.allocation_id == Target.allocation_id)
        .outerjoin(
            AllocationWeight,
            and_(
                AllocationWeight.allocation_id == Allocation.allocation_id,
                AllocationWeight.instrument_id == holder.instrument_id,
            ),
        )
        .outerjoin(_allocator, _allocator.model_version_id == Allocation.model_version_id)
        .outerjoin(ScoreBatch, ScoreBatch.score_batch_id == Allocation.score_batch_id)
        .outerjoin(
            Score,
            and_(Score.score_batch_id == ScoreBatch.score_batch_id, Score.instrument_id == holder.instrument_id),
        )
        .outerjoin(_screener, _screener.model_version_id == ScoreBatch.model_version_id)
        .outerjoin(StrategyChoice, StrategyChoice.session_on == holder.session_on)
        .where(wanted)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else Chain._make(row)


def read_surroundings(session: Session, *, chain: Chain) -> Surroundings:
    """Timeline, fills with their lots, checks, regimes of the night, its runs, and the feature snapshot."""
    order_id = None if chain.order is None else chain.order.order_id
    recommendation_id = None if chain.recommendation is None else chain.recommendation.recommendation_id
    fills: list[Fill] = [] if order_id is None else _all(session, Fill, Fill.order_id == order_id, Fill.fill_id)
    fill_ids = [fill.fill_id for fill in fills]
    closings: list[LotClosing] = []
    lots: list[TaxLot] = []
    if fill_ids:
        closings = _all(session, LotClosing, LotClosing.fill_id.in_(fill_ids), LotClosing.lot_id)
        lots = _all(session, TaxLot, TaxLot.fill_id.in_(fill_ids), TaxLot.lot_id)
    opened = (
        select(TaxLot.lot_id, Fill.order_id)
        .join(Fill, Fill.fill_id == TaxLot.fill_id)
        .where(TaxLot.lot_id.in_([closing.lot_id for closing in closings]))
    )
    return Surroundings(
        events=[]
        if order_id is None
        else _all(session, OrderEvent, OrderEvent.order_id == order_id, OrderEvent.event_id),
        fills=fills,
        lots=lots,
        closings=closings,
        bought_by={row.lot_id: row.order_id for row in session.execute(opened)} if closings else {},
        checks=_all(session, PretradeCheck, PretradeCheck.recommendation_id == recommendation_id, PretradeCheck.rule),
        regimes=_all(session, Regime, Regime.session_on == chain.session_on, Regime.detector),
        runs=_runs_of(session, chain),
        snapshots=_snapshot_of(session, chain.batch),
    )


def _runs_of(session: Session, chain: Chain) -> list[Row[Any]]:
    """The night's runs as everybody may read them: without what they tell of other clients."""
    rows = session.execute(
        text("""
            select run_id, job, status, attempt, code_commit, started_at from night_reports
            where as_of = :as_of and book = :book order by run_id
        """),
        {"as_of": chain.session_on, "book": chain.account.book},
    )
    return list(rows)


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
