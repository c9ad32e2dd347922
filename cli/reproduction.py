"""From the shipped data to every table of `docs/results.md`: load, build, train, judge, compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cli.results import ResultTable, algorithms_table, allocator_tables, drift_table, loop_table, verdicts_table
from core.progress import Progress
from database.schema import migrate
from database.session import engine, transaction
from market_data.calendars import sessions_between
from market_data.service import latest_session, load_sample
from ml_models.algorithms import ALGORITHMS
from mlops.jobs.audit_leaks import run_audit_leaks
from mlops.jobs.build_features import run_build_features
from mlops.jobs.compare_screeners import SEEDS as COMPARED_SEEDS
from mlops.jobs.compare_screeners import YEARS as COMPARED_YEARS
from mlops.jobs.compare_screeners import run_compare_screeners
from mlops.jobs.judge_models import run_judge_models
from mlops.jobs.respond_to_drift import run_respond_to_drift
from mlops.jobs.train_allocator import run_train_allocator
from mlops.jobs.train_screener import run_train_screener
from mlops.jobs.watch_drift import run_watch_drift
from registry.drift_history import alarm_history
from registry.portrait import list_models, show_model
from rl_trading.judgement import judge_allocators
from rl_trading.settings import SEEDS


@dataclass(frozen=True)
class Scope:
    """How much is rebuilt. None: all that there can be.

    `judged_on` are the sessions as of which the gate judges; after the last of them the loop of drift runs on each
    session of `watched`, first and last.
    """

    strategies: tuple[str, ...] | None
    screener_years: tuple[int, ...] | None
    compared_years: tuple[int, ...]
    compared_seeds: int
    allocator_years: tuple[int, ...] | None
    allocator_seeds: int
    drift_years: tuple[int, ...]
    judged_on: tuple[date, ...]
    watched: tuple[date, date] | None


WHOLE = Scope(
    strategies=None,
    screener_years=None,
    compared_years=COMPARED_YEARS,
    compared_seeds=COMPARED_SEEDS,
    allocator_years=None,
    allocator_seeds=SEEDS,
    drift_years=tuple(range(2012, 2018)),
    judged_on=(date(2017, 12, 29), date(2020, 2, 28)),
    watched=(date(2020, 3, 9), date(2020, 3, 25)),
)
# What runs with every change: minutes instead of an hour, the same code from end to end without PPO, whose learning
# turns a processor's last digit into other weights.
SHORT = Scope(
    strategies=("momentum_largecap", "low_volatility_largecap"),
    screener_years=(2012, 2013),
    compared_years=(2012, 2013),
    compared_seeds=2,
    allocator_years=None,
    allocator_seeds=0,
    drift_years=(2013,),
    judged_on=(date(2013, 12, 31),),
    watched=None,
)


def reproduce(scope: Scope, *, progress: Progress) -> list[ResultTable]:
    """Every table, rebuilt in the database at hand; begin with an empty one, for trials of before count too."""
    migrate(engine())
    load_sample(progress=progress)
    run_build_features(progress=progress)
    for algorithm in ALGORITHMS:
        run_train_screener(
            strategies=scope.strategies, years=scope.screener_years, algorithm=algorithm, progress=progress
        )
    compared = run_compare_screeners(
        strategies=scope.strategies, years=scope.compared_years, seeds=scope.compared_seeds, progress=progress
    )
    if scope.allocator_seeds:
        run_train_allocator(years=scope.allocator_years, seeds=scope.allocator_seeds, progress=progress)
    run_audit_leaks(as_of=scope.judged_on[-1], progress=progress)
    verdicts = [_judged(day, progress) for day in scope.judged_on]
    loop = [] if scope.watched is None else [_loop(*scope.watched, progress)]
    return [algorithms_table(compared), *verdicts, *_allocators(), _drift(scope.drift_years, progress), *loop]


def _judged(day: date, progress: Progress) -> ResultTable:
    run_watch_drift(as_of=day, progress=progress)
    run_judge_models(as_of=day, progress=progress)
    with transaction() as session:
        return verdicts_table(
            [show_model(session, name=line.name, as_of=day) for line in list_models(session, as_of=day)]
        )


def _allocators() -> list[ResultTable]:
    with transaction() as session:
        return allocator_tables(judge_allocators(session, as_of=latest_session(session)))


def _loop(first_on: date, last_on: date, progress: Progress) -> ResultTable:
    told = []
    for day in sessions_between(first_on, last_on):
        read = run_watch_drift(as_of=day, progress=progress)
        told.append({**read, "responses": run_respond_to_drift(as_of=day, progress=progress)})
    return loop_table(told)


def _drift(years: Sequence[int], progress: Progress) -> ResultTable:
    with transaction() as session:
        return drift_table(alarm_history(session, years=years, progress=progress))
