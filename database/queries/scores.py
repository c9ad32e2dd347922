"""Scores: each night's batches with their top stocks, and the out-of-fold history."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from database.columnar import copy_rows, read_frame
from database.queries.models import STANDARD_SCREENER
from database.session import Session
from database.tables.scores import OutOfFoldScore, Score, ScoreBatch


@dataclass(frozen=True)
class ScoreRows:
    """The top stocks of one batch, best first; parallel arrays, `contributions` one row a stock.

    A lane beside the served one is not explained: its contributions have no columns, its reasons are empty.
    """

    instrument_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    margins: npt.NDArray[np.float64]
    bases: npt.NDArray[np.float64]
    contributions: npt.NDArray[np.float64]
    reasons: Sequence[Sequence[dict[str, Any]]]


def batches_on(session: Session, *, session_on: date, lane: str = "served") -> dict[str, ScoreBatch]:
    """The batches of one session and lane by strategy."""
    rows = session.scalars(select(ScoreBatch).where(ScoreBatch.session_on == session_on, ScoreBatch.lane == lane))
    return {row.strategy: row for row in rows}


def find_batch(session: Session, *, session_on: date, strategy: str) -> ScoreBatch | None:
    """The batch of one strategy and session that clients get."""
    return session.scalar(
        select(ScoreBatch).where(
            ScoreBatch.session_on == session_on, ScoreBatch.strategy == strategy, ScoreBatch.lane == "served"
        )
    )


def top_scores(session: Session, *, score_batch_id: int, limit: int | None = None) -> list[Score]:
    """The stocks of a batch, best first."""
    query = select(Score).where(Score.score_batch_id == score_batch_id).order_by(Score.rank).limit(limit)
    return list(session.scalars(query))


def add_batches(session: Session, batches: Sequence[ScoreBatch]) -> dict[tuple[str, str], int]:
    """Store the batches that their session and lane do not have yet; returns the ids of those stored, by strategy and
    lane."""
    if not batches:
        return {}
    names = [column.name for column in ScoreBatch.__table__.columns if column.name not in _GIVEN_BY_THE_DATABASE]
    stored = session.execute(
        insert(ScoreBatch)
        .values([{name: getattr(batch, name) for name in names} for batch in batches])
        .on_conflict_do_nothing(index_elements=["session_on", "strategy", "lane"])
        .returning(ScoreBatch.strategy, ScoreBatch.lane, ScoreBatch.score_batch_id)
    )
    return {(row.strategy, row.lane): row.score_batch_id for row in stored}


_GIVEN_BY_THE_DATABASE = frozenset({"score_batch_id", "created_at"})


def add_scores(session: Session, *, rows_by_batch: dict[int, ScoreRows]) -> int:
    """COPY the top stocks of freshly stored batches (score_batch_id -> rows); returns how many."""
    cursor = session.connection().connection.cursor()
    count = 0
    with cursor.copy(
        "copy scores (score_batch_id, instrument_id, rank, score, margin, base, contributions, reasons) from stdin"
    ) as copy:
        for score_batch_id, rows in rows_by_batch.items():
            columns = zip(
                rows.instrument_ids.tolist(),
                rows.scores.tolist(),
                rows.margins.tolist(),
                rows.bases.tolist(),
                rows.contributions.tolist(),
                rows.reasons,
                strict=True,
            )
            for rank, (instrument_id, score, margin, base, contributions, reasons) in enumerate(columns, start=1):
                array = "{" + ",".join(map(repr, contributions)) + "}"
                copy.write_row((score_batch_id, instrument_id, rank, score, margin, base, array, json.dumps(reasons)))
                count += 1
    return count


def add_out_of_fold(
    session: Session,
    *,
    model_version_id: int,
    session_on: npt.NDArray[np.datetime64],
    instrument_ids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
) -> int:
    """COPY what a fold's model said about sessions that it had not seen; returns how many rows."""
    if not len(scores):
        return 0
    return copy_rows(
        session,
        "out_of_fold_scores",
        {
            "model_version_id": ("int8", np.full(len(scores), model_version_id, dtype=np.int64)),
            "session_on": ("date", session_on),
            "instrument_id": ("int4", instrument_ids),
            "score": ("float4", scores),
        },
    )


def scores_of_folds(session: Session, *, model_version_ids: Sequence[int]) -> dict[int, dict[date, dict[int, float]]]:
    """model_version_id -> session -> instrument_id -> what that fold said out of sample."""
    said: dict[int, dict[date, dict[int, float]]] = {}
    rows = session.execute(
        select(
            OutOfFoldScore.model_version_id,
            OutOfFoldScore.session_on,
            OutOfFoldScore.instrument_id,
            OutOfFoldScore.score,
        ).where(OutOfFoldScore.model_version_id.in_(model_version_ids))
    )
    for model_version_id, session_on, instrument_id, score in rows:
        said.setdefault(model_version_id, {}).setdefault(session_on, {})[instrument_id] = score
    return said


def read_out_of_fold(
    *,
    as_of: date,
    strategies: Collection[str] | None = None,
    first_on: date | None = None,
    algorithm: str = STANDARD_SCREENER,
    tuned: bool = False,
) -> pl.DataFrame:
    """strategy, session_on, instrument_id (i32), score (f32), by all three, of sessions in [first_on, as_of].

    Each session's scores come from the newest version of the yearly fold that was valid on it, of the standard
    algorithm with its usual parameters unless others are asked for, so no score ever saw its own session. Sessions
    are weekly; a session on which a strategy would have been refused has no rows. Reads committed rows only.
    """
    return read_frame(
        """
        with folds as (
            select distinct on (strategy, valid_from_on) strategy, model_version_id
            from model_versions
            where kind = 'screener' and ($3::text is null or strategy = any(string_to_array($3, ' ')))
                and algorithm = $4 and coalesce((manifest ->> 'tuned')::boolean, false) = $5
                and valid_from_on = date_trunc('year', valid_from_on)
            order by strategy, valid_from_on, version desc
        )
        select folds.strategy, session_on, instrument_id, score
        from out_of_fold_scores join folds using (model_version_id)
        where session_on between $1 and $2
        order by 1, 2, 3
        """,
        [
            first_on or date(1900, 1, 1),
            as_of,
            None if strategies is None else " ".join(strategies),
            algorithm,
            tuned,
        ],
    )
