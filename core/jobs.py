"""The jobs that may be queued: a name and a typed payload each. What they do stands in `mlops/jobs/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from core.progress import Progress, silent


class Lane(Enum):
    """Jobs of one lane wait for one another; those of different lanes do not."""

    FIRM = "firm"  # what changes the firm's data and books, one at a time and in order
    TRAINING = "training"  # hours of learning, which no night waits for
    DESK = "desk"  # what a person waits for


class Job(BaseModel):
    """One job. It travels as JSON, so that no message can make a worker run code of its own.

    `is_cancellable`: whether a running one stops when asked; it does so where it next tells its progress.
    `may_be_killed`: whether one that does not come to that may be ended by force, because all it does is begun anew.
    `quiet_s_max`: seconds without a word of progress after which it counts as stuck.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]
    lane: ClassVar[Lane] = Lane.FIRM
    is_cancellable: ClassVar[bool] = True
    may_be_killed: ClassVar[bool] = False
    attempts_max: ClassVar[int] = 3
    quiet_s_max: ClassVar[float] = 3600.0


@dataclass(frozen=True)
class Ticket:
    """What a job's work is told of its row: the number, who asked for it, and where progress is to be told.

    `origin_id` is the number that the work was first asked for under: of a job that repeats another, the other's. Rows
    that belong to a job (a back-test, a report) are found by it.
    """

    job_id: int
    origin_id: int
    actor: str
    progress: Progress = silent


class RefreshData(Job):
    """Bring in the files that lie in the inbox, and tell what the market data cover."""

    name = "refresh-data"


class BuildFeatures(Job):
    """Build the feature snapshots of the years that are stale."""

    name = "build-features"


class Nightly(Job):
    """Run the night of `as_of`; without it, of today's session in New York."""

    name = "nightly"
    steps: ClassVar[tuple[str, ...]] = (
        "features",
        "universe",
        "drift",
        "judging",
        "scores",
        "regime",
        "allocations",
        "shadow",
        "review",
        "strategy",
        "settling",
        "targets",
        "proposals",
        "checks",
        "approval",
        "sending",
        "fills",
        "valuation",
        "standings",
    )
    as_of: date | None = None


class SendApproved(Job):
    """Carry the approved orders of one night, book and some accounts to their brokers, and ask what became of them."""

    name = "send-approved"
    lane = Lane.DESK
    is_cancellable = False
    as_of: date
    book: str
    account_ids: tuple[int, ...]


class ApplyImport(Job):
    """Book holdings from a file that was looked at, where they are too many to wait for."""

    name = "apply-import"
    lane = Lane.DESK
    is_cancellable = False
    import_id: int
    skip_errors: bool = False


class CancelOrders(Job):
    """Ask the brokers to take back orders that somebody wants back."""

    name = "cancel-orders"
    lane = Lane.DESK
    is_cancellable = False
    order_ids: tuple[int, ...]


class TrainScreener(Job):
    """Train the screener folds that are missing, of all strategies and years unless named.

    Without an algorithm the standard screeners are trained, and those of other configurations that ever were.
    """

    name = "train-screener"
    lane = Lane.TRAINING
    may_be_killed = True
    strategies: tuple[str, ...] | None = None
    years: tuple[int, ...] | None = None
    algorithm: str | None = None
    full: bool = False


class TuneScreener(Job):
    """Search for parameters with `trials` proposals a strategy, before `years`, and train the best over those years."""

    name = "tune-screener"
    lane = Lane.TRAINING
    may_be_killed = True
    trials: int
    strategies: tuple[str, ...] | None = None
    years: tuple[int, ...] | None = None
    algorithm: str | None = None


class TrainAllocator(Job):
    """Train the allocator folds that are missing."""

    name = "train-allocator"
    lane = Lane.TRAINING
    may_be_killed = True


class JudgeModels(Job):
    """Let the gate judge every version that may serve on `as_of`; without it, on the newest session."""

    name = "judge-models"
    as_of: date | None = None


class AuditLeaks(Job):
    """Probe the decision path for leaks, with stored rows up to `as_of`; without it, up to the newest session."""

    name = "audit-leaks"
    lane = Lane.TRAINING
    may_be_killed = True
    as_of: date | None = None
    is_deep: bool = False


class MakeReport(Job):
    """Fill in a report on a client over the days after `from_on` up to `to_on`."""

    name = "make-report"
    lane = Lane.DESK
    may_be_killed = True
    client_id: int
    from_on: date
    to_on: date


class RunBacktest(Job):
    """What a strategy would have earned from `from_on` to `to_on`, on stored scores and the one simulator.

    `scores`: out_of_fold (the yearly folds' word on weeks that they had not seen), served (the nights' own screens) or
    plain_rule. Every `rebalance_sessions` or more the best `stocks` are weighed by `optimiser`, none above
    `position_weight_max`; `cost_multiple` times the standard costs are paid.
    """

    name = "run-backtest"
    lane = Lane.DESK
    may_be_killed = True
    strategy: str
    scores: Literal["out_of_fold", "served", "plain_rule"]
    optimiser: str
    from_on: date
    to_on: date
    rebalance_sessions: int
    stocks: int
    position_weight_max: float
    cost_multiple: float
    cash_usd: float


class Replay(Job):
    """The nightly verbs from `from_on` to `to_on` on copies of the paper accounts; what was replayed is kept."""

    name = "replay"
    lane = Lane.TRAINING
    from_on: date
    to_on: date


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


# Name -> class: what may be queued at all.
KINDS: Mapping[str, type[Job]] = {
    kind.name: kind
    for kind in (
        ApplyImport,
        AuditLeaks,
        BuildFeatures,
        CancelOrders,
        JudgeModels,
        MakeReport,
        Nightly,
        RefreshData,
        Replay,
        RespondToDrift,
        RunBacktest,
        SendApproved,
        SyncTracking,
        TrainAllocator,
        TrainScreener,
        TuneScreener,
        WatchDrift,
    )
}
