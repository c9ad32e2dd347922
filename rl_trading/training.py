"""One fold of the allocator, from plan to judged policies. The database is read here, never written.

Fold Y learns from decisions up to the end of year Y-2, is validated on Y-1, may serve in Y, and is judged on Y, which
nothing of it has seen: those returns are what the gate reads. One policy, the mean of its seeds, is shared by all
strategies, each of which is judged by itself. Finished seeds wait on disk until their fold is whole, so a training that
was killed goes on with the seed that it was at.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from core.config import get_settings
from core.errors import DataMissing, InputError
from core.progress import Progress, silent
from core.version import code_commit
from database.queries.features import current_snapshots
from database.queries.models import add_model, newest_folds, update_metrics
from database.session import Session
from database.tables.models import ModelVersion
from registry.artefact import place, stands
from registry.trials import ReturnSeries, add_returns, record_trial
from rl_trading import artefact, baselines
from rl_trading.artefact import Policy
from rl_trading.dataset import History
from rl_trading.dynamics import STANDARD_RULES
from rl_trading.evaluate import COSTS_DOUBLED, INDEX, PPO, Judgement, choose, judge, seed_name
from rl_trading.learners import Learners, learners
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.settings import FULL_STEPS, SEEDS, Training
from rl_trading.windows import STOCKS, Decisions, record, tradable

KIND = "allocator"
FIRST_FOLD_YEAR = 2011
FIRST_SCORES_YEAR = 2009
_LEARNING = "learning"
# What shapes a policy or its judgement; read as text, because some of it imports torch.
_SHAPING_CODE = (
    "quant.simulator",
    "quant.costs",
    "quant.covariance",
    "quant.quadratic",
    "rl_trading.baselines",
    "rl_trading.dataset",
    "rl_trading.degeneracy",
    "rl_trading.dynamics",
    "rl_trading.env",
    "rl_trading.evaluate",
    "rl_trading.export",
    "rl_trading.learner",
    "rl_trading.observation",
    "rl_trading.policy",
    "rl_trading.ppo",
    "rl_trading.reward",
    "rl_trading.settings",
    "rl_trading.training",
    "rl_trading.weights",
    "rl_trading.windows",
)


@dataclass(frozen=True)
class FoldPlan:
    """One fold to be. `input_hash` is the same if and only if the policies would be; `full_hash` is that of the full
    variant, which also serves where the quick one is asked for."""

    year: int
    strategies: tuple[str, ...]
    training: Training
    seeds: tuple[int, ...]
    input_hash: str
    full_hash: str
    feature_hash: str
    configuration: Mapping[str, Any] = field(repr=False)

    def record_trials(self, session: Session) -> dict[str, int]:
        """Note that the configuration is tried on each strategy, before anything of it is known; its trials' ids."""
        return {
            strategy: record_trial(
                session, kind=KIND, strategy=strategy, source="training", configuration=self.configuration
            )
            for strategy in self.strategies
        }


@dataclass(frozen=True)
class TrainedFold:
    """A fold's model rows, one a strategy, the artefact that they share, already on disk, and the test year's returns
    by strategy and series."""

    plan: FoldPlan
    models: tuple[ModelVersion, ...]
    returns: Mapping[str, Mapping[str, ReturnSeries]]


@dataclass(frozen=True)
class Extension:
    """A stored fold's row whose test year may have sessions that were not judged yet."""

    model_version_id: int
    trial_id: int | None
    strategy: str
    year: int
    judged_to_on: date | None
    artefact_dir: str
    artefact_sha256: str
    scales: Scales
    policy: Mapping[str, Any]


@cache
def shaping_code_hash() -> str:
    """SHA-256 over the source of every module that shapes a policy, and the versions of the libraries."""
    digest = sha256(" ".join(version(name) for name in ("torch", "stable-baselines3", "numpy", "scipy")).encode())
    for module in (*_SHAPING_CODE, *(f"quant.optimisers.{name}" for name in baselines.SIMPLE)):
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()


