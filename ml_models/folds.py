"""All folds of all screeners: which are missing, which have new sessions to judge, and how they are stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from core.config import get_settings
from core.errors import DataMissing, InputError, UnknownName
from core.progress import Progress
from database.queries import models, scores
from database.queries.bars import read_bars
from database.queries.features import Snapshot
from database.session import Session
from database.tables.models import ModelVersion
from features.library import FEATURES
from features.service import read_features
from ml_models.algorithms import ALGORITHMS
from ml_models.artefact import load, save
from ml_models.configuration import TRAIN_YEARS, Configuration, algorithm_named
from ml_models.dataset import Dataset
from ml_models.labels import price_panel
from ml_models.recipe import Recipe
from ml_models.recipes import RECIPES
from ml_models.returns import Judged, read_market, returns_of_year
from ml_models.training import FIRST_FOLD_YEAR, FoldPlan, TrainedFold, judge_sessions, plan_fold, train_fold
from quant.market import Market
from registry.artefact import place, stands
from registry.trials import add_returns, record_trial

KIND = "screener"
# Half a year validates and a quarter is purged; less than a year to learn from is no training.
HISTORY_DAYS_MIN = 640
_FEATURES = tuple(FEATURES.values())
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class StoredFold:
    """What a door says about one fold: its row and how it did on the sessions after its training."""

    model_version_id: int
    strategy: str
    algorithm: str
    tuned: bool
    year: int
    version: int
    is_new: bool
    auc: float | None
    rank_ic: float | None
    out_of_fold_rows: int


@dataclass(frozen=True)
class Choice:
    """The configuration that is wanted of a strategy, and all whose folds will do, the wanted one among them."""

    wanted: Configuration
    accepted: tuple[Configuration, ...]


@dataclass(frozen=True)
class Extension:
    """A stored fold whose year has sessions that were not judged yet."""

    model_version_id: int
    trial_id: int | None
    configuration: Configuration
    valid_from_on: date
    valid_to_on: date
    artefact_dir: str
    artefact_sha256: str
    judged_to_on: date | None
    judged_hash: str


def recipes_named(strategies: Collection[str] | None) -> list[Recipe]:
    """The recipes of these strategies, all when None. UnknownName for any other name."""
    for name in strategies or ():
        if name not in RECIPES:
            raise UnknownName("strategy", name, list(RECIPES))
    return [recipe for name, recipe in RECIPES.items() if strategies is None or name in strategies]


def fold_years(snapshots: Mapping[int, Snapshot], years: Collection[int] | None) -> list[int]:
    """The fold years asked for, all possible ones when None. InputError names a year that cannot be."""
    if not snapshots:
        raise DataMissing("no features are built to train screeners from; run: acis features build")
    enough_on = min(snapshot.first_on for snapshot in snapshots.values()) + timedelta(days=HISTORY_DAYS_MIN)
    possible = range(max(FIRST_FOLD_YEAR, enough_on.year + 1), max(snapshots) + 1)
    if years is None and possible:
        return list(possible)
    if years is None:
        raise DataMissing("screeners need two years of features before their first fold; load earlier bars")
    for year in years:
        if year not in possible:
            raise InputError(f"no screener can be trained for {year}; the features allow {_span(possible)}")
    return sorted(set(years))


def _span(years: range) -> str:
    return f"{years[0]} to {years[-1]}" if years else "no year: there are not two years of them"


def plan_folds(
    session: Session,
    snapshots: Mapping[int, Snapshot],
    choices: Sequence[Choice],
    years: Sequence[int],
    *,
    algorithm: str,
    tuned: bool,
) -> tuple[list[FoldPlan], list[Extension]]:
    """(folds to train, stored folds to judge on new sessions), all of one algorithm, tuned or not."""
    strategies = [choice.wanted.recipe.strategy for choice in choices]
    family: dict[str, Any] = {"kind": KIND, "strategies": strategies, "algorithm": algorithm, "tuned": tuned}
    newest = {(row.strategy, row.valid_from_on.year): row for row in models.newest_folds(session, **family)}
    missing: list[FoldPlan] = []
    behind: list[Extension] = []
    # By year, then strategy: neighbours share the years of their training windows.
    for year in years:
        for choice in choices:
            begins_on = date(year, 1, 1)
            plans = {
                plan.input_hash: plan
                for configuration in choice.accepted
                if (plan := plan_fold(configuration, snapshots, _FEATURES, valid_from_on=begins_on))
            }
            stored = newest.get((choice.wanted.recipe.strategy, year))
            if stored is None or stored.input_hash not in plans or not stands(stored):
                missing += [plan for plan in plans.values() if plan.configuration == choice.wanted]
            elif stored.metrics.get("judged_hash") != plans[stored.input_hash].judged_hash:
                behind.append(_extension(stored, plans[stored.input_hash].judged_hash))
    # What began to serve in the middle of a year was trained once, for that day: it only has more to be judged on.
    for row in models.newest_folds(session, **family, mid_year=True):
        content = snapshots[row.valid_from_on.year].content_hash if row.valid_from_on.year in snapshots else ""
        is_readable = row.manifest.get("features") == list(FEATURES)
        if row.valid_from_on.year in years and is_readable and row.metrics.get("judged_hash") != content:
            behind.append(_extension(row, content))
    return missing, behind


def rivals(session: Session, *, strategies: Collection[str] | None) -> list[tuple[int, ModelVersion]]:
    """(first year, newest yearly version) of each strategy's other algorithms and tuned configurations."""
    found: dict[tuple[str, str, bool], list[ModelVersion]] = {}
    for algorithm in ALGORITHMS:
        for tuned in (False, True):
            if algorithm == models.STANDARD_SCREENER and not tuned:
                continue
            for row in models.newest_folds(session, kind=KIND, strategies=strategies, algorithm=algorithm, tuned=tuned):
                if row.strategy in RECIPES:
                    found.setdefault((row.strategy, algorithm, tuned), []).append(row)
    return [
        (min(row.valid_from_on.year for row in rows), max(rows, key=lambda row: row.version)) for rows in found.values()
    ]


