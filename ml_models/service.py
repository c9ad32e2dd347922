"""What doors and upper rooms ask of the screeners: plan, train, store, score a night, judge."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from core.errors import DataMissing
from core.jobs import TuneScreener
from core.progress import Progress, silent
from core.version import code_commit
from database.queries import runs, scores
from database.queries.features import Snapshot, current_snapshots
from database.queries.models import STANDARD_SCREENER
from database.session import Session
from database.tables.runs import Run
from features.library import FEATURES
from ml_models import folds
from ml_models.algorithm import Parameters
from ml_models.configuration import Configuration, standard
from ml_models.dataset import Dataset
from ml_models.folds import Choice, Extension, StoredFold, fold_years, plan_folds, recipes_named, store_fold, trial_of
from ml_models.judgement import Judgement, judge
from ml_models.night import score_strategies
from ml_models.recipes import RECIPES
from ml_models.returns import Judged, returns_of_year
from ml_models.study import INNER_YEARS, Outcome, Study, plan_study
from ml_models.training import FoldPlan, TrainedFold
from quant.market import Market
from registry.roles import champions
from registry.trials import add_returns

__all__ = [
    "Judgement",
    "ScoreBatch",
    "StoredFold",
    "TrainedFold",
    "TrainingPlan",
    "extend_screeners",
    "judge_screeners",
    "plan_retraining",
    "plan_rivals",
    "plan_training",
    "plan_tuned",
    "record_trials",
    "score_night",
    "store_fold",
    "strategy_names",
    "train_screeners",
]


@dataclass(frozen=True)
class ScoreBatch:
    """One strategy's served screen of one night: `status` is scored or refused, `reason` says why it was refused.

    `source` is model or rule, `source_reason` says why that one.
    """

    score_batch_id: int
    session_on: date
    strategy: str
    status: str
    reason: str | None
    source: str
    source_reason: str
    model_version_id: int | None
    feature_hash: str
    universe_count: int
    eligible_count: int
    scored_count: int


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be done: folds to train, and stored folds whose test year has grown. `folds_total` counts all."""

    missing: tuple[FoldPlan, ...]
    behind: tuple[Extension, ...]
    folds_total: int


@dataclass(frozen=True)
class TuningPlan:
    """Searches that may go on side by side, the test years of what they decide for, and the features' snapshots."""

    studies: tuple[Study, ...]
    years: tuple[int, ...]
    snapshots: Mapping[int, Snapshot]


def strategy_names() -> tuple[str, ...]:
    """The strategies that have a screener."""
    return tuple(RECIPES)


def plan_training(
    session: Session,
    *,
    strategies: Collection[str] | None = None,
    years: Collection[int] | None = None,
    full: bool = False,
    algorithm: str = STANDARD_SCREENER,
) -> TrainingPlan:
    """Which folds are missing for the features that are built: all strategies and years unless named.

    A fold is there when its newest version of this algorithm was made from the same recipe, features and code; `full`
    asks for the daily variant, which also serves where the quick one is asked for. Raises UnknownName, InputError (a
    year without data) and DataMissing (no features).
    """
    recipes = recipes_named(strategies)
    quick = [standard(recipe, algorithm=algorithm) for recipe in recipes]
    daily = [standard(recipe, algorithm=algorithm, full=True) for recipe in recipes]
    choices = [
        Choice(wanted=long, accepted=(long,)) if full else Choice(wanted=short, accepted=(short, long))
        for short, long in zip(quick, daily, strict=True)
    ]
    snapshots = current_snapshots(session)
    wanted = fold_years(snapshots, years)
    missing, behind = plan_folds(session, snapshots, choices, wanted, algorithm=algorithm, tuned=False)
    return TrainingPlan(tuple(missing), tuple(behind), len(choices) * len(wanted))


def plan_rivals(session: Session, *, strategies: Collection[str] | None = None) -> TrainingPlan:
    """Which folds are missing of the other algorithms and tuned configurations that were ever trained.

    Each goes on from its first year to the newest, so that one which serves has a successor when its year is over.
    """
    snapshots = current_snapshots(session)
    possible = fold_years(snapshots, None)
    missing: list[FoldPlan] = []
    behind: list[Extension] = []
    total = 0
    for first_year, newest in folds.rivals(session, strategies=strategies):
        configuration = folds.configuration_of(newest)
        years = [year for year in possible if year >= first_year]
        more, grown = plan_folds(
            session,
            snapshots,
            [Choice(wanted=configuration, accepted=(configuration,))],
            years,
            algorithm=newest.algorithm,
            tuned=bool(configuration.origin),
        )
        missing += more
        behind += grown
        total += len(years)
    return TrainingPlan(tuple(missing), tuple(behind), total)


def plan_tuned(session: Session, *, chosen: Collection[Configuration], years: Collection[int]) -> TrainingPlan:
    """The folds of the configurations that studies decided for, all of one algorithm, over their test years."""
    snapshots = current_snapshots(session)
    (algorithm,) = {configuration.algorithm.name for configuration in chosen}
    choices = [Choice(wanted=one, accepted=(one,)) for one in chosen]
    missing, behind = plan_folds(session, snapshots, choices, sorted(years), algorithm=algorithm, tuned=True)
    return TrainingPlan(tuple(missing), tuple(behind), len(choices) * len(years))