def plan_folds(
    session: Session,
    *,
    as_of: date,
    years: Collection[int] | None = None,
    seeds: int = SEEDS,
    full: bool = False,
    device: str = "cpu",
) -> list[FoldPlan]:
    """The folds of `years` (default: all that the screeners' out-of-fold scores reach) that are not stored yet.

    A fold is there when its newest version of every strategy was made from the same scores, features, settings and
    code and its files are whole; `full` asks for long training, which also serves where the quick one is asked for.
    InputError for a year that can have no fold, DataMissing where a year's scores are not there.
    """
    screeners: dict[int, dict[str, ModelVersion]] = {}
    for model in newest_folds(session, kind="screener"):
        screeners.setdefault(model.valid_from_on.year, {})[model.strategy] = model
    features = {year: snapshot.content_hash for year, snapshot in current_snapshots(session).items()}
    standing = [model for model in newest_folds(session, kind=KIND) if stands(model)]
    stored = {(model.valid_from_on.year, model.strategy): model.input_hash for model in standing}
    plans = [
        _plan(year, screeners, features, tuple(range(1, seeds + 1)), full=full, device=device)
        for year in _years(screeners, years, as_of)
    ]
    return [
        plan
        for plan in plans
        if any(stored.get((plan.year, s)) not in (plan.input_hash, plan.full_hash) for s in plan.strategies)
    ]


def _years(screeners: Mapping[int, object], years: Collection[int] | None, as_of: date) -> list[int]:
    possible = [year for year in range(FIRST_FOLD_YEAR, as_of.year + 1) if {year - 1, year - 2} <= screeners.keys()]
    for year in years or ():
        if not FIRST_FOLD_YEAR <= year <= as_of.year:
            raise InputError(f"allocator folds exist from {FIRST_FOLD_YEAR} to {as_of.year}, not for {year}")
        if year not in possible:
            raise DataMissing(
                f"the allocator of {year} needs scores of {year - 2} and {year - 1}; run: acis train screener"
            )
    return sorted(set(years or possible))


def _plan(
    year: int,
    screeners: Mapping[int, Mapping[str, ModelVersion]],
    features: Mapping[int, str],
    seeds: tuple[int, ...],
    *,
    full: bool,
    device: str,
) -> FoldPlan:
    past = {str(y): {s: m.input_hash for s, m in by.items()} for y, by in screeners.items() if y < year}
    known = {str(y): content for y, content in features.items() if FIRST_SCORES_YEAR <= y < year}
    shape = {"year": year, "screeners": past, "features": known, "seeds": seeds, "code": shaping_code_hash()}
    # A learner on another device gives other numbers and the same kind of policy: no reason to train again.
    quick, long = Training(), Training(steps=FULL_STEPS)
    hashes = {settings: _hash({**shape, "training": asdict(settings)}) for settings in (quick, long)}
    training = long if full else quick
    configuration = {
        "algorithm": PPO,
        "training": asdict(training),
        "seeds": list(seeds),
        "stock_columns": list(STOCK_COLUMNS),
        "context_columns": list(CONTEXT_COLUMNS),
        "rules": asdict(STANDARD_RULES),
        "screeners": _screeners(screeners),
        "code": shaping_code_hash(),
    }
    return FoldPlan(
        year=year,
        strategies=tuple(sorted({strategy for by in past.values() for strategy in by})),
        training=replace(training, device=device),
        seeds=seeds,
        input_hash=hashes[training],
        full_hash=hashes[long],
        feature_hash=_hash(known),
        configuration=configuration,
    )


def _screeners(screeners: Mapping[int, Mapping[str, ModelVersion]]) -> dict[str, list[str]]:
    """By strategy, the configurations of the screeners whose scores are learned from."""
    found: dict[str, set[str]] = {}
    for by_strategy in screeners.values():
        for strategy, model in by_strategy.items():
            found.setdefault(strategy, set()).add(f"{model.algorithm} {model.trial_id}")
    return {strategy: sorted(configurations) for strategy, configurations in sorted(found.items())}


