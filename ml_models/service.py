"""What doors and upper rooms ask of the screeners: plan, train, store, score a night, judge."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from core.progress import Progress, silent
from database.queries import scores
from database.queries.features import current_snapshots
from database.queries.models import STANDARD_SCREENER
from database.session import Session
from ml_models import folds
from ml_models.configuration import standard
from ml_models.folds import Choice, Extension, StoredFold, fold_years, plan_folds, recipes_named, store_fold, trial_of
from ml_models.judgement import Judgement, judge
from ml_models.night import score_strategies
from ml_models.recipes import RECIPES
from ml_models.training import FoldPlan, TrainedFold

__all__ = [
    "Judgement",
    "ScoreBatch",
    "StoredFold",
    "TrainedFold",
    "TrainingPlan",
    "extend_screeners",
    "judge_screeners",
    "plan_retraining",
    "plan_training",
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
    return _plan(session, choices, years, algorithm=algorithm, tuned=False)


def _plan(
    session: Session, choices: list[Choice], years: Collection[int] | None, *, algorithm: str, tuned: bool
) -> TrainingPlan:
    snapshots = current_snapshots(session)
    wanted = fold_years(snapshots, years)
    missing, behind = plan_folds(session, snapshots, choices, wanted, algorithm=algorithm, tuned=tuned)
    return TrainingPlan(tuple(missing), tuple(behind), len(choices) * len(wanted))


def plan_retraining(session: Session, *, strategies: Collection[str], serve_from_on: date) -> TrainingPlan:
    """New folds of the standard screeners that serve from the middle of a year to its end, trained on what lies before.

    The yearly folds stay, and the next year's begins as usual. A fold that serves from that day already is not
    trained again, whatever has become of the data since. InputError for the first day of a year, which has a fold.
    """
    choices = [Choice(wanted=one, accepted=(one,)) for one in map(standard, recipes_named(strategies))]
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


def judge_screeners(*, as_of: date, strategies: Collection[str] | None = None) -> list[Judgement]:
    """AUC, rank IC and decile spread of the stored out-of-fold scores: over all years, by year and by regime."""
    return judge(recipes_named(strategies), as_of=as_of)
