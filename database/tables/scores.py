"""What the screeners think: each night's batch, its top stocks with reasons, and the out-of-fold history."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, REAL
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class ScoreBatch(Base):
    """One strategy's screen of one session: scored, or refused with the reason.

    `source` tells whether a model scored or the strategy's plain rule, `source_reason` why that one. `lane` is
    `served` for what clients get; the other lanes run beside it (see `shadow`).
    """

    __tablename__ = "score_batches"
    __table_args__ = (
        CheckConstraint("status in ('scored', 'refused')", name="status"),
        CheckConstraint("(status = 'refused') = (reason is not null)", name="reason"),
        CheckConstraint("status = 'refused' or source = 'rule' or model_version_id is not null", name="model"),
        CheckConstraint("source in ('model', 'rule')", name="source"),
        CheckConstraint("lane in ('served', 'plain', 'screener')", name="lane"),
        UniqueConstraint("session_on", "strategy", "lane"),
    )

    score_batch_id: Mapped[Id]
    session_on: Mapped[date]
    strategy: Mapped[str] = mapped_column(String(32))
    lane: Mapped[str] = mapped_column(String(16), server_default="served")
    source: Mapped[str] = mapped_column(String(16), server_default="model")
    source_reason: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    model_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.model_version_id"), index=True)
    feature_hash: Mapped[str] = mapped_column(String(64))
    data_vintage: Mapped[dict[str, Any]]
    universe_count: Mapped[int]
    eligible_count: Mapped[int]
    scored_count: Mapped[int]
    created_at: Mapped[CreatedAt]


class Score(Base):
    """One stock of the top 100. `base` plus the sum of `contributions` is `margin`; `score` is its probability.

    Of a batch by the plain rule `score` is a mean rank and no probability. Lanes that nobody is served from have empty
    `contributions` and `reasons`.
    """

    __tablename__ = "scores"
    __table_args__ = (
        CheckConstraint("rank >= 1", name="rank"),
        CheckConstraint("score between 0 and 1", name="score"),
        UniqueConstraint("score_batch_id", "rank"),
        Index("ix_scores_instrument_id", "instrument_id"),
    )

    score_batch_id: Mapped[int] = mapped_column(
        ForeignKey("score_batches.score_batch_id", ondelete="CASCADE"), primary_key=True
    )
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    rank: Mapped[int]
    score: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    margin: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    base: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    contributions: Mapped[list[float]] = mapped_column(ARRAY(DOUBLE_PRECISION))
    reasons: Mapped[list[Any]]


class OutOfFoldScore(Base):
    """What a fold's model said about a session that it had not seen: the allocator trains on these."""

    __tablename__ = "out_of_fold_scores"
    __table_args__ = (Index("ix_out_of_fold_scores_session_on", "session_on"),)

    model_version_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("model_versions.model_version_id", ondelete="CASCADE"), primary_key=True
    )
    session_on: Mapped[date] = mapped_column(primary_key=True)
    instrument_id: Mapped[int] = mapped_column(primary_key=True)
    score: Mapped[float] = mapped_column(REAL)