def _hash(value: Mapping[str, Any]) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def train_folds(plans: Sequence[FoldPlan], history: History, *, progress: Progress = silent) -> Iterator[TrainedFold]:
    """Train and judge fold after fold; each is handed out as soon as it is whole, to be stored by the caller.

    As many processes as the setting `threads` share the seeds of all folds.
    """
    if not plans:
        return
    total = sum(plan.training.steps * len(plan.seeds) for plan in plans)
    steps = _Steps(total, progress)
    count = min(get_settings().threads, sum(len(plan.seeds) for plan in plans))
    folders = {plan.year: _work_folder(plan) for plan in plans}
    _forget_others(folders.values())
    with learners(count) as pool:
        lessons = [_Lessons(plan, history, folders[plan.year]) for plan in plans]
        waiting = [lesson.begin(pool, steps) for lesson in lessons]
        for lesson, seeds in zip(lessons, waiting, strict=True):
            for seed in seeds:
                seed.result()
            yield lesson.finish(pool)
            # The caller has stored the fold when it asks for the next.
            shutil.rmtree(folders[lesson.plan.year])


def _work_folder(plan: FoldPlan) -> Path:
    """Where a fold's seeds wait for each other; named by what they are made from."""
    return get_settings().models_dir / _LEARNING / f"{plan.year}-{plan.input_hash[:16]}"


def _forget_others(kept: Collection[Path]) -> None:
    """Remove what a training left that was killed and whose folds are no longer wanted as they were."""
    parent = get_settings().models_dir / _LEARNING
    for folder in parent.iterdir() if parent.is_dir() else ():
        if folder not in kept:
            shutil.rmtree(folder)


def store_fold(session: Session, fold: TrainedFold) -> list[ModelVersion]:
    """Store a trained fold's models, one a strategy, and its returns; one that is there already is returned as it
    stands."""
    trials = fold.plan.record_trials(session)
    stored = []
    for model in fold.models:
        model.trial_id = trials[model.strategy]
        row, is_new = add_model(session, model, stands=stands)
        stored.append(row)
        if is_new and fold.returns.get(model.strategy):
            add_returns(
                session, trial_id=trials[model.strategy], year=fold.plan.year, series=fold.returns[model.strategy]
            )
    return stored


def plan_extensions(session: Session, *, years: Collection[int] | None = None) -> list[Extension]:
    """Newest folds, of `years` or all, whose test year has been scored further than it was judged."""
    scored_to_on = {
        (model.strategy, model.valid_from_on.year): date.fromisoformat(model.metrics["judged_to_on"])
        for model in newest_folds(session, kind="screener")
        if model.metrics.get("judged_to_on")
    }
    behind = []
    for model in newest_folds(session, kind=KIND):
        year, test = model.valid_from_on.year, model.metrics["test"]
        judged_to_on = date.fromisoformat(test["to_on"]) if test else None
        last_on = scored_to_on.get((model.strategy, year))
        grown = last_on is not None and (judged_to_on is None or last_on > judged_to_on)
        if grown and (years is None or year in years):
            behind.append(_extension(model, judged_to_on))
    return behind


def _extension(model: ModelVersion, judged_to_on: date | None) -> Extension:
    return Extension(
        model_version_id=model.model_version_id,
        trial_id=model.trial_id,
        strategy=model.strategy,
        year=model.valid_from_on.year,
        judged_to_on=judged_to_on,
        artefact_dir=model.artefact_dir,
        artefact_sha256=model.artefact_sha256,
        scales=Scales(**{name: np.array(values) for name, values in model.manifest["scales"].items()}),
        policy=model.metrics["policy"],
    )


