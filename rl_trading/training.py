"""One fold of the allocator, from plan to judged policies. The database is read here, never written.

Fold Y learns from decisions up to the end of year Y-2, is validated on Y-1, serves in Y, and is judged once more on Y
for the record. One policy is shared by all strategies, each of which is judged and chosen for by itself.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
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
from database.queries.models import add_model, newest_folds
from database.session import Session
from database.tables.models import ModelVersion
from rl_trading import artefact, baselines
from rl_trading.artefact import Policy
from rl_trading.dataset import History
from rl_trading.dynamics import STANDARD_RULES
from rl_trading.evaluate import Judgement, choose, judge
from rl_trading.learners import Learners, learners
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS, Layout, Scales
from rl_trading.settings import FULL_STEPS, SEEDS, Training
from rl_trading.windows import STOCKS, Decisions, record, tradable

KIND = "allocator"
FIRST_FOLD_YEAR = 2011
FIRST_SCORES_YEAR = 2009
# What shapes a policy or its judgement; read as text, because some of it imports torch.
_SHAPING_CODE = (
    "quant.simulator",
    "quant.costs",
    "rl_trading.baselines",
    "rl_trading.dataset",
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


@dataclass(frozen=True)
class TrainedFold:
    """A fold's model rows, one a strategy, and the artefact that they share, already on disk."""

    plan: FoldPlan
    models: tuple[ModelVersion, ...]


@cache
def shaping_code_hash() -> str:
    """SHA-256 over the source of every module that shapes a policy, and the versions of the libraries."""
    digest = sha256(" ".join(version(name) for name in ("torch", "stable-baselines3", "numpy")).encode())
    for module in _SHAPING_CODE:
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
    code; `full` asks for long training, which also serves where the quick one is asked for. InputError for a year that
    can have no fold, DataMissing where a year's scores are not there.
    """
    screeners: dict[int, dict[str, ModelVersion]] = {}
    for model in newest_folds(session, kind="screener"):
        screeners.setdefault(model.valid_from_on.year, {})[model.strategy] = model
    features = {year: snapshot.content_hash for year, snapshot in current_snapshots(session).items()}
    stored = {(m.valid_from_on.year, m.strategy): m.input_hash for m in newest_folds(session, kind=KIND)}
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
    return FoldPlan(
        year=year,
        strategies=tuple(sorted({strategy for by in past.values() for strategy in by})),
        training=replace(training, device=device),
        seeds=seeds,
        input_hash=hashes[training],
        full_hash=hashes[long],
        feature_hash=_hash(known),
    )


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
    with tempfile.TemporaryDirectory(prefix="acis-allocator-") as folder, learners(count) as pool:
        lessons = [_Lessons(plan, history, Path(folder)) for plan in plans]
        waiting = [lesson.begin(pool, steps) for lesson in lessons]
        for lesson, seeds in zip(lessons, waiting, strict=True):
            for seed in seeds:
                seed.result()
            yield lesson.finish()


def store_fold(session: Session, fold: TrainedFold) -> list[ModelVersion]:
    """Store a trained fold's models, one a strategy; one that is there already is returned as it stands."""
    return [add_model(session, model)[0] for model in fold.models]


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

    def _cut(self, first_on: date, last_on: date) -> list[Decisions]:
        return [d.between(self.history.market, first_on, last_on) for d in self.history.decisions]

    def _output(self, seed: int) -> Path:
        return self._folder / f"{self.plan.year}-{artefact.policy_file(seed)}"

    def begin(self, pool: Learners, steps: _Steps) -> list["Future[None]"]:
        """Hand the seeds to the learners."""
        path = self._folder / f"{self.plan.year}.npz"
        record(self.history.market, self._lessons, self._scales).save(path)
        layout = Layout(STOCKS, len(STOCK_COLUMNS), len(CONTEXT_COLUMNS))
        task = {
            "recording": str(path),
            "layout": asdict(layout),
            "scales": self._scales.to_json(),
            "training": asdict(self.plan.training),
        }
        return [
            pool.submit({**task, "seed": seed, "output": str(self._output(seed))}, steps.listener(self.plan.year, seed))
            for seed in self.plan.seeds
        ]

    def finish(self) -> TrainedFold:
        """Judge what the learners wrote, choose for each strategy, write the artefact."""
        plan, market = self.plan, self.history.market
        graphs = {seed: self._output(seed).read_bytes() for seed in plan.seeds}
        policies = {seed: Policy(content) for seed, content in graphs.items()}
        days = market.sessions[np.concatenate([d.session_index for d in self._lessons])]
        span = (days.min().astype(date), days.max().astype(date))
        description = {
            "name": KIND,
            "year": plan.year,
            "strategies": list(plan.strategies),
            "input_hash": plan.input_hash,
            "feature_hash": plan.feature_hash,
            "train_from_on": span[0].isoformat(),
            "train_to_on": span[1].isoformat(),
            "training": asdict(plan.training),
            "rules": asdict(STANDARD_RULES),
            "scales": self._scales.to_json(),
            "code_commit": code_commit(),
        }
        folder, digest, manifest = artefact.save(get_settings().models_dir, plan.year, graphs, description)
        models = [
            self._model(strategy, span, policies, folder=folder, digest=digest, manifest=manifest)
            for strategy in plan.strategies
        ]
        return TrainedFold(plan, tuple(models))

    def _model(
        self,
        strategy: str,
        span: tuple[date, date],
        policies: Mapping[int, Policy],
        *,
        folder: str,
        digest: str,
        manifest: Mapping[str, Any],
    ) -> ModelVersion:
        year = self.plan.year
        validation = self._judge(strategy, year - 1, policies)
        test = self._judge(strategy, year, policies)
        choice = choose(validation, baselines.DEFAULT)
        sessions = self.history.market.sessions
        last_label = sessions[sessions < np.datetime64(date(year, 1, 1))][-1].astype(date)
        return ModelVersion(
            name=f"{KIND}-{strategy}",
            kind=KIND,
            strategy=strategy,
            algorithm="ppo",
            train_from_on=span[0],
            train_to_on=span[1],
            last_label_on=last_label,
            valid_from_on=date(year, 1, 1),
            valid_to_on=date(year + 1, 1, 1),
            input_hash=self.plan.input_hash,
            feature_hash=self.plan.feature_hash,
            artefact_dir=folder,
            artefact_sha256=digest,
            manifest=dict(manifest),
            metrics={
                "choice": asdict(choice),
                "validation": validation.to_json() if validation else None,
                "test": test.to_json() if test else None,
                "index": self.history.index_label,
            },
            code_commit=code_commit(),
        )

    def _judge(self, strategy: str, year: int, policies: Mapping[int, Policy]) -> Judgement | None:
        cut = [d for d in self._cut(date(year, 1, 1), date(year, 12, 31)) if d.strategy == strategy]
        if not cut or len(cut[0].session_index) < 2:
            return None
        history = self.history
        return judge(history.market, cut[0], policies, history.index_levels, scales=self._scales)


def _fit(history: History, lessons: Sequence[Decisions]) -> Scales:
    return Scales.fit(
        np.concatenate([d.stocks for d in lessons]),
        np.concatenate([tradable(history.market, d) for d in lessons]),
        np.concatenate([d.context for d in lessons]),
    )
