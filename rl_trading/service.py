"""What doors and upper rooms ask of the allocator at night. Nothing here loads torch: policies are ONNX graphs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from core.config import get_settings
from core.errors import DataMissing
from database.queries import allocations as queries
from database.queries.models import valid_models
from database.queries.regimes import find_regime
from database.queries.scores import batches_on
from database.session import Session
from database.tables import allocations as tables
from features.service import cross_section
from rl_trading.night import Chooser, Decision, Portfolio, decide, hold, lay_out
from rl_trading.prices import past_prices
from rl_trading.windows import STOCKS

__all__ = ["Allocation", "allocate_night"]

# What was decided longer ago than this is no portfolio of today's: the strategy starts from cash.
_FORGOTTEN_DAYS = 14


@dataclass(frozen=True)
class Allocation:
    """One strategy's weights of one night; with `cash_weight` the weights by instrument_id sum to exactly one.

    `score_batch_id` is the batch that the weights were decided from: that of the night, or of the one held since.
    """

    allocation_id: int
    session_on: date
    strategy: str
    allocator: str
    reason: str
    model_version_id: int | None
    score_batch_id: int
    regime: str
    cash_weight: Decimal
    weights: Mapping[int, Decimal]


def allocate_night(session: Session, *, as_of: date) -> list[Allocation]:
    """Weigh the best fifty stocks of every strategy that was scored on the session `as_of`, and store the weights.

    A strategy decides once in `REBALANCE_SESSIONS` sessions, as its allocator was judged, and holds in between. The
    policy weighs where the fold that is valid on that date won its validation, else the best simple allocator of
    that validation, else inverse volatility; `reason` says which and why. What is stored for the night already stands.
    Raises DataMissing (no scores, features, regime or bars of that session) and IntegrityBroken (a policy that is not
    what was registered).
    """
    batches = batches_on(session, session_on=as_of)
    scored = {strategy: batch.score_batch_id for strategy, batch in batches.items() if batch.status == "scored"}
    if not batches:
        raise DataMissing(f"no scores of {as_of}; the screeners must run first: acis screen --as-of {as_of}")
    wanting = sorted(scored.keys() - queries.allocations_on(session, session_on=as_of).keys())
    if wanting:
        _store(session, as_of, {strategy: scored[strategy] for strategy in wanting})
    return _stored(session, as_of)


def _store(session: Session, as_of: date, batches: Mapping[str, int]) -> None:
    detector = get_settings().regime_detector
    regime = find_regime(session, session_on=as_of, detector=detector)
    if regime is None:
        raise DataMissing(f"no regime of {as_of} by detector {detector}: acis regime --as-of {as_of}")
    prices = past_prices(session, as_of=as_of)
    held = queries.last_held(session, before=as_of, since=as_of - timedelta(days=_FORGOTTEN_DAYS))
    models = valid_models(session, kind="allocator", as_of=as_of)
    decisions: dict[str, Decision] = {}
    due: dict[str, tuple[Portfolio, Chooser]] = {}
    for strategy in batches:
        now = Portfolio.drifted(held.get(strategy), prices)
        chooser = Chooser.of(models.get(strategy), as_of=as_of)
        kept = hold(held.get(strategy), now, chooser, prices)
        if kept is None:
            due[strategy] = (now, chooser)
        else:
            decisions[strategy] = kept
    if due:
        chosen = queries.candidates(session, score_batch_ids=[batches[strategy] for strategy in due], limit=STOCKS)
        frame = cross_section(as_of=as_of).frame
    for strategy, (now, chooser) in due.items():
        seen = lay_out(chosen[batches[strategy]], frame, regime.probabilities, prices)
        decisions[strategy] = decide(batches[strategy], seen, now, chooser, as_of=as_of)
    queries.add_allocations(
        session,
        [_row(as_of, strategy, regime.label, decision) for strategy, decision in decisions.items()],
        weights=[decision.weights for decision in decisions.values()],
    )


def _row(as_of: date, strategy: str, regime: str, decision: Decision) -> tables.Allocation:
    return tables.Allocation(
        session_on=as_of,
        strategy=strategy,
        lane="served",
        allocator=decision.allocator,
        reason=decision.reason,
        model_version_id=decision.model_version_id,
        score_batch_id=decision.score_batch_id,
        regime=regime,
        cash_weight=decision.cash_weight,
        diagnostics=decision.diagnostics,
    )


def _stored(session: Session, as_of: date) -> list[Allocation]:
    rows: Sequence[tables.Allocation] = sorted(
        queries.allocations_on(session, session_on=as_of).values(), key=lambda row: row.strategy
    )
    weights = queries.weights_of(session, allocation_ids=[row.allocation_id for row in rows])
    return [
        Allocation(
            allocation_id=row.allocation_id,
            session_on=row.session_on,
            strategy=row.strategy,
            allocator=row.allocator,
            reason=row.reason,
            model_version_id=row.model_version_id,
            score_batch_id=row.score_batch_id,
            regime=row.regime,
            cash_weight=row.cash_weight,
            weights=weights[row.allocation_id],
        )
        for row in rows
    ]