def extend_fold(session: Session, extension: Extension, history: History) -> ModelVersion | None:
    """Judge a stored fold on the whole of its test year; None where there is still nothing to judge."""
    policy = artefact.load(place(extension.artefact_dir), extension.artefact_sha256)
    test = judge_year(history, extension.strategy, extension.year, policy, extension.scales)
    if test is None or (extension.judged_to_on and date.fromisoformat(test.to_on) <= extension.judged_to_on):
        return None
    if extension.trial_id is not None:
        add_returns(session, trial_id=extension.trial_id, year=extension.year, series=returns_of(test))
    changes = {"test": test.to_json(), "policy": {**extension.policy, "test": test.policy()}}
    return update_metrics(session, model_version_id=extension.model_version_id, changes=changes)


def judge_year(history: History, strategy: str, year: int, policy: Policy, scales: Scales) -> Judgement | None:
    """All allocators of a strategy over one year's decisions."""
    first_on, last_on = date(year, 1, 1), date(year, 12, 31)
    cut = [d.between(history.market, first_on, last_on) for d in history.decisions if d.strategy == strategy]
    if not cut or len(cut[0].session_index) < 2:
        return None
    return judge(history.market, cut[0], policy, history.index_levels, scales=scales, regimes=history.regimes)


def returns_of(judgement: Judgement) -> dict[str, ReturnSeries]:
    """The daily returns of a judged year under the names that trial returns have."""
    names = {PPO: "model", COSTS_DOUBLED: "model_costs_doubled"}
    kept = (PPO, COSTS_DOUBLED, INDEX, *baselines.SIMPLE, *(seed.allocator for seed in judgement.seeds))
    return {
        names.get(name, name): ReturnSeries(course.sessions, course.returns)
        for name, course in judgement.courses.items()
        if name in kept
    }


class _Steps:
    """Adds up the steps of all learners."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress = total, progress
        self._taken: dict[tuple[int, int], int] = {}

    def listener(self, year: int, seed: int) -> Callable[[int], None]:
        """What one learner's steps are told to."""

        def heard(steps: int) -> None:
            self._taken[year, seed] = steps
            done = min(sum(list(self._taken.values())), self._total)
            self._progress("training the allocator", done, self._total)

        return heard


