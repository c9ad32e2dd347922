"""What doors and upper rooms ask of the allocator at night. Nothing here loads torch: policies are ONNX graphs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from database.tables.models import ModelVersion
from database.tables.scores import ScoreBatch
from database.tables.shadow import LANES
from features.service import cross_section
from registry.serving import Seat, load_first, seats, title
from rl_trading.night import Chooser, Decision, Policy, Portfolio, decide, hold, lay_out, load_policy
from rl_trading.prices import past_prices
from rl_trading.windows import STOCKS

__all__ = ["Allocation", "allocate_night"]

# What was decided longer ago than this is no portfolio of today's: the strategy starts from cash.
_FORGOTTEN_DAYS = 14
_KIND = "allocator"


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
    learned allocator weighs where it is champion and a champion's scores are served, for it learned on such scores;
    else the simple allocator that did best in the validation of the fold of that date, else inverse volatility.
    `reason` says which and why. Beside what is served and returned, the lanes `plain` (the rule's scores, simply
    weighed), `screener` (the model's scores, simply weighed) and `allocator` (the model's scores, weighed by the
    learned allocator that is challenger, else champion) are stored, each with holdings and decisions of its own.

    A policy that is not what was registered raises an alert and the champion before it serves, else the simple
    allocator. What is stored for the night already stands. Raises DataMissing (no scores, features, regime or bars).
    """
    batches = batches_on(session, session_on=as_of)
    scored = {strategy for strategy, batch in batches.items() if batch.status == "scored"}
    if not batches:
        raise DataMissing(f"no scores of {as_of}; the screeners must run first: acis screen --as-of {as_of}")
    wanting = sorted(scored - queries.allocations_on(session, session_on=as_of).keys())
    if wanting:
        _store(session, as_of, wanting)
    return _stored(session, as_of)


@dataclass(frozen=True)
class _Due:
    """One lane of one strategy: the scores that it is weighed by, and who weighs."""

    lane: str
    batch: ScoreBatch
    chooser: Chooser


def _store(session: Session, as_of: date, strategies: Sequence[str]) -> None:
    regime = find_regime(session, session_on=as_of, detector=get_settings().regime_detector)
    if regime is None:
        detector = get_settings().regime_detector
        raise DataMissing(f"no regime of {as_of} by detector {detector}: acis regime --as-of {as_of}")
    prices = past_prices(session, as_of=as_of)
    since = as_of - timedelta(days=_FORGOTTEN_DAYS)
    held = {lane: queries.last_held(session, before=as_of, since=since, lane=lane) for lane in LANES}
    decided: list[tuple[_Due, Decision]] = []
    open_ones: list[tuple[_Due, Portfolio]] = []
    for due in _lanes(session, as_of, strategies):
        last = held[due.lane].get(due.batch.strategy)
        now = Portfolio.drifted(last, prices)
        kept = hold(last, now, due.chooser, due.batch.model_version_id, prices)
        if kept is None:
            open_ones.append((due, now))
        else:
            decided.append((due, kept))
    if open_ones:
        chosen = queries.candidates(
            session, score_batch_ids=[due.batch.score_batch_id for due, _ in open_ones], limit=STOCKS
        )
        frame = cross_section(as_of=as_of).frame
    for due, now in open_ones:
        seen = lay_out(chosen[due.batch.score_batch_id], frame, regime.probabilities, prices)
        decided.append((due, decide(due.batch.score_batch_id, seen, now, due.chooser, as_of=as_of)))
    queries.add_allocations(
        session,
        [_row(as_of, due, regime.label, decision) for due, decision in decided],
        weights=[decision.weights for _, decision in decided],
    )


def _lanes(session: Session, as_of: date, strategies: Sequence[str]) -> Iterator[_Due]:
    """Every lane of each strategy; a lane without scores or without an allocator of its own is left out."""
    served, plain, learned = (
        batches_on(session, session_on=as_of, lane=lane) for lane in ("served", "plain", "screener")
    )
    folds = valid_models(session, kind=_KIND, as_of=as_of)
    taken = seats(session, kind=_KIND, strategies=strategies, as_of=as_of)
    for strategy in strategies:
        simple = Chooser.simple(folds.get(strategy), as_of=as_of)
        champion = load_first(session, taken[strategy].heirs, load_policy)
        yield _Due("served", served[strategy], _serve(taken[strategy], served[strategy], champion, simple))
        if strategy in plain:
            yield _Due("plain", plain[strategy], simple)
        if strategy not in learned:
            continue
        yield _Due("screener", learned[strategy], simple)
        challenger = taken[strategy].challenger
        beside = (load_first(session, [challenger], load_policy) if challenger else None) or champion
        if beside is not None:
            yield _Due("allocator", learned[strategy], Chooser.learned(*beside, f"{title(beside[0])}, in shadow"))


def _serve(seat: Seat, batch: ScoreBatch, champion: tuple[ModelVersion, Policy] | None, simple: Chooser) -> Chooser:
    """Who weighs what clients get."""
    if champion is None:
        why = seat.reason if seat.champion is None else f"{title(seat.champion)} was refused at loading"
    elif batch.source != "model":
        why = f"{title(champion[0])} is champion but learned on a screener's scores, and the plain rule scored tonight"
    else:
        model, policy = champion
        again = f"{title(model)} serves again: the champion was refused at loading"
        return Chooser.learned(model, policy, seat.reason if model is seat.champion else again)
    return replace(simple, reason=f"{simple.reason}; no learned allocator: {why}")


def _row(as_of: date, due: _Due, regime: str, decision: Decision) -> tables.Allocation:
    return tables.Allocation(
        session_on=as_of,
        strategy=due.batch.strategy,
        lane=due.lane,
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
