"""How the firm's machinery stands, part by part, and how far its nights came; the unknown is called unknown."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any, Literal

from clients.practice import PAPER_BOOK, practice_date
from core.clock import now, today_in_new_york
from core.config import get_settings
from core.errors import DataMissing
from core.jobs import Nightly
from database.queries import machinery as queries
from database.queries.jobs import heartbeat_age_s
from database.session import Session
from database.tables.runs import Run
from market_data.calendars import is_session, previous_session, session_close
from market_data.coverage import freshness

State = Literal["good", "watch", "bad", "unknown"]
StepState = Literal["done", "running", "failed", "waiting", "not run"]

DISPATCHER_SILENT_S = 30
WORKER_SILENT_S = 120
WAITED_S = 300
FAILED_WITHIN = timedelta(days=1)
UNSEALED_FOR = timedelta(minutes=5)
NIGHT_AFTER_CLOSE = timedelta(hours=2)
_FREE_SHARES = (0.05, 0.15)
_OPEN_WORK_SHOWN = 100
# A run's status -> what that makes of the first step that is not done, and of those after it.
_LEFT: dict[str, tuple[StepState, StepState]] = {"running": ("running", "waiting"), "failed": ("failed", "not run")}


@dataclass(frozen=True)
class Part:
    """One part: how it is, in one sentence, with the figures behind it."""

    name: str
    state: State
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step of a night; `seconds` is None until it is done."""

    name: str
    state: StepState
    seconds: float | None


@dataclass(frozen=True)
class Night:
    """One night of the firm's own book."""

    run: Run
    steps: tuple[Step, ...]
    counts: dict[str, Any]


def look_over(session: Session) -> list[Part]:
    """Every part of the machinery but Redis, of which the database knows nothing."""
    parts: tuple[Callable[[Session], Part], ...] = (
        _database,
        _dispatcher,
        _workers,
        _failures,
        _night,
        _data,
        _models,
        _audit,
        _alerts,
        _switches,
    )
    return [*(part(session) for part in parts), _disk()]


def nights(session: Session, *, limit: int) -> list[Night]:
    """The newest nights of the firm's own book, step by step, newest first."""
    runs = queries.newest_runs(session, job=Nightly.name, book=PAPER_BOOK, limit=limit)
    return [Night(run, _steps(run), (run.result or {}).get("counts", {})) for run in runs]


def waiting(session: Session) -> dict[str, int]:
    """What waits for a person, for the next open, or for an answer."""
    return dict(queries.waiting_counts(session)._mapping)


def open_work(session: Session) -> Sequence[Any]:
    """Jobs that run or wait for their turn."""
    return queries.open_work(session, limit=_OPEN_WORK_SHOWN)


def _steps(run: Run) -> tuple[Step, ...]:
    done = {name: float(seconds) for name, seconds in (run.steps or {}).items()}
    first, rest = _LEFT.get(run.status, ("not run", "not run"))
    ahead = [name for name in Nightly.steps if name not in done]
    steps = [Step(name, "done", done[name]) for name in done]
    return tuple(steps + [Step(name, rest if place else first, None) for place, name in enumerate(ahead)])


def _database(session: Session) -> Part:
    begun = time.perf_counter()
    row = queries.server(session)
    taken_ms = round((time.perf_counter() - begun) * 1000, 1)
    share = row.connections / row.connections_max
    return Part(
        "database",
        "watch" if share > 0.9 else "good",
        f"PostgreSQL {row.version} answers; {row.connections} of {row.connections_max} connections are in use",
        {
            "answer_ms": taken_ms,
            "size_bytes": row.size_bytes,
            "connections": row.connections,
            "connections_max": row.connections_max,
        },
    )


def _dispatcher(session: Session) -> Part:
    silent_s = heartbeat_age_s(session, name="dispatcher")
    if silent_s is None:
        return Part("dispatcher", "unknown", "no dispatcher has ever told of itself: start one with acis up")
    figures = {"silent_s": round(silent_s, 1)}
    if silent_s > DISPATCHER_SILENT_S:
        said = f"silent for {silent_s:.0f} s: nothing that is asked for begins, nothing that is due is raised"
        return Part("dispatcher", "bad", said, figures)
    return Part("dispatcher", "good", "it raises what is due and sends what waits", figures)


def _workers(session: Session) -> Part:
    row = queries.signs_of_life(session)
    figures = {
        "running": row.running,
        "queued": row.queued,
        "waited_s": _rounded(row.waited_s),
        "silent_s": _rounded(row.silent_s),
        "last_finished_at": row.finished_at,
    }
    if row.silent_s is not None and row.silent_s > WORKER_SILENT_S:
        return Part("workers", "bad", f"a running job has been silent for {row.silent_s:.0f} s", figures)
    if row.waited_s is not None and row.waited_s > WAITED_S and not row.running:
        return Part("workers", "bad", f"work has waited for {row.waited_s:.0f} s and nothing runs", figures)
    if row.running:
        return Part("workers", "good", f"{row.running} at work, {row.queued} waiting", figures)
    return Part("workers", "unknown", "nothing runs, so nothing tells whether a worker would", figures)