def plan_retraining(session: Session, *, strategies: Collection[str], serve_from_on: date) -> TrainingPlan:
    """New folds that serve from the middle of a year to its end, trained on what lies before.

    Of the configuration that is champion then, else of the standard one. The yearly folds stay, and the next year's
    begins as usual. A fold that serves from that day already is not trained again, whatever has become of the data
    since. InputError for the first day of a year, which has a fold.
    """
    serving = champions(session, kind=folds.KIND, as_of=serve_from_on)
    wanted = [
        folds.configuration_of(serving[recipe.strategy]) if recipe.strategy in serving else standard(recipe)
        for recipe in recipes_named(strategies)
    ]
    choices = [Choice(wanted=one, accepted=(one,)) for one in wanted]
    missing = folds.plan_mid_year(session, current_snapshots(session), choices, serve_from_on)
    return TrainingPlan(tuple(missing), (), len(choices))


def record_trials(session: Session, plan: TrainingPlan) -> None:
    """Count every configuration of the plan as tried, before the first result of it is known."""
    for fold in plan.missing:
        trial_of(session, fold.configuration)


def train_screeners(plan: TrainingPlan, *, progress: Progress = silent) -> Iterator[TrainedFold]:
    """Train the plan's missing folds and hand each over as it is done; needs no transaction.

    Store each by `store_fold` in a transaction of its own: what is stored is not trained again after a crash.
    """
    return folds.train_folds(plan.missing, progress=progress)


def extend_screeners(session: Session, plan: TrainingPlan) -> list[StoredFold]:
    """Score the new sessions of stored folds whose test year has grown since they were judged."""
    return folds.extend_folds(session, plan.behind) if plan.behind else []


def score_night(session: Session, *, as_of: date) -> list[ScoreBatch]:
    """Score the universe of the session `as_of` for every strategy and store the best hundred of each with reasons.

    The champion scores, or the strategy's plain rule where there is none; `source_reason` says which and why. A
    champion that is not what was registered raises an alert and the one before it serves, else the rule. What is stored
    for the night already stands and is returned. Raises DataMissing (no features of that session).
    """
    stored = scores.batches_on(session, session_on=as_of)
    wanting = [recipe for recipe in RECIPES.values() if recipe.strategy not in stored]
    if wanting:
        score_strategies(session, as_of=as_of, recipes=wanting)
        stored = scores.batches_on(session, session_on=as_of)
    return [
        ScoreBatch(
            score_batch_id=row.score_batch_id,
            session_on=row.session_on,
            strategy=row.strategy,
            status=row.status,
            reason=row.reason,
            source=row.source,
            source_reason=row.source_reason,
            model_version_id=row.model_version_id,
            feature_hash=row.feature_hash,
            universe_count=row.universe_count,
            eligible_count=row.eligible_count,
            scored_count=row.scored_count,
        )
        for row in (stored[strategy] for strategy in RECIPES)
    ]


def judge_screeners(
    *,
    as_of: date,
    strategies: Collection[str] | None = None,
    algorithm: str = STANDARD_SCREENER,
    tuned: bool = False,
) -> list[Judgement]:
    """AUC, rank IC and decile spread of the stored out-of-fold scores: over all years, by year and by regime."""
    return judge(recipes_named(strategies), as_of=as_of, algorithm=algorithm, tuned=tuned)


def plan_tuning(
    session: Session,
    *,
    strategies: Collection[str] | None = None,
    years: Collection[int] | None = None,
    algorithm: str = STANDARD_SCREENER,
) -> TuningPlan:
    """One search a strategy, on folds just before `years`: all possible but the first INNER_YEARS unless named."""
    snapshots = current_snapshots(session)
    possible = fold_years(snapshots, None)
    tested = fold_years(snapshots, years) if years else possible[INNER_YEARS:]
    if not tested:
        raise DataMissing(f"tuning needs {INNER_YEARS} years of folds before its test years; load earlier bars")
    features = tuple(FEATURES.values())
    studies = [
        plan_study(recipe, algorithm, snapshots, features, possible=possible, first_test_year=tested[0])
        for recipe in recipes_named(strategies)
    ]
    return TuningPlan(tuple(studies), tuple(tested), snapshots)


def tuning_rows(plan: TuningPlan) -> Dataset:
    """What all searches of a plan learn from and are judged on; nothing in it is later than their inner years."""
    study = plan.studies[0]
    return folds.fold_rows(
        study.inner_years,
        study.usual.recipe.label_sessions,
        study.usual.every_sessions,
        as_of=study.test_from_on - timedelta(days=1),
    )


def open_proposal(session: Session, study: Study, parameters: Parameters) -> tuple[int, Outcome | None]:
    """Count a proposal as tried; returns its trial's id, and its outcome where it was judged before."""
    trial_id = trial_of(session, study.proposal(parameters), source="tuning")
    stored = _study_run(session, study).result.get(str(trial_id))
    return trial_id, None if stored is None else Outcome(stored["state"], stored["rank_ics"])


def close_proposal(
    session: Session,
    study: Study,
    *,
    trial_id: int,
    outcome: Outcome,
    said: Mapping[int, Judged],
    markets: Mapping[int, Market],
) -> None:
    """Keep a proposal's outcome in the study's run, and the returns of the years that it was judged on."""
    for year, judged in said.items():
        series = returns_of_year(judged, markets[year])
        if series:
            add_returns(session, trial_id=trial_id, year=year, series=series)
    run = _study_run(session, study)
    runs.add_to_result(session, run_id=run.run_id, changes={str(trial_id): outcome.as_dict()})


def _study_run(session: Session, study: Study) -> Run:
    """The row that remembers what became of a study's proposals: trials themselves are never changed."""
    book = f"{study.usual.recipe.strategy}:{study.usual.algorithm.name}:{study.key}"
    return runs.open_run(session, job=TuneScreener.name, as_of=study.test_from_on, book=book, code_commit=code_commit())
