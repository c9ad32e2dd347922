"""All folds of all screeners: which are missing, which have new sessions to judge, and how they are stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
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
from ml_models.artefact import load, save
from ml_models.dataset import Dataset
from ml_models.labels import price_panel
from ml_models.recipe import Recipe
from ml_models.recipes import RECIPES
from ml_models.training import (
    FIRST_FOLD_YEAR,
    TRAIN_YEARS,
    FoldPlan,
    OutOfFold,
    TrainedFold,
    judge_year,
    plan_fold,
    train_fold,
)

KIND = "screener"
# Half a year validates and a quarter is purged; less than a year to learn from is no training.
HISTORY_DAYS_MIN = 640


@dataclass(frozen=True)
class StoredFold:
    """What a door says about one fold: its row and how it did in the year after its training."""

    model_version_id: int
    strategy: str
    year: int
    version: int
    is_new: bool
    auc: float | None
    rank_ic: float | None
    out_of_fold_rows: int


@dataclass(frozen=True)
class Extension:
    """A stored fold whose test year has sessions that were not judged yet."""

    model_version_id: int
    recipe: Recipe
    year: int
    every_sessions: int
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
    session: Session, snapshots: Mapping[int, Snapshot], recipes: Sequence[Recipe], years: Sequence[int], *, full: bool
) -> tuple[list[FoldPlan], list[Extension]]:
    """(folds to train, stored folds to judge on new sessions). A full model serves where a quick one is asked for."""
    newest = {
        (row.strategy, row.valid_from_on.year): row
        for row in models.newest_folds(session, kind=KIND, strategies=[recipe.strategy for recipe in recipes])
    }
    missing: list[FoldPlan] = []
    behind: list[Extension] = []
    # By year, then strategy: neighbours share the years of their training windows.
    for year in years:
        for recipe in recipes:
            plans = {
                plan.input_hash: plan
                for variant in ({True} if full else {False, True})
                if (plan := plan_fold(recipe, year, snapshots, tuple(FEATURES.values()), full=variant))
            }
            stored = newest.get((recipe.strategy, year))
            if stored is None or stored.input_hash not in plans:
                missing += [plan for plan in plans.values() if plan.full == full]
            elif stored.metrics.get("judged_hash") != plans[stored.input_hash].judged_hash:
                behind.append(_extension(stored, plans[stored.input_hash]))
    return missing, behind


def train_folds(plans: Sequence[FoldPlan], *, progress: Progress) -> Iterator[TrainedFold]:
    """Train the plans, several at once with one thread each, and hand each over in the order of the plans."""
    if not plans:
        return
    rows = {
        every: _dataset([plan.year for plan in plans], plans[0].recipe.label_sessions, every)
        for every in {plan.parameters.every_sessions for plan in plans}
    }
    features = tuple(FEATURES.values())
    pool = ThreadPoolExecutor(min(get_settings().threads, len(plans)), thread_name_prefix="train")
    try:
        futures = [pool.submit(train_fold, plan, rows[plan.parameters.every_sessions], features) for plan in plans]
        for done, future in enumerate(futures):
            progress("train screeners", done, len(plans))
            yield future.result()
        progress("train screeners", len(plans), len(plans))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def store_fold(session: Session, trained: TrainedFold) -> StoredFold:
    """Write the artefact, then its row and its out-of-fold scores; a fold that is stored already stays as it is."""
    fold, manifest, plan = trained.fold, trained.manifest, trained.plan
    artefact_dir, digest = save(get_settings().models_dir, trained.booster, manifest)
    row, is_new = models.add_model(
        session,
        ModelVersion(
            name=manifest.name,
            kind=KIND,
            strategy=manifest.strategy,
            algorithm="xgboost",
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
    )
    if is_new:
        _add_out_of_fold(session, row.model_version_id, trained.out_of_fold)
    return _stored(row, is_new=is_new, rows=len(trained.out_of_fold.scores) if is_new else 0)


def extend_fold(session: Session, extension: Extension, rows: Dataset) -> StoredFold:
    """Judge a stored fold on the whole of its test year and add the scores of the sessions that are new.

    What it said about earlier sessions stays: those scores were made from what was known then.
    """
    booster = load(
        get_settings().models_dir / extension.artefact_dir,
        expected_sha256=extension.artefact_sha256,
        features=rows.features,
    )
    said, metrics = judge_year(extension.recipe, booster, rows, extension.year, every_sessions=extension.every_sessions)
    if extension.judged_to_on is not None:
        is_later = said.session_on > np.datetime64(extension.judged_to_on)
        said = OutOfFold(said.session_on[is_later], said.instrument_ids[is_later], said.scores[is_later])
    _add_out_of_fold(session, extension.model_version_id, said)
    row = models.update_metrics(
        session,
        model_version_id=extension.model_version_id,
        changes=metrics | {"judged_hash": extension.judged_hash},
    )
    return _stored(row, is_new=False, rows=len(said.scores))


def extension_rows(extensions: Sequence[Extension]) -> dict[int, Dataset]:
    """The datasets that the extensions need, by their sampling."""
    return {
        every: _dataset([e.year for e in extensions], extensions[0].recipe.label_sessions, every)
        for every in {extension.every_sessions for extension in extensions}
    }


def universe_year(year: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """One year's features of the members of the universe."""
    frame = read_features(as_of=date(year, 12, 31), first_on=date(year, 1, 1), columns=columns)
    return frame.filter("in_universe")


def _dataset(years: Sequence[int], label_sessions: int, every_sessions: int) -> Dataset:
    bars = read_bars(as_of=date(max(years), 12, 31), columns=("adj_close",))
    return Dataset(
        panel=price_panel(bars),
        features=tuple(FEATURES),
        read_year=universe_year,
        every_sessions=every_sessions,
        label_sessions=label_sessions,
        # Threads work on neighbouring folds: one window, its test year and the next one.
        years_kept=TRAIN_YEARS + 2,
    )


def _extension(stored: ModelVersion, plan: FoldPlan) -> Extension:
    judged_to = stored.metrics.get("judged_to_on")
    return Extension(
        model_version_id=stored.model_version_id,
        recipe=plan.recipe,
        year=plan.year,
        every_sessions=plan.parameters.every_sessions,
        artefact_dir=stored.artefact_dir,
        artefact_sha256=stored.artefact_sha256,
        judged_to_on=date.fromisoformat(judged_to) if judged_to else None,
        judged_hash=plan.judged_hash,
    )


def _add_out_of_fold(session: Session, model_version_id: int, said: OutOfFold) -> None:
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
        year=row.valid_from_on.year,
        version=row.version,
        is_new=is_new,
        auc=row.metrics["auc"],
        rank_ic=row.metrics["rank_ic"],
        out_of_fold_rows=rows,
    )
