"""Builders of score batches and out-of-fold scores, and a synthetic market for the screeners to learn from."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy.orm import Session

from database.queries.features import Snapshot
from database.queries.scores import add_out_of_fold
from database.tables.models import ModelVersion
from database.tables.scores import Score, ScoreBatch
from features.feature import Feature
from features.library import FEATURES
from ml_models.labels import PricePanel, forward_returns
from tests.factories.models import create_model

SIGNAL = "momentum_63"
# Trees that a small synthetic market can feed.
QUICK_TREES = {"rounds_max": 40, "patience_rounds": 20, "leaf_rows_min": 20}
SCREENER_FEATURES: tuple[Feature, ...] = tuple(
    FEATURES[name]
    for name in (
        "momentum_21",
        SIGNAL,
        "momentum_252_21",
        "volatility_252",
        "rsi_14",
        "earnings_yield",
        "book_to_price",
        "return_on_equity",
        "leverage",
        "sustainable_growth",
        "sales_growth",
        "earnings_growth",
        "log_market_cap",
        "dividend_yield_252",
        "vix_level",
    )
)


def create_batch(
    session: Session,
    *,
    session_on: date,
    strategy: str = "momentum_largecap",
    instrument_ids: Sequence[int] = (),
    scores: Sequence[float] | None = None,
    refused: str | None = None,
    model: ModelVersion | None = None,
    lane: str = "served",
    source: str = "model",
) -> ScoreBatch:
    """A night's batch with `instrument_ids` best first; their scores fall evenly from 0.6 unless given.

    With `source` "rule" it is the plain rule's.
    """
    if refused is None and source == "model":
        model = model or create_model(session, strategy=strategy, year=session_on.year)
    batch = ScoreBatch(
        lane=lane,
        source=source,
        source_reason="made for a test",
        session_on=session_on,
        strategy=strategy,
        status="refused" if refused else "scored",
        reason=refused,
        model_version_id=model.model_version_id if model else None,
        feature_hash="0" * 64,
        data_vintage={},
        universe_count=max(len(instrument_ids), 1),
        eligible_count=len(instrument_ids),
        scored_count=len(instrument_ids),
    )
    session.add(batch)
    session.flush()
    values = list(scores) if scores is not None else np.linspace(0.6, 0.5, max(len(instrument_ids), 1)).tolist()
    for rank, instrument_id in enumerate(instrument_ids, start=1):
        margin = float(np.log(values[rank - 1] / (1.0 - values[rank - 1])))
        session.add(
            Score(
                score_batch_id=batch.score_batch_id,
                instrument_id=instrument_id,
                rank=rank,
                score=values[rank - 1],
                margin=margin,
                base=0.0,
                contributions=[margin],
                reasons=[],
            )
        )
    session.flush()
    return batch


def create_out_of_fold(
    session: Session, *, model: ModelVersion, sessions: Sequence[date], instrument_ids: Sequence[int], seed: int = 1
) -> None:
    """Random scores of every instrument on every session, as said by `model`."""
    generator = np.random.default_rng(seed)
    count = len(sessions) * len(instrument_ids)
    add_out_of_fold(
        session,
        model_version_id=model.model_version_id,
        session_on=np.repeat(np.array(sessions, dtype="datetime64[D]"), len(instrument_ids)),
        instrument_ids=np.tile(np.array(instrument_ids, dtype=np.int32), len(sessions)),
        scores=generator.uniform(0.4, 0.6, count).astype(np.float32),
    )


def make_snapshots(first_year: int, last_year: int) -> dict[int, Snapshot]:
    """Registered years of SCREENER_FEATURES; no files lie behind them."""
    return {
        year: Snapshot(
            snapshot_id=year,
            year=year,
            content_hash=f"content {year}",
            input_hash="",
            data_vintage={"daily_bars": {str(year): 1}},
            first_on=date(year, 1, 1),
            last_on=date(year, 12, 31),
            columns=tuple(feature.name for feature in SCREENER_FEATURES),
            file_name="",
        )
        for year in range(first_year, last_year + 1)
    }


def make_panel(*, first_year: int, last_year: int, instruments: int = 60, seed: int = 1) -> PricePanel:
    """Random walks on weekdays; `signal_reader` knows where they go."""
    days = [date(first_year, 1, 1) + timedelta(days=n) for n in range(366 * (last_year - first_year + 1))]
    sessions = tuple(day for day in days if day.weekday() < 5 and day.year <= last_year)
    shocks = np.random.default_rng(seed).normal(0.0003, 0.015, (len(sessions), instruments))
    return PricePanel(sessions, np.arange(1, instruments + 1, dtype=np.int32), 50.0 * np.exp(shocks.cumsum(axis=0)))


def signal_reader(
    panel: PricePanel,
    *,
    strength: float = 0.0,
    features: Sequence[Feature] = SCREENER_FEATURES,
    stale: Sequence[str] = (),
    seed: int = 2,
) -> Callable[[int], pl.DataFrame]:
    """A `read_year` of random features; SIGNAL holds `strength` parts of the coming return, `stale` ones nothing."""
    forward = np.nan_to_num(forward_returns(panel))
    ahead = (forward - forward.mean(axis=1, keepdims=True)) / (forward.std(axis=1, keepdims=True) + 1e-12)

    def read_year(year: int) -> pl.DataFrame:
        chosen = [index for index, day in enumerate(panel.sessions) if day.year == year]
        generator = np.random.default_rng([seed, year])
        columns: dict[str, npt.NDArray[Any]] = {
            "session_on": np.repeat(np.array(panel.sessions, dtype="datetime64[D]")[chosen], len(panel.instrument_ids)),
            "instrument_id": np.tile(panel.instrument_ids, len(chosen)),
        }
        for feature in features:
            values: npt.NDArray[Any] = generator.normal(size=(len(chosen), len(panel.instrument_ids)))
            if feature.name == SIGNAL:
                values += strength * ahead[chosen]
            elif feature.name == "log_market_cap":
                values = 24.0 + values / 10
            elif feature.name in stale:
                values[:] = np.nan
            columns[feature.name] = values.astype(np.float32).ravel()
        return pl.DataFrame(columns)

    return read_year
