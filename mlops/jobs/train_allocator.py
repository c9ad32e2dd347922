"""Train the allocator folds that are missing; each is stored as soon as it is judged."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.errors import InputError
from core.jobs import Ticket, TrainAllocator
from core.progress import Progress, silent
from database.queries.runs import exclusive_run
from database.session import transaction
from database.tables.models import ModelVersion
from market_data.service import latest_session
from quant.service import detect_regimes
from rl_trading.dataset import History, load_history
from rl_trading.evaluate import table_lines
from rl_trading.judgement import StrategyTable, judge_allocators
from rl_trading.settings import SEEDS
from rl_trading.training import (
    FIRST_SCORES_YEAR,
    Extension,
    FoldPlan,
    extend_fold,
    plan_extensions,
    plan_folds,
    store_fold,
    train_folds,
)

BOOK = "models"  # models belong to no account's book
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class AllocatorFold:
    """One stored model row: the simple allocator that its validation liked, why, and how all were judged."""

    strategy: str
    year: int
    version: int
    allocator: str
    reason: str
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """The tables as text: the validation that chose, and the year after it, which nothing has seen."""
        text = [f"{self.strategy} {self.year}: {self.reason}"]
        for window in ("validation", "test"):
            if self.metrics[window]:
                text += table_lines(window, self.metrics[window])
            policy = self.metrics["policy"][window]
            if policy:
                spread = policy["seeds_sharpe"]
                text.append(
                    f"policy: mean of {policy['seeds']} seeds {policy['ensemble_sharpe']:.2f}; the seeds alone"
                    f" {spread['median']:.2f} (median), interquartile range {spread['interquartile_range']:.2f}"
                )
        return [*text, *(f"degenerate: {finding}" for finding in self.metrics["degeneracy"] or ())]


@dataclass(frozen=True)
class AllocatorReport:
    """What a training did: new folds, folds with new sessions judged, and how all allocators stand out of sample."""

    trained: tuple[AllocatorFold, ...]
    extended: tuple[AllocatorFold, ...]
    tables: tuple[StrategyTable, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "trained": [fold.__dict__ for fold in self.trained],
            "extended": [fold.__dict__ for fold in self.extended],
            "tables": [table.as_dict() for table in self.tables],
            "seconds": self.seconds,
        }


def run_train_allocator(
    *,
    years: Collection[int] | None = None,
    seeds: int = SEEDS,
    full: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
) -> AllocatorReport:
    """Train the missing folds of `years` (default: all possible) with `seeds` seeds, and judge the sessions that test
    years have gained since.

    `full` trains a million steps a seed. A run that was cut off goes on with the seed it was at.
    """
    if device not in DEVICES:
        raise InputError(f"device {device} is not known; there are {', '.join(DEVICES)}")
    begun = time.monotonic()
    with transaction() as session:
        newest = latest_session(session)
    with exclusive_run(TrainAllocator.name, newest, BOOK):
        with transaction() as session:
            plans = plan_folds(session, as_of=newest, years=years, seeds=seeds, full=full, device=device)
            for plan in plans:
                plan.record_trials(session)
            extensions = plan_extensions(session, years=years)
        trained, extended = _work(newest, plans, extensions, progress)
        with transaction() as session:
            tables = judge_allocators(session, as_of=newest)
    return AllocatorReport(tuple(trained), tuple(extended), tuple(tables), time.monotonic() - begun)


def perform(_: TrainAllocator, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    report = run_train_allocator(progress=ticket.progress)
    return {
        "trained": [f"{fold.strategy} {fold.year}: {fold.reason}" for fold in report.trained],
        "extended": [f"{fold.strategy} {fold.year}" for fold in report.extended],
        "seconds": report.seconds,
    }


def _work(
    newest: date, plans: list[FoldPlan], extensions: list[Extension], progress: Progress
) -> tuple[list[AllocatorFold], list[AllocatorFold]]:
    planned = {plan.year for plan in plans}
    extensions = [extension for extension in extensions if extension.year not in planned]
    if not plans and not extensions:
        return [], []
    history = _history(newest, planned | {extension.year for extension in extensions}, progress)
    trained, extended = [], []
    for fold in train_folds(plans, history, progress=progress):
        with transaction() as session:
            trained += [_described(model) for model in store_fold(session, fold)]
    for extension in extensions:
        with transaction() as session:
            model = extend_fold(session, extension, history)
            extended += [_described(model)] if model else []
    return trained, extended


def _history(newest: date, years: Collection[int], progress: Progress) -> History:
    first_on = date(FIRST_SCORES_YEAR, 1, 1)
    last_on = min(newest, date(max(years), 12, 31))
    with transaction() as session:
        detect_regimes(session, first_on=first_on, last_on=last_on, progress=progress)
    return load_history(as_of=last_on, first_on=first_on, progress=progress)


def _described(model: ModelVersion) -> AllocatorFold:
    choice = model.metrics["choice"]
    return AllocatorFold(
        strategy=model.strategy,
        year=model.valid_from_on.year,
        version=model.version,
        allocator=choice["allocator"],
        reason=choice["reason"],
        metrics=model.metrics,
    )
