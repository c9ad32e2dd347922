"""How the screeners did over the whole history, on sessions that their models had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from core.config import get_settings
from database.queries.bars import read_bars
from database.queries.models import STANDARD_SCREENER
from database.queries.regimes import read_regimes
from database.queries.scores import read_out_of_fold
from ml_models.dataset import Dataset, Rows
from ml_models.evaluate import Quality, ScoredDay, assess, assess_by
from ml_models.folds import universe_year
from ml_models.labels import HORIZON_SESSIONS, price_panel
from ml_models.recipe import Recipe
from ml_models.training import SCORED_EVERY_SESSIONS


@dataclass(frozen=True)
class Judgement:
    """One screener out of sample: over all years, by year, and by regime as far as regimes are stored."""

    strategy: str
    overall: Quality
    by_year: Mapping[str, Quality]
    by_regime: Mapping[str, Quality]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "strategy": self.strategy,
            "overall": self.overall.as_dict(),
            "by_year": {name: quality.as_dict() for name, quality in self.by_year.items()},
            "by_regime": {name: quality.as_dict() for name, quality in self.by_regime.items()},
        }


def judge(
    recipes: Sequence[Recipe], *, as_of: date, algorithm: str = STANDARD_SCREENER, tuned: bool = False
) -> list[Judgement]:
    """Judge the stored out-of-fold scores up to `as_of` against what came after; labels end by `as_of` too."""
    strategies = [recipe.strategy for recipe in recipes]
    said = read_out_of_fold(as_of=as_of, strategies=strategies, algorithm=algorithm, tuned=tuned)
    if said.is_empty():
        return []
    rows = Dataset(
        panel=price_panel(read_bars(as_of=as_of, columns=("adj_close",))),
        features=(),
        read_year=lambda year: universe_year(year, columns=()),
        every_sessions=SCORED_EVERY_SESSIONS,
        label_sessions=HORIZON_SESSIONS,
        years_kept=1,
    )
    by_strategy = {recipe.strategy: said.filter(strategy=recipe.strategy) for recipe in recipes}
    days: dict[str, list[ScoredDay]] = {strategy: [] for strategy in by_strategy}
    for year in sorted(set(said["session_on"].dt.year().to_list())):
        of_year = rows.year(year)
        for strategy, frame in by_strategy.items():
            days[strategy] += _scored_days(frame.filter(pl.col("session_on").dt.year() == year), of_year, rows)
    regimes = _regimes(as_of)
    return [_judge(strategy, members, regimes) for strategy, members in days.items()]


def _judge(strategy: str, days: Sequence[ScoredDay], regimes: Mapping[date, str]) -> Judgement:
    pace = {"every_sessions": SCORED_EVERY_SESSIONS, "label_sessions": HORIZON_SESSIONS}
    return Judgement(
        strategy=strategy,
        overall=assess(days, **pace),
        by_year=assess_by(days, {day.session_on: str(day.session_on.year) for day in days}, **pace),
        by_regime=assess_by(days, regimes, **pace),
    )


def _scored_days(said: pl.DataFrame, rows: Rows, dataset: Dataset) -> list[ScoredDay]:
    """The scores beside the labels of the same stocks and sessions, where those are known."""
    universe = pl.DataFrame(
        {
            "session_on": np.array(dataset.panel.sessions, dtype="datetime64[D]")[rows.session_of_row],
            "instrument_id": rows.instrument_ids,
            "forward": rows.forward,
            "label": rows.labels,
        }
    ).filter(pl.col("label").is_not_nan())
    joined = said.join(universe, on=["session_on", "instrument_id"]).sort("session_on", "instrument_id")
    return [
        ScoredDay(
            session_on=session_on,
            instrument_ids=day["instrument_id"].to_numpy(),
            scores=day["score"].to_numpy().astype(np.float64),
            forward=day["forward"].to_numpy(),
            labels=day["label"].to_numpy(),
        )
        for (session_on,), day in joined.group_by("session_on", maintain_order=True)
    ]


def _regimes(as_of: date) -> dict[date, str]:
    readings = read_regimes(as_of=as_of, detector=get_settings().regime_detector)
    return dict(zip(readings["session_on"].to_list(), readings["label"].to_list(), strict=True))
