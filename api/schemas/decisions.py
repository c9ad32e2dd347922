"""What people begin and decide about models: training, judging, roles."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.jobs import Job, TrainAllocator, TrainScreener, TuneScreener

ALGORITHMS = Literal["xgboost", "lightgbm", "elastic_net", "ensemble"]
Name = Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9_]+$")]
Year = Annotated[int, Field(ge=1990, le=2040)]
Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$", description="Why; it is kept.")]


class _Training(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScreenerTraining(_Training):
    """Train the screener folds that are missing, of all strategies and years unless named."""

    kind: Literal["screener"]
    strategies: list[Name] | None = Field(default=None, min_length=1, max_length=20)
    years: list[Year] | None = Field(default=None, min_length=1, max_length=30)
    algorithm: ALGORITHMS | None = None
    full: bool = Field(default=False, description="Train on every day instead of every fifth.")

    def job(self) -> Job:
        """The job that does it."""
        return TrainScreener(
            strategies=_tuple(self.strategies), years=_tuple(self.years), algorithm=self.algorithm, full=self.full
        )


class ScreenerTuning(_Training):
    """Search for parameters before the years, and train the best over them. Every proposal counts as a trial."""

    kind: Literal["tuning"]
    trials: int = Field(ge=1, le=500, description="Proposals a strategy.", examples=[20])
    strategies: list[Name] | None = Field(default=None, min_length=1, max_length=20)
    years: list[Year] | None = Field(default=None, min_length=1, max_length=30)
    algorithm: ALGORITHMS | None = None

    def job(self) -> Job:
        """The job that does it."""
        return TuneScreener(
            trials=self.trials,
            strategies=_tuple(self.strategies),
            years=_tuple(self.years),
            algorithm=self.algorithm,
        )


class AllocatorTraining(_Training):
    """Train the allocator folds that are missing."""

    kind: Literal["allocator"]
    strategies: None = None

    def job(self) -> Job:
        """The job that does it."""
        return TrainAllocator()


Training = Annotated[ScreenerTraining | ScreenerTuning | AllocatorTraining, Field(discriminator="kind")]


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


class Judging(BaseModel):
    """As of when the gate is to judge; without it, as of the newest session."""

    model_config = ConfigDict(extra="forbid")
    as_of: date | None = Field(default=None, ge=date(1990, 1, 1), le=date(2040, 12, 31))


class StartedOut(BaseModel):
    """Work that was begun: `/jobs/{job_id}` tells how it goes."""

    job_id: int


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")
    effective_on: date | None = Field(
        default=None,
        ge=date(1990, 1, 1),
        le=date(2040, 12, 31),
        description="From which day it counts; without it, the soonest that is possible.",
    )


class Promotion(_Change):
    """Nothing but the gate's pass makes a champion."""


class ReasonedChange(_Change):
    """A change with its reason."""

    reason: Reason


class OverrideRequest(_Change):
    """The first of two people asks against or without the gate's word."""

    reason: Annotated[
        str, Field(min_length=20, max_length=2000, pattern=r"^[^\x00]*$", description="20 letters or more.")
    ]


class Rollback(ReasonedChange):
    """Out with the champion."""

    to_nobody: bool = Field(default=False, description="Not to the champion before it, to nobody.")


class DecisionOut(BaseModel):
    """One change of a role as it was written; version null: nobody has the role from that day on."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    action: str
    role: str
    version: int | None
    effective_on: date
    reason: str
    actor: str
    second_actor: str | None
