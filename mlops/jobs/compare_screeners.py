"""Compare the screeners' algorithms over seeds and years; each strategy and year is kept, and not done twice."""

import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.config import get_settings
from core.errors import InputError
from core.progress import Progress, silent
from database.queries.features import Snapshot, current_snapshots
from database.session import transaction
from features.library import FEATURES
from ml_models.algorithms import ALGORITHMS
from ml_models.comparison import Series, Table, compare_in_year, tabulate
from ml_models.configuration import algorithm_named, standard
from ml_models.folds import fold_rows, fold_years, recipes_named, trial_of
from ml_models.recipe import Recipe
from ml_models.returns import read_market

# Every third whole year of the shipped data that has three years before it: all strategies take under half an hour.
YEARS = (2010, 2013, 2016, 2019)
SEEDS = 20


def run_compare_screeners(
    *,
    strategies: Collection[str] | None = None,
    algorithms: Sequence[str] | None = None,
    years: Sequence[int] | None = None,
    seeds: int = SEEDS,
    progress: Progress = silent,
) -> Table:
    """Train every algorithm `seeds` times for every strategy and year, and judge all on the years they had not seen.

    Nothing that is trained here can serve. Each algorithm's usual configuration counts as one trial, its seeds as
    repetitions of it. The same features, code and arguments give the same table.
    """
    if seeds < 1:
        raise InputError(f"seeds is {seeds}: give at least one")
    recipes = recipes_named(strategies)
    names = [algorithm_named(name).name for name in algorithms or ALGORITHMS]
    with transaction() as session:
        snapshots = current_snapshots(session)
        tested = fold_years(snapshots, years or YEARS)
        for recipe in recipes:
            for name in names:
                trial_of(session, standard(recipe, algorithm=name))
    folder = get_settings().var_dir / "comparison"
    folder.mkdir(parents=True, exist_ok=True)
    cells = {
        (recipe.strategy, year): folder / f"{recipe.strategy}-{year}-{_key(recipe, year, names, seeds, snapshots)}.json"
        for year in tested
        for recipe in recipes
    }
    _fill({cell: file for cell, file in cells.items() if not file.exists()}, names, seeds, progress)
    return tabulate({cell: _read(file) for cell, file in cells.items()}, seeds=seeds)


def _fill(missing: dict[tuple[str, int], Path], names: Sequence[str], seeds: int, progress: Progress) -> None:
    """Work out what is missing, year by year so that the strategies share the year's rows."""
    done = 0
    with ThreadPoolExecutor(get_settings().threads, thread_name_prefix="compare") as pool:
        for year in sorted({year for _, year in missing}):
            recipes = recipes_named([strategy for strategy, of in missing if of == year])
            rows = fold_rows([year], recipes[0].label_sessions, 5)
            market, features = read_market(year), tuple(FEATURES.values())
            futures = {
                recipe.strategy: pool.submit(
                    compare_in_year, recipe, year, rows, features, market, algorithms=names, seeds=seeds
                )
                for recipe in recipes
            }
            for strategy, future in futures.items():
                progress("compare screeners", done, len(missing))
                _write(missing[strategy, year], future.result())
                done += 1
    progress("compare screeners", done, len(missing))


def _key(recipe: Recipe, year: int, names: Sequence[str], seeds: int, snapshots: dict[int, Snapshot]) -> str:
    """Digits that change with whatever would change the result."""
    features = tuple(FEATURES.values())
    content = {
        "configurations": [standard(recipe, algorithm=name).as_dict(features) for name in names],
        "rule": [asdict(term) for term in recipe.rule],
        "seeds": seeds,
        "snapshots": {str(past): snapshots[past].content_hash for past in sorted(snapshots) if past <= year},
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _write(file: Path, series: Sequence[Series]) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps([asdict(one) for one in series], allow_nan=False))
    part.replace(file)


def _read(file: Path) -> list[Series]:
    rows: list[dict[str, Any]] = json.loads(file.read_text())
    return [
        Series(
            algorithm=row["algorithm"],
            seed=row["seed"],
            ic=tuple(row["ic"]),
            rank_ic=tuple(row["rank_ic"]),
            excess=tuple(row["excess"]),
            sessions=tuple(row["sessions"]),
        )
        for row in rows
    ]
