"""The algorithms side by side on the same rows, over several seeds and test years: a table as Qlib's benchmark has it.

IC is the day's correlation of score and forward return, rank IC that of their ranks; ICIR is mean over deviation of the
days, not annualised. Excess returns are daily returns of the equally weighted best fifty less those of all eligible
stocks, both net of costs; they are summed, not compounded, as Qlib does (Yang et al. (2020), "Qlib: An AI-oriented
Quantitative Investment Platform"): annualised excess return is 252 times their mean, the drawdown that of their sum.
Seeds change which rows and columns trees are shown; the elastic net has none and is the same for each. The plain rule,
which learns nothing, is a line of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from features.feature import Feature
from ml_models.algorithm import SEED, Model, probabilities
from ml_models.algorithms import ALGORITHMS
from ml_models.algorithms.ensemble import combine
from ml_models.configuration import TRAIN_YEARS, standard
from ml_models.dataset import Dataset, Matrix, Rows
from ml_models.eligibility import judge_day
from ml_models.evaluate import STOCKS_A_DAY_MIN, correlation, rank_ic
from ml_models.lessons import filter_columns, gather_lessons
from ml_models.recipe import Recipe
from ml_models.returns import Judged, returns_of_year
from ml_models.rule import rank_by_rule
from quant.market import Market
from quant.overfitting import measure_overfitting
from quant.sharpe import deflated_ratio, measure_moments
from quant.splits import fold_at
from quant.stats import SESSIONS_A_YEAR

Floats = npt.NDArray[np.float64]
ENSEMBLE = "ensemble"
PLAIN_RULE = "plain_rule"
# Trees are grown from a seed; a line is not.
SEEDLESS = frozenset({"elastic_net"})


@dataclass(frozen=True)
class Series:
    """What one model said and earned in one test year: a value a judged day, and a value a session."""

    algorithm: str
    seed: int
    ic: tuple[float, ...]
    rank_ic: tuple[float, ...]
    excess: tuple[float, ...]
    sessions: tuple[str, ...]


@dataclass(frozen=True)
class Spread:
    """Mean and sample deviation over the seeds; None where a figure cannot be told."""

    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Line:
    """One row of the table. `deflated_sharpe` is that of the median seed, among all series of the table."""

    strategy: str
    algorithm: str
    seeds: int
    ic: Spread
    icir: Spread
    rank_ic: Spread
    rank_icir: Spread
    excess_return_annual: Spread
    information_ratio: Spread
    drawdown_max: Spread
    deflated_sharpe: float | None


@dataclass(frozen=True)
class Table:
    """All lines, what they rest on, and by strategy the probability that the best of its series is overfitted."""

    years: tuple[int, ...]
    from_on: str
    to_on: str
    seeds: int
    trials: int
    lines: tuple[Line, ...]
    overfitting: Mapping[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"hypothetical": True, "costs": "quant.costs.STANDARD_COSTS"}


@dataclass(frozen=True)
class _TestYear:
    """The eligible stocks of the judged days, one row each, by day."""

    X: Matrix
    judged: Judged
    forward: Floats
    days: tuple[slice, ...]


def compare_in_year(
    recipe: Recipe,
    year: int,
    rows: Dataset,
    features: Sequence[Feature],
    market: Market,
    *,
    algorithms: Sequence[str],
    seeds: int,
) -> list[Series]:
    """Train every algorithm `seeds` times on the same rows and judge each on `year`, which none has seen."""
    fold = fold_at(
        rows.panel.sessions,
        valid_from_on=date(year, 1, 1),
        valid_to_on=date(year + 1, 1, 1),
        train_years=TRAIN_YEARS,
        label_sessions=recipe.label_sessions,
        embargo_sessions=recipe.label_sessions,
    )
    train, validation = (gather_lessons(recipe, rows, window) for window in (fold.train, fold.validation))
    tested = _test_year(recipe, rows, features, year)
    found = [_judge(tested.judged.plain, tested, market, algorithm=PLAIN_RULE, seed=SEED)]
    for seed in range(SEED, SEED + seeds):
        models = _train(recipe, train, validation, features, algorithms, seed)
        found += [
            _judge(probabilities(model.margins(tested.X)), tested, market, algorithm=name, seed=seed)
            for name, model in models.items()
            if name not in SEEDLESS or seed == SEED
        ]
    return found


def _train(
    recipe: Recipe, train: Rows, validation: Rows, features: Sequence[Feature], algorithms: Sequence[str], seed: int
) -> dict[str, Model]:
    """One model of each algorithm; the ensemble is made of the others' own."""
    singles = [name for name in ALGORITHMS if name != ENSEMBLE and (name in algorithms or ENSEMBLE in algorithms)]
    models = {}
    for name in singles:
        configuration = standard(recipe, algorithm=name)
        trained = configuration.algorithm.train(
            train,
            validation,
            features=features,
            emphasis=recipe.emphasis,
            parameters=configuration.algorithm.configured({"seed": seed}),
            threads=1,
        )
        models[name] = trained.model
    if ENSEMBLE in algorithms:
        models[ENSEMBLE] = combine([models[name] for name in singles], validation).model
    return {name: models[name] for name in algorithms}