class _Lessons:
    """One fold at work: what it may learn from is cut out, laid down for the learners, and judged afterwards."""

    def __init__(self, plan: FoldPlan, history: History, folder: Path) -> None:
        self.plan, self.history, self._folder = plan, history, folder
        train_to_on = date(plan.year - 2, 12, 31)
        first_on = date(FIRST_SCORES_YEAR, 1, 1)
        self._lessons = [d for d in self._cut(first_on, train_to_on) if len(d.session_index) > 1]
        if not self._lessons:
            raise DataMissing(f"the allocator of {plan.year} has no decisions up to {train_to_on} to learn from")
        self._scales = _fit(history, self._lessons)
        self._layout = asdict(Layout(STOCKS, len(STOCK_COLUMNS), len(CONTEXT_COLUMNS)))
        validation = self._cut(date(plan.year - 1, 1, 1), date(plan.year - 1, 12, 31))
        self._validation = [
            d for d in validation if len(d.session_index) > 1 and record(history.market, [d], self._scales).segments
        ]

    def _cut(self, first_on: date, last_on: date) -> list[Decisions]:
        return [d.between(self.history.market, first_on, last_on) for d in self.history.decisions]

    def _output(self, seed: int) -> Path:
        return self._folder / f"{seed_name(seed)}.npz"

    def begin(self, pool: Learners, steps: _Steps) -> list["Future[None]"]:
        """Hand the seeds that are not there yet to the learners."""
        self._folder.mkdir(parents=True, exist_ok=True)
        wanting = [seed for seed in self.plan.seeds if not self._output(seed).exists()]
        for seed in set(self.plan.seeds).difference(wanting):
            steps.listener(self.plan.year, seed)(self.plan.training.steps)
        task = {
            "recording": str(self._lay_down("recording", self._lessons)),
            "validation": str(self._lay_down("validation", self._validation)) if self._validation else None,
            "layout": self._layout,
            "training": asdict(self.plan.training),
        }
        return [
            pool.submit({**task, "seed": seed, "output": str(self._output(seed))}, steps.listener(self.plan.year, seed))
            for seed in wanting
        ]

    def _lay_down(self, name: str, decisions: Sequence[Decisions]) -> Path:
        path = self._folder / f"{name}.npz"
        record(self.history.market, decisions, self._scales).save(path)
        return path

    def _join(self, pool: Learners) -> bytes:
        """The graph of all seeds."""
        output = self._folder / artefact.POLICY_FILE
        task = {
            "seeds": [str(self._output(seed)) for seed in self.plan.seeds],
            "layout": self._layout,
            "scales": self._scales.to_json(),
            "output": str(output),
        }
        pool.submit(task, lambda _: None).result()
        return output.read_bytes()

    def finish(self, pool: Learners) -> TrainedFold:
        """Join what the learners wrote, judge it, choose for each strategy, write the artefact."""
        plan, market = self.plan, self.history.market
        graph = self._join(pool)
        policy = Policy(graph)
        days = market.sessions[np.concatenate([d.session_index for d in self._lessons])]
        span = (days.min().astype(date), days.max().astype(date))
        description = {
            "year": plan.year,
            "strategies": list(plan.strategies),
            "input_hash": plan.input_hash,
            "feature_hash": plan.feature_hash,
            "train_from_on": span[0].isoformat(),
            "train_to_on": span[1].isoformat(),
            "training": asdict(plan.training),
            "seeds": list(plan.seeds),
            "rules": asdict(STANDARD_RULES),
            "scales": self._scales.to_json(),
            "code_commit": code_commit(),
        }
        folder, digest, manifest = artefact.save(get_settings().models_dir, plan.year, graph, description)
        models, returns = [], {}
        for strategy in plan.strategies:
            test = judge_year(self.history, strategy, plan.year, policy, self._scales)
            validation = judge_year(self.history, strategy, plan.year - 1, policy, self._scales)
            returns[strategy] = returns_of(test) if test else {}
            model = self._model(strategy, span, self._metrics(validation, test))
            model.artefact_dir, model.artefact_sha256, model.manifest = folder, digest, dict(manifest)
            models.append(model)
        return TrainedFold(plan, tuple(models), returns)

    def _metrics(self, validation: Judgement | None, test: Judgement | None) -> dict[str, Any]:
        """Nobody has looked for degeneracy where there is no validation: then it is None, not empty."""
        readings = validation.readings if validation else ()
        return {
            "choice": asdict(choose(validation, baselines.DEFAULT)),
            "validation": validation.to_json() if validation else None,
            "test": test.to_json() if test else None,
            "policy": {
                "validation": validation.policy() if validation else None,
                "test": test.policy() if test else None,
            },
            "degeneracy": [reading.sentence for reading in readings if reading.degenerate] if validation else None,
            "degeneracy_readings": [asdict(reading) for reading in readings],
            "index": self.history.index_label,
        }

    def _model(self, strategy: str, span: tuple[date, date], metrics: Mapping[str, Any]) -> ModelVersion:
        year = self.plan.year
        sessions = self.history.market.sessions
        last_label = sessions[sessions < np.datetime64(date(year, 1, 1))][-1].astype(date)
        return ModelVersion(
            name=f"{KIND}-{strategy}",
            kind=KIND,
            strategy=strategy,
            algorithm=PPO,
            train_from_on=span[0],
            train_to_on=span[1],
            last_label_on=last_label,
            valid_from_on=date(year, 1, 1),
            valid_to_on=date(year + 1, 1, 1),
            input_hash=self.plan.input_hash,
            feature_hash=self.plan.feature_hash,
            metrics=dict(metrics),
            code_commit=code_commit(),
        )


def _fit(history: History, lessons: Sequence[Decisions]) -> Scales:
    return Scales.fit(
        np.concatenate([d.stocks for d in lessons]),
        np.concatenate([tradable(history.market, d) for d in lessons]),
        np.concatenate([d.context for d in lessons]),
    )
