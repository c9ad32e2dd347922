"""Train the screener folds that are missing: one transaction a fold, so that a killed training goes on where it was."""

import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from core.jobs import Ticket, TrainScreener
from core.progress import Progress, silent
from database.queries.models import STANDARD_SCREENER
from database.queries.runs import exclusive_run
from database.session import transaction
from market_data.service import latest_session
from ml_models.service import (
    Judgement,
    StoredFold,
    TrainingPlan,
    extend_screeners,
    judge_screeners,
    plan_rivals,
    plan_training,
    record_trials,
    store_fold,
    strategy_names,
    train_screeners,
)
from quant.service import detect_regimes

_BOOK = "models"  # models belong to no account's book


@dataclass(frozen=True)
class TrainingReport:
    """What a training did: new folds, folds with new sessions judged, and how all screeners stand out of sample."""

    folds_total: int
    trained: tuple[StoredFold, ...]
    extended: tuple[StoredFold, ...]
    judgements: tuple[Judgement, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "folds_total": self.folds_total,
            "folds_present": self.folds_total - len(self.trained),
            "trained": [asdict(fold) for fold in self.trained],
            "extended": [asdict(fold) for fold in self.extended],
            "judgements": [judgement.as_dict() for judgement in self.judgements],
            "seconds": self.seconds,
        }


def run_train_screener(
    *,
    strategies: Collection[str] | None = None,
    years: Collection[int] | None = None,
    algorithm: str | None = None,
    full: bool = False,
    progress: Progress = silent,
) -> TrainingReport:
    """Train, store and judge what is missing of these strategies and years; a second run finds nothing to do.

    Without an algorithm and years, what other configurations were ever trained goes on too. Judgements cover the whole
    stored history of the algorithm and are made only when something changed. One training a strategy at a time;
    trainings of different strategies may go on side by side, on one machine or several.
    """
    begun = time.monotonic()
    with transaction() as session:
        newest = latest_session(session)
    wanted = algorithm or STANDARD_SCREENER
    with ExitStack() as locks:
        for strategy in strategies if strategies is not None else strategy_names():
            locks.enter_context(exclusive_run(TrainScreener.name, newest, f"{_BOOK}:{strategy}"))
        with transaction() as session:
            plans = [plan_training(session, strategies=strategies, years=years, full=full, algorithm=wanted)]
            if algorithm is None and years is None:
                plans.append(plan_rivals(session, strategies=strategies))
        done = [_carry_out(plan, progress) for plan in plans]
        trained = [fold for folds, _ in done for fold in folds]
        extended = [fold for _, folds in done for fold in folds]
        judgements: list[Judgement] = []
        if trained or extended:
            progress("judge screeners", 0, 1)
            first_on = date(min(fold.year for fold in (*trained, *extended)), 1, 1)
            with transaction() as session:
                detect_regimes(session, first_on=first_on, last_on=newest)
            judgements = judge_screeners(as_of=newest, strategies=strategies, algorithm=wanted)
            progress("judge screeners", 1, 1)
    return TrainingReport(
        folds_total=sum(plan.folds_total for plan in plans),
        trained=tuple(trained),
        extended=tuple(extended),
        judgements=tuple(judgements),
        seconds=time.monotonic() - begun,
    )


def perform(job: TrainScreener, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    report = run_train_screener(
        strategies=job.strategies, years=job.years, algorithm=job.algorithm, full=job.full, progress=ticket.progress
    )
    return {
        "folds_total": report.folds_total,
        "trained": [f"{fold.strategy} {fold.year}" for fold in report.trained],
        "extended": [f"{fold.strategy} {fold.year}" for fold in report.extended],
        "seconds": report.seconds,
    }


def _carry_out(plan: TrainingPlan, progress: Progress) -> tuple[list[StoredFold], list[StoredFold]]:
    """(folds trained, folds extended)."""
    with transaction() as session:
        record_trials(session, plan)
    trained = []
    for fold in train_screeners(plan, progress=progress):
        with transaction() as session:
            trained.append(store_fold(session, fold))
    with transaction() as session:
        extended = extend_screeners(session, plan)
    return trained, extended