def plan_mid_year(
    session: Session, snapshots: Mapping[int, Snapshot], choices: Sequence[Choice], serve_from_on: date
) -> list[FoldPlan]:
    """One fold a strategy that serves from `serve_from_on` to the end of its year; none where it is stored already."""
    if serve_from_on == date(serve_from_on.year, 1, 1):
        raise InputError(f"serve_from_on is {serve_from_on}: the yearly fold begins to serve on that day")
    planned = []
    for choice in choices:
        wanted = choice.wanted
        present = models.newest_folds(
            session,
            kind=KIND,
            strategies=[wanted.recipe.strategy],
            algorithm=wanted.algorithm.name,
            tuned=bool(wanted.origin),
            mid_year=True,
        )
        if all(row.valid_from_on != serve_from_on for row in present):
            planned.append(plan_fold(wanted, snapshots, _FEATURES, valid_from_on=serve_from_on))
    return planned


def train_folds(plans: Sequence[FoldPlan], *, progress: Progress) -> Iterator[TrainedFold]:
    """Train the plans, several at once with one thread each, and hand each over in the order of the plans."""
    if not plans:
        return
    rows = {
        every: fold_rows([plan.year for plan in plans], plans[0].recipe.label_sessions, every)
        for every in {plan.configuration.every_sessions for plan in plans}
    }
    markets: dict[int, Market] = {}
    pool = ThreadPoolExecutor(min(get_settings().threads, len(plans)), thread_name_prefix="train")
    try:
        futures = [pool.submit(train_fold, plan, rows[plan.configuration.every_sessions], _FEATURES) for plan in plans]
        for done, (plan, future) in enumerate(zip(plans, futures, strict=True)):
            progress("train screeners", done, len(plans))
            if plan.year not in markets:
                markets = {plan.year: read_market(plan.year)}
            yield replace(future.result(), market=markets[plan.year])
        progress("train screeners", len(plans), len(plans))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def trial_of(session: Session, configuration: Configuration, *, source: str = "training") -> int:
    """Note that the configuration is tried, before anything of it is known; returns the trial's id."""
    return record_trial(
        session,
        kind=KIND,
        strategy=configuration.recipe.strategy,
        source=source,
        configuration=configuration.as_dict(_FEATURES),
    )


def store_fold(session: Session, trained: TrainedFold) -> StoredFold:
    """Write the artefact, then its row, its out-of-fold scores and returns; a fold that is stored stays as it is."""
    fold, manifest, plan = trained.fold, trained.manifest, trained.plan
    trial_id = trial_of(session, plan.configuration)
    artefact_dir, digest = save(get_settings().models_dir, trained.model, manifest)
    row, is_new = models.add_model(
        session,
        ModelVersion(
            name=manifest.name,
            kind=KIND,
            strategy=manifest.strategy,
            algorithm=manifest.algorithm,
            trial_id=trial_id,
            train_from_on=fold.train_from_on,
            train_to_on=fold.train_to_on,
            last_label_on=fold.last_label_on,
            valid_from_on=fold.valid_from_on,
            valid_to_on=fold.valid_to_on,
            input_hash=manifest.input_hash,
            feature_hash=manifest.feature_hash,
            artefact_dir=artefact_dir,
            artefact_sha256=digest,
            manifest=manifest.as_dict(),
            metrics=trained.metrics | {"judged_hash": plan.judged_hash},
            code_commit=manifest.code_commit,
        ),
        stands=stands,
    )
    said = trained.judged.said()
    if is_new:
        _add_out_of_fold(session, row.model_version_id, said)
        if trained.market is not None:
            _record_returns(session, trial_id, plan.year, trained.judged, trained.market)
    return _stored(row, is_new=is_new, rows=len(said.scores) if is_new else 0)


def extend_folds(session: Session, extensions: Sequence[Extension]) -> list[StoredFold]:
    """Judge stored folds on the whole of their sessions, add the scores of new ones and refresh the year's returns.

    What a fold said about earlier sessions stays: those scores were made from what was known then.
    """
    rows = {
        every: fold_rows(
            [e.valid_from_on.year for e in extensions], extensions[0].configuration.recipe.label_sessions, every
        )
        for every in {extension.configuration.every_sessions for extension in extensions}
    }
    markets = {year: read_market(year) for year in sorted({e.valid_from_on.year for e in extensions})}
    return [
        _extend(session, extension, rows[extension.configuration.every_sessions], markets[extension.valid_from_on.year])
        for extension in extensions
    ]