def _test_year(recipe: Recipe, rows: Dataset, features: Sequence[Feature], year: int) -> _TestYear:
    parts, size = rows.year(year), 0
    days: list[slice] = []
    plain: list[Floats] = []
    kept = np.zeros(len(parts), dtype=bool)
    for _, part in parts.days():
        judged = judge_day(recipe, filter_columns(recipe, rows, parts.X[part]))
        if judged.reason is None:
            kept[part] = judged.mask
            days.append(slice(size, size + int(judged.mask.sum())))
            plain.append(rank_by_rule(recipe, parts.X[part][judged.mask], features))
            size += int(judged.mask.sum())
    sessions = np.array(rows.panel.sessions, dtype="datetime64[D]")[parts.session_of_row[kept]]
    return _TestYear(
        X=np.ascontiguousarray(parts.X[kept]),
        judged=Judged(
            sessions, parts.instrument_ids[kept], np.zeros(size, np.float32), np.concatenate([np.empty(0), *plain])
        ),
        forward=parts.forward[kept],
        days=tuple(days),
    )


def _judge(scores: Floats, tested: _TestYear, market: Market, *, algorithm: str, seed: int) -> Series:
    linear: list[float] = []
    ranked: list[float] = []
    for day in tested.days:
        known = ~np.isnan(tested.forward[day])
        if known.sum() >= STOCKS_A_DAY_MIN:
            said, came = scores[day][known], tested.forward[day][known]
            both = correlation(said, came), rank_ic(said, came)
            # A model that says the same of all stocks ranks nothing: that is no correlation, not an unknown one.
            linear.append(both[0] or 0.0)
            ranked.append(both[1] or 0.0)
    own = Judged(tested.judged.session_on, tested.judged.instrument_ids, scores.astype(np.float32), tested.judged.plain)
    earned = returns_of_year(own, market)
    return Series(
        algorithm=algorithm,
        seed=seed,
        ic=tuple(linear),
        rank_ic=tuple(ranked),
        excess=tuple((earned["model"].returns - earned["universe"].returns).tolist()) if earned else (),
        sessions=tuple(str(day) for day in earned["model"].sessions) if earned else (),
    )


def tabulate(found: Mapping[tuple[str, int], Sequence[Series]], *, seeds: int) -> Table:
    """The table of series by (strategy, year)."""
    joined: dict[tuple[str, str, int], list[Series]] = {}
    for (strategy, _), members in sorted(found.items()):
        for one in members:
            joined.setdefault((strategy, one.algorithm, one.seed), []).append(one)
    excess = {key: np.concatenate([np.array(one.excess) for one in parts]) for key, parts in joined.items()}
    moments = {key: measure_moments(values) for key, values in excess.items()}
    ratios = np.array([one.ratio for one in moments.values() if one is not None])
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    lines = []
    for strategy, algorithm in sorted({key[:2] for key in joined}, key=_in_order):
        keys = [key for key in joined if key[:2] == (strategy, algorithm)]
        middle = sorted(keys, key=lambda key: (_information_ratio(excess[key]) or -math.inf, key[2]))[len(keys) // 2]
        median = moments[middle]
        lines.append(
            Line(
                strategy=strategy,
                algorithm=algorithm,
                seeds=len(keys),
                ic=_spread([_mean([v for one in joined[key] for v in one.ic]) for key in keys]),
                icir=_spread([_steadiness([v for one in joined[key] for v in one.ic]) for key in keys]),
                rank_ic=_spread([_mean([v for one in joined[key] for v in one.rank_ic]) for key in keys]),
                rank_icir=_spread([_steadiness([v for one in joined[key] for v in one.rank_ic]) for key in keys]),
                excess_return_annual=_spread([_annual(excess[key]) for key in keys]),
                information_ratio=_spread([_information_ratio(excess[key]) for key in keys]),
                drawdown_max=_spread([_drawdown(excess[key]) for key in keys]),
                deflated_sharpe=None
                if median is None
                else deflated_ratio(median, trials=len(joined), variance=variance),
            )
        )
    days = sorted(day for members in found.values() for one in members for day in one.sessions)
    return Table(
        years=tuple(sorted({year for _, year in found})),
        from_on=days[0] if days else "",
        to_on=days[-1] if days else "",
        seeds=seeds,
        trials=len(joined),
        lines=tuple(lines),
        overfitting={strategy: _overfitting(excess, strategy) for strategy in sorted({key[0] for key in joined})},
    )


def _in_order(key: tuple[str, str]) -> tuple[str, int]:
    return key[0], [*ALGORITHMS, PLAIN_RULE].index(key[1])


def _overfitting(excess: Mapping[tuple[str, str, int], Floats], strategy: str) -> float | None:
    columns = [values for key, values in excess.items() if key[0] == strategy]
    if len(columns) < 2 or len({len(column) for column in columns}) > 1 or len(columns[0]) < SESSIONS_A_YEAR:
        return None
    return measure_overfitting(np.column_stack(columns)).probability


def _spread(values: Sequence[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return Spread(None, None)
    return Spread(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else 0.0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _steadiness(values: Sequence[float]) -> float | None:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)) / deviation if deviation > 0 else None


def _annual(excess: Floats) -> float | None:
    """None below a year: nothing shorter is annualised."""
    return float(excess.mean()) * SESSIONS_A_YEAR if len(excess) >= SESSIONS_A_YEAR - 2 else None


def _information_ratio(excess: Floats) -> float | None:
    if len(excess) < SESSIONS_A_YEAR - 2 or excess.std(ddof=1) < 1e-12:
        return None
    return float(excess.mean() / excess.std(ddof=1)) * math.sqrt(SESSIONS_A_YEAR)


def _drawdown(excess: Floats) -> float | None:
    if not len(excess):
        return None
    path = np.concatenate([[0.0], excess.cumsum()])
    return float((path - np.maximum.accumulate(path)).min())