def _failures(session: Session) -> Part:
    failed = queries.failed_jobs(session, since=now() - FAILED_WITHIN)
    if failed:
        names = ", ".join(f"{name} ({count})" for name, count in failed.items())
        return Part("jobs", "watch", f"failed within a day: {names}", {"failed": failed})
    return Part("jobs", "good", "none failed within a day", {"failed": {}})


def _night(session: Session) -> Part:
    newest = queries.newest_runs(session, job=Nightly.name, book=PAPER_BOOK, limit=1)
    due_on = _newest_due()
    if not newest:
        return Part("night", "unknown", "no night has been run yet", {"due_on": due_on})
    run = newest[0]
    figures = {"as_of": run.as_of, "due_on": due_on, "status": run.status, "run_id": run.run_id}
    if run.status == "failed":
        return Part("night", "bad", f"the night of {run.as_of} failed: {run.error}", figures)
    if run.as_of < due_on:
        return Part("night", "watch", f"the newest night is that of {run.as_of}; that of {due_on} is due", figures)
    said = "is running" if run.status == "running" else "succeeded"
    return Part("night", "good", f"the night of {run.as_of} {said}", figures)


def _newest_due() -> date:
    """The newest session whose night should be over by now."""
    today = today_in_new_york()
    if is_session(today) and now() >= session_close(today).astimezone(UTC) + NIGHT_AFTER_CLOSE:
        return today
    return previous_session(today)


def _data(session: Session) -> Part:
    sets = freshness(session, as_of=_newest_due())
    behind = {one.dataset: one.sessions_behind for one in sets}
    bars = behind.get("daily_bars")
    figures = {"sessions_behind": behind}
    if bars is None:
        return Part("data", "unknown", "no bars are loaded", figures)
    state: State = "good" if bars == 0 else "watch" if bars <= 3 else "bad"
    return Part(
        "data",
        state,
        "bars are there up to the newest session" if not bars else f"bars end {bars} sessions before the newest",
        figures,
    )


def _models(session: Session) -> Part:
    rows = queries.newest_models(session)
    try:
        day = practice_date(session)
    except DataMissing:
        day = today_in_new_york()
    names = [f"{row.kind} {row.strategy}" for row in rows]
    age = {name: (now() - row.made_at).days for name, row in zip(names, rows, strict=True)}
    over = [name for name, row in zip(names, rows, strict=True) if row.valid_to_on <= day]
    figures = {"age_days": age, "as_of": day}
    if not rows:
        return Part("models", "unknown", "no model has been trained", figures)
    if over:
        return Part("models", "watch", f"no fold may serve on {day}: {', '.join(over)}", figures)
    return Part("models", "good", f"every strategy has a fold that may serve on {day}", figures)


def _audit(session: Session) -> Part:
    row = queries.unsealed_since(session)
    figures = {"waiting": row.waiting, "oldest_at": row.oldest_at}
    if row.oldest_at is not None and now() - row.oldest_at > UNSEALED_FOR:
        return Part(
            "audit", "watch", f"{row.waiting} rows wait for their seal, the oldest since {row.oldest_at}", figures
        )
    return Part("audit", "good", f"{row.waiting} rows wait for their seal", figures)


def _alerts(session: Session) -> Part:
    counts = queries.open_alerts_by_severity(session)
    state: State = "bad" if counts.get("critical") else "watch" if counts.get("warning") else "good"
    said = ", ".join(f"{count} {severity}" for severity, count in sorted(counts.items()))
    return Part("alerts", state, f"open: {said}" if said else "none is open", {"open": counts})


def _switches(session: Session) -> Part:
    engaged = queries.engaged_switches(session)
    if not engaged:
        return Part("kill_switches", "good", "none is engaged", {"engaged": {}})
    state: State = "bad" if "everything" in engaged else "watch"
    said = ", ".join(f"{scope} ({count})" for scope, count in sorted(engaged.items()))
    return Part("kill_switches", state, f"trading is stopped for: {said}", {"engaged": engaged})


def _disk() -> Part:
    folder = get_settings().var_dir
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Part("disk", "unknown", f"the folder of the platform's files cannot be asked: {error.strerror}")
    share = usage.free / usage.total
    state: State = "bad" if share < _FREE_SHARES[0] else "watch" if share < _FREE_SHARES[1] else "good"
    figures = {"free_bytes": usage.free, "total_bytes": usage.total}
    return Part("disk", state, f"{share:.0%} of the disk is free", figures)


def _rounded(seconds: float | Decimal | None) -> float | None:
    return None if seconds is None else round(float(seconds), 1)
