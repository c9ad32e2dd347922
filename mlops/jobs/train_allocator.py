"""Train the allocator folds that are missing; each is stored as soon as it is judged."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.errors import DataMissing
from core.jobs import TrainAllocator
from core.progress import Progress, silent
from database.queries.bars import last_session_on
from database.queries.runs import exclusive_run
from database.session import transaction
from database.tables.models import ModelVersion
from quant.service import detect_regimes
from rl_trading.dataset import load_history
from rl_trading.evaluate import table_lines
from rl_trading.settings import SEEDS
from rl_trading.training import FIRST_SCORES_YEAR, plan_folds, store_fold, train_folds

BOOK = "models"  # models belong to no account's book


@dataclass(frozen=True)
class AllocatorFold:
    """One stored model row: which allocator serves the strategy in that year, why, and how all were judged."""

    strategy: str
    year: int
    version: int
    allocator: str
    reason: str
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """The tables as text: the validation that decided, and the year after it, which decided nothing."""
        text = [f"{self.strategy} {self.year}: {self.reason}"]
        for window in ("validation", "test"):
            if self.metrics[window]:
                text += table_lines(window, self.metrics[window])
        return text


def run_train_allocator(
    *,
    years: Collection[int] | None = None,
    seeds: int = SEEDS,
    full: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
) -> list[AllocatorFold]:
    """Train the missing folds of `years` (default: all possible) with `seeds` seeds; returns what was stored.

    `full` trains ten times longer. A run that was cut off goes on with the fold it was at.
    """
    with transaction() as session:
        newest = last_session_on(session)
    if newest is None:
        raise DataMissing("there are no bars to learn from: load them with `acis data load-sample`")
    with exclusive_run(TrainAllocator.name, newest, BOOK):
        return _train(newest, years, seeds, full=full, device=device, progress=progress)


def perform(_: TrainAllocator) -> None:
    """The worker's way in."""
    run_train_allocator()


def _train(
    newest: date, years: Collection[int] | None, seeds: int, *, full: bool, device: str, progress: Progress
) -> list[AllocatorFold]:
    with transaction() as session:
        plans = plan_folds(session, as_of=newest, years=years, seeds=seeds, full=full, device=device)
    if not plans:
        return []
    first_on = date(FIRST_SCORES_YEAR, 1, 1)
    last_on = min(newest, date(max(plan.year for plan in plans), 12, 31))
    with transaction() as session:
        detect_regimes(session, first_on=first_on, last_on=last_on, progress=progress)
    history = load_history(as_of=last_on, first_on=first_on, progress=progress)
    stored = []
    for fold in train_folds(plans, history, progress=progress):
        with transaction() as session:
            stored += [_described(model) for model in store_fold(session, fold)]
    return stored


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
