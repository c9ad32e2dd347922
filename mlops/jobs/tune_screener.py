"""Search for parameters of a screener and train the best; each proposal is kept at once: a killed search goes on."""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from core.config import get_settings
from core.errors import DataMissing, InputError
from core.jobs import Ticket, TuneScreener
from core.progress import Progress, silent
from database.queries.models import STANDARD_SCREENER
from database.queries.runs import exclusive_run
from database.session import transaction
from features.library import FEATURES
from market_data.service import latest_session
from ml_models.dataset import Dataset
from ml_models.returns import Judged, read_market
from ml_models.service import (
    Judgement,
    StoredFold,
    TuningPlan,
    close_proposal,
    extend_screeners,
    judge_screeners,
    open_proposal,
    plan_tuned,
    plan_tuning,
    record_trials,
    store_fold,
    strategy_names,
    train_screeners,
    tuning_rows,
)
from ml_models.study import Outcome, Study
from ml_models.tuning import ROUND, Pruning, best_of, judge_proposal, search
from quant.market import Market

_BOOK = "models"  # models belong to no account's book
Proposals = Sequence[tuple[dict[str, int | float], Pruning]]


@dataclass(frozen=True)
class Tuning:
    """What one search found. `parameters` are the best; `usual_value` is that of the usual ones, None: barren."""

    strategy: str
    algorithm: str
    study: str
    inner_years: tuple[int, ...]
    trials: int
    pruned: int
    parameters: Mapping[str, int | float]
    value: float
    usual_value: float | None


@dataclass(frozen=True)
class _Shared:
    """What all searches read: rows and prices end before the test years."""

    plan: TuningPlan
    rows: Dataset
    markets: Mapping[int, Market]


@dataclass(frozen=True)
class TuningReport:
    """The searches, and the folds of what they decided for over the test years, which no search has seen."""

    tunings: tuple[Tuning, ...]
    trained: tuple[StoredFold, ...]
    judgements: tuple[Judgement, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tunings": [asdict(tuning) for tuning in self.tunings],
            "trained": [asdict(fold) for fold in self.trained],
            "judgements": [judgement.as_dict() for judgement in self.judgements],
            "seconds": self.seconds,
        }


def run_tune_screener(
    *,
    trials: int,
    strategies: Collection[str] | None = None,
    years: Collection[int] | None = None,
    algorithm: str | None = None,
    progress: Progress = silent,
) -> TuningReport:
    """Search with `trials` proposals a strategy before `years`, then train the best configuration over `years`.

    Every proposal counts as a trial. A search that was cut off, or is asked for more proposals, goes on where it was;
    the answer does not depend on threads or interruptions. InputError for fewer than one trial.
    """
    if trials < 1:
        raise InputError(f"trials is {trials}: a search needs at least one proposal")
    begun = time.monotonic()
    with transaction() as session:
        newest = latest_session(session)
    with ExitStack() as locks:
        for strategy in strategies if strategies is not None else strategy_names():
            locks.enter_context(exclusive_run(TuneScreener.name, newest, f"{_BOOK}:{strategy}"))
        with transaction() as session:
            plan = plan_tuning(session, strategies=strategies, years=years, algorithm=algorithm or STANDARD_SCREENER)
        tunings = _search_all(plan, trials, progress)
        trained, judgements = _train(plan, tunings, progress)
    return TuningReport(tuple(tunings), tuple(trained), tuple(judgements), time.monotonic() - begun)


def perform(job: TuneScreener, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    report = run_tune_screener(
        trials=job.trials,
        strategies=job.strategies,
        years=job.years,
        algorithm=job.algorithm,
        progress=ticket.progress,
    )
    return {
        "tunings": [asdict(tuning) for tuning in report.tunings],
        "trained": [f"{fold.strategy} {fold.year}" for fold in report.trained],
        "seconds": report.seconds,
    }


def _search_all(plan: TuningPlan, trials: int, progress: Progress) -> list[Tuning]:
    """All searches: a round of each is worked on at once, as many searches side by side as there are threads for."""
    threads = get_settings().threads
    shared = _Shared(plan, tuning_rows(plan), {year: read_market(year) for year in plan.studies[0].inner_years})
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="tune") as pool,
        ThreadPoolExecutor(max(1, threads // ROUND), thread_name_prefix="search") as searches,
    ):
        found = [searches.submit(_search, shared, study, trials, pool, progress) for study in plan.studies]
        return [future.result() for future in found]


def _search(shared: _Shared, study: Study, trials: int, pool: ThreadPoolExecutor, progress: Progress) -> Tuning:
    step, strategy = f"tune {study.usual.recipe.strategy}", study.usual.recipe.strategy
    done = 0

    def work(proposals: Proposals) -> list[Outcome]:
        nonlocal done
        progress(step, done, trials)
        outcomes = _work(shared, study, pool, proposals)
        done += len(outcomes)
        return outcomes

    tried = search(study, trials=trials, work=work)
    progress(step, done, trials)
    best = best_of(tried)
    if best is None or best.outcome.value is None:
        raise DataMissing(f"no proposal for {strategy} could be judged in {study.inner_years}: no day was scored")
    return Tuning(
        strategy=strategy,
        algorithm=study.usual.algorithm.name,
        study=study.key,
        inner_years=study.inner_years,
        trials=len(tried),
        pruned=sum(one.outcome.state == "pruned" for one in tried),
        parameters=best.parameters,
        value=best.outcome.value,
        usual_value=tried[0].outcome.value,
    )


def _work(shared: _Shared, study: Study, pool: ThreadPoolExecutor, proposals: Proposals) -> list[Outcome]:
    """One round: proposals are counted before anything of them is known, judged at once, and kept one by one."""
    with transaction() as session:
        opened = [open_proposal(session, study, parameters) for parameters, _ in proposals]
    features = tuple(FEATURES.values())
    judged: list[Future[tuple[Outcome, dict[int, Judged]]] | None] = [
        None
        if stored is not None
        else pool.submit(judge_proposal, study, parameters, shared.rows, shared.plan.snapshots, features, pruning)
        for (parameters, pruning), (_, stored) in zip(proposals, opened, strict=True)
    ]
    outcomes = []
    for (trial_id, stored), future in zip(opened, judged, strict=True):
        outcome = stored
        if future is not None:
            outcome, said = future.result()
            with transaction() as session:
                close_proposal(session, study, trial_id=trial_id, outcome=outcome, said=said, markets=shared.markets)
        assert outcome is not None
        outcomes.append(outcome)
    return outcomes


def _train(plan: TuningPlan, tunings: Sequence[Tuning], progress: Progress) -> tuple[list[StoredFold], list[Judgement]]:
    """Train, store and judge what the searches decided for."""
    chosen = [study.chosen(tuning.parameters) for study, tuning in zip(plan.studies, tunings, strict=True)]
    with transaction() as session:
        folds = plan_tuned(session, chosen=chosen, years=plan.years)
        record_trials(session, folds)
    trained = []
    for fold in train_screeners(folds, progress=progress):
        with transaction() as session:
            trained.append(store_fold(session, fold))
    with transaction() as session:
        extend_screeners(session, folds)
        newest = latest_session(session)
    judgements = judge_screeners(
        as_of=newest,
        strategies=[tuning.strategy for tuning in tunings],
        algorithm=tunings[0].algorithm,
        tuned=True,
    )
    return trained, judgements
