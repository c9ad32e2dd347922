"""The jobs that may be queued: a name and a typed payload each. What they do stands in `mlops/jobs/`."""

from datetime import date
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Job(BaseModel):
    """One job. It travels as JSON, so that no message can make a worker run code of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]


class BuildFeatures(Job):
    """Build the feature snapshots of the years that are stale."""

    name = "build-features"


class Nightly(Job):
    """Run the night of `as_of`; without it, of today's session in New York."""

    name = "nightly"
    as_of: date | None = None


class TrainScreener(Job):
    """Train the screener folds that are missing, of all strategies and years unless named.

    Without an algorithm the standard screeners are trained, and those of other configurations that ever were.
    """

    name = "train-screener"
    strategies: tuple[str, ...] | None = None
    years: tuple[int, ...] | None = None
    algorithm: str | None = None
    full: bool = False


class TuneScreener(Job):
    """Search for parameters with `trials` proposals a strategy, before `years`, and train the best over those years."""

    name = "tune-screener"
    trials: int
    strategies: tuple[str, ...] | None = None
    years: tuple[int, ...] | None = None
    algorithm: str | None = None


class TrainAllocator(Job):
    """Train the allocator folds that are missing."""

    name = "train-allocator"


class JudgeModels(Job):
    """Let the gate judge every version that may serve on `as_of`; without it, on the newest session."""

    name = "judge-models"
    as_of: date | None = None


class AuditLeaks(Job):
    """Probe the decision path for leaks, with stored rows up to `as_of`; without it, up to the newest session."""

    name = "audit-leaks"
    as_of: date | None = None
    is_deep: bool = False


class WatchDrift(Job):
    """Read the drift of features and models on `as_of`; without it, on the newest session."""

    name = "watch-drift"
    as_of: date | None = None


class RespondToDrift(Job):
    """Retrain what has drifted on `as_of` and let the gate decide; without it, on the newest session."""

    name = "respond-to-drift"
    as_of: date | None = None


class SyncTracking(Job):
    """Bring the models that the tracking server does not hold yet to it."""

    name = "sync-tracking"