def _extend(session: Session, extension: Extension, rows: Dataset, market: Market) -> StoredFold:
    model = load(
        place(extension.artefact_dir),
        expected_sha256=extension.artefact_sha256,
        features=rows.features,
    )
    judged, metrics = judge_sessions(
        extension.configuration,
        model,
        rows,
        _FEATURES,
        from_on=extension.valid_from_on,
        before_on=extension.valid_to_on,
    )
    said = judged.said(after_on=extension.judged_to_on)
    _add_out_of_fold(session, extension.model_version_id, said)
    if extension.trial_id is not None:
        _record_returns(session, extension.trial_id, extension.valid_from_on.year, judged, market)
    row = models.update_metrics(
        session,
        model_version_id=extension.model_version_id,
        changes=metrics | {"judged_hash": extension.judged_hash},
    )
    return _stored(row, is_new=False, rows=len(said.scores))


def _record_returns(session: Session, trial_id: int, year: int, judged: Judged, market: Market) -> None:
    """Store what the configuration's scores of the year would have earned, each session's by the fold that served."""
    folds = [row for row in models.folds_of_trial(session, trial_id=trial_id) if row.valid_from_on.year == year]
    if len({row.valid_from_on for row in folds}) > 1:
        judged = replace(judged, scores=_said_by_newest(session, folds, judged))
    series = returns_of_year(judged, market)
    if series:
        add_returns(session, trial_id=trial_id, year=year, series=series)


def _said_by_newest(session: Session, folds: Sequence[ModelVersion], judged: Judged) -> Floats32:
    """Each row's stored score by the fold that began to serve last, of several trainings the last; NaN without one."""
    said = scores.scores_of_folds(session, model_version_ids=[row.model_version_id for row in folds])
    newest_first = sorted(folds, key=lambda row: (row.valid_from_on, row.version), reverse=True)
    stored = [said.get(row.model_version_id, {}) for row in newest_first]
    found = np.full(len(judged.scores), np.nan, dtype=np.float32)
    for day in np.unique(judged.session_on):
        on_day = np.flatnonzero(judged.session_on == day)
        scored = next((by_session[day.item()] for by_session in stored if day.item() in by_session), {})
        found[on_day] = [scored.get(int(number), np.nan) for number in judged.instrument_ids[on_day]]
    return found


def universe_year(year: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """One year's features of the members of the universe."""
    frame = read_features(as_of=date(year, 12, 31), first_on=date(year, 1, 1), columns=columns)
    return frame.filter("in_universe")


def fold_rows(years: Sequence[int], label_sessions: int, every_sessions: int, *, as_of: date | None = None) -> Dataset:
    """What folds that serve these years learn from and are judged on; labels end by `as_of`, or with the last."""
    bars = read_bars(as_of=as_of or date(max(years), 12, 31), columns=("adj_close",))
    return Dataset(
        panel=price_panel(bars),
        features=tuple(FEATURES),
        read_year=universe_year,
        every_sessions=every_sessions,
        label_sessions=label_sessions,
        # Threads work on neighbouring folds: one window, its test year and the next one.
        years_kept=TRAIN_YEARS + 2,
    )


def configuration_of(stored: ModelVersion) -> Configuration:
    """The configuration that a stored version is a fold of, as today's code would train it."""
    manifest = stored.manifest
    return Configuration(
        RECIPES[stored.strategy], algorithm_named(stored.algorithm), manifest["parameters"], manifest.get("origin", {})
    )


def _extension(stored: ModelVersion, judged_hash: str) -> Extension:
    judged_to = stored.metrics.get("judged_to_on")
    return Extension(
        model_version_id=stored.model_version_id,
        trial_id=stored.trial_id,
        configuration=configuration_of(stored),
        valid_from_on=stored.valid_from_on,
        valid_to_on=stored.valid_to_on,
        artefact_dir=stored.artefact_dir,
        artefact_sha256=stored.artefact_sha256,
        judged_to_on=date.fromisoformat(judged_to) if judged_to else None,
        judged_hash=judged_hash,
    )


def _add_out_of_fold(session: Session, model_version_id: int, said: Judged) -> None:
    scores.add_out_of_fold(
        session,
        model_version_id=model_version_id,
        session_on=said.session_on,
        instrument_ids=said.instrument_ids,
        scores=said.scores,
    )


def _stored(row: ModelVersion, *, is_new: bool, rows: int) -> StoredFold:
    return StoredFold(
        model_version_id=row.model_version_id,
        strategy=row.strategy,
        algorithm=row.algorithm,
        tuned=bool(row.manifest.get("tuned")),
        year=row.valid_from_on.year,
        version=row.version,
        is_new=is_new,
        auc=row.metrics["auc"],
        rank_ic=row.metrics["rank_ic"],
        out_of_fold_rows=rows,
    )
