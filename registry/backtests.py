"""Back-tests that people ask for: what may be asked, what it will take, and what came of it. All of it is hypothetical.

A back-test is one more look at the past: how often anybody looked stands beside every result (ADR 0027).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from core import clock
from core.errors import DataMissing, InputError, NotAllowed, NotFound
from core.jobs import Job, Replay, RunBacktest
from database.queries import backtests as queries
from database.queries.backtests import Span
from database.queries.models import find_versions
from database.queries.verdicts import newest_verdicts
from database.session import Session
from jobs.service import submit
from market_data.calendars import sessions_between
from registry.evidence import BASELINES
from registry.trials import count_trials

OPTIMISERS = BASELINES["allocator"]
YEARS_MAX = 15
SESSIONS_MIN = 21
REPLAY_SESSIONS_MAX = 756
_SOURCES = {
    "out_of_fold": "out-of-fold scores",
    "served": "nights' own screens",
    "plain_rule": "features for the plain rule",
}
# Measured on two cores: a fresh process and its libraries, a year of bars, one decision, one night.
_SECONDS_BEFORE, _SECONDS_A_YEAR, _SECONDS_A_YEAR_OF_RULE = 5.0, 0.2, 0.3
_SECONDS_A_DECISION = {"equal_weight": 0.0, "inverse_volatility": 0.001}
_SECONDS_A_DECISION_OTHERWISE = 0.01
_SECONDS_A_NIGHT = 2.5


@dataclass(frozen=True)
class Plan:
    """What a back-test would be: its sessions, about how often it decides and how long it takes, and what to know."""

    sessions: int
    decisions: int
    seconds: float
    data: Span
    notes: tuple[str, ...]


def plan_backtest(session: Session, job: RunBacktest) -> Plan:
    """InputError, with the remedy, for what cannot be tested; DataMissing where there is nothing to test on."""
    if job.optimiser not in OPTIMISERS:
        raise InputError(f"optimiser is {job.optimiser!r}: give one of {', '.join(OPTIMISERS)}")
    if job.stocks * job.position_weight_max < 1.0:
        raise InputError(
            f"position_weight_max is {job.position_weight_max:g}: {job.stocks} stocks cannot hold everything, give"
            f" {1.0 / job.stocks:.4f} or more"
        )
    span = data_spans(session, strategies=[job.strategy])[job.strategy][job.scores]
    what = _SOURCES[job.scores]
    if span.first_on is None or span.last_on is None:
        raise DataMissing(
            f"there are no {what} of {job.strategy} yet: train its screener, run nights or build features"
        )
    days = _require_period(job.from_on, job.to_on, span, what)
    if (job.to_on - job.from_on).days > 366 * YEARS_MAX:
        raise InputError(f"from_on is {job.from_on}, more than {YEARS_MAX} years before {job.to_on}: give a later day")
    decisions = -(-len(days) // max(job.rebalance_sessions, 5 if job.scores != "served" else 1))
    years = len(days) / 252
    each = _SECONDS_A_DECISION.get(job.optimiser, _SECONDS_A_DECISION_OTHERWISE)
    reading = years * (_SECONDS_A_YEAR_OF_RULE if job.scores == "plain_rule" else _SECONDS_A_YEAR)
    return Plan(len(days), decisions, round(_SECONDS_BEFORE + reading + decisions * each, 1), span, _notes(job, days))


def plan_replay(session: Session, job: Replay) -> Plan:
    """The same for a replay of every night of a stretch."""
    span = queries.bars_span(session)
    if span.first_on is None or span.last_on is None:
        raise DataMissing("there are no bars to live through: load some with `acis data load-sample`")
    days = _require_period(job.from_on, job.to_on, span, "bars")
    if len(days) > REPLAY_SESSIONS_MAX:
        raise InputError(
            f"from_on is {job.from_on}: {len(days)} sessions are more than the {REPLAY_SESSIONS_MAX} that are replayed"
            f" at once, give {days[-REPLAY_SESSIONS_MAX]} or later"
        )
    notes = ("every night is run whole, on copies of the paper accounts, with the models that might serve it then",)
    return Plan(len(days), len(days), round(len(days) * _SECONDS_A_NIGHT, 1), span, notes)


def data_spans(session: Session, *, strategies: Collection[str]) -> dict[str, dict[str, Span]]:
    """By strategy and kind of scores, from when to when they can be tested on."""
    folds = queries.out_of_fold_spans(session)
    nights = queries.served_spans(session)
    features = queries.features_span(session)
    return {
        name: {
            "out_of_fold": folds.get(name, queries.NOTHING),
            "served": nights.get(name, queries.NOTHING),
            "plain_rule": features,
        }
        for name in strategies
    }


def _require_period(from_on: date, to_on: date, span: Span, what: str) -> list[date]:
    assert span.first_on is not None
    assert span.last_on is not None
    if to_on < from_on:
        raise InputError(f"from_on is {from_on} and to_on is {to_on}: the first must not be later than the last")
    if from_on < span.first_on:
        raise InputError(f"from_on is {from_on}, but {what} begin on {span.first_on}: give that day or a later one")
    if to_on > span.last_on:
        raise InputError(f"to_on is {to_on}, but {what} end on {span.last_on}: give that day or an earlier one")
    days = sessions_between(from_on, to_on)
    if len(days) < SESSIONS_MIN:
        raise InputError(
            f"from {from_on} to {to_on} are {len(days)} trading sessions: give at least {SESSIONS_MIN}, about a month"
        )
    return days


def _notes(job: RunBacktest, days: list[date]) -> tuple[str, ...]:
    notes = ["hypothetical: nobody held this portfolio, and whoever looks often enough at the past finds something"]
    if len(days) < 252:
        notes.append("shorter than a year: nothing will be annualised")
    if job.cost_multiple < 1:
        notes.append("costs below the standard ones: what it earns could not have been earned")
    if job.scores != "served" and job.rebalance_sessions < 5:
        notes.append("these scores are weekly: it decides every fifth session at most")
    return tuple(notes)


def ask(session: Session, job: RunBacktest | Replay, *, title: str | None, actor: str, requested_by: int | None) -> int:
    """Queue a back-test or replay that can be done; its number. Raises as the plans do.

    A replay lives in copies of clients' accounts: its job's own words are for whoever asked, its result names nobody.
    """
    if isinstance(job, RunBacktest):
        plan_backtest(session, job)
    else:
        plan_replay(session, job)
    job_id = submit(session, job, actor=actor, requested_by=requested_by, is_private=isinstance(job, Replay))
    kind = "backtest" if isinstance(job, RunBacktest) else "replay"
    row = queries.add_backtest(
        session,
        job_id=job_id,
        title=title or usual_title(job),
        parameters={"kind": kind, **job.model_dump(mode="json")},
        created_by=actor,
    )
    return row.backtest_id


def usual_title(job: Job) -> str:
    """What a back-test is called that nobody named."""
    if isinstance(job, RunBacktest):
        return f"{job.strategy}, {_SOURCES[job.scores]}, {job.optimiser}, {job.from_on} to {job.to_on}"
    assert isinstance(job, Replay)
    return f"replay, {job.from_on} to {job.to_on}"


def keep(
    session: Session, *, job_id: int, measures: dict[str, Any], series: dict[str, Any], trades: dict[str, Any]
) -> None:
    """Store what came of the back-test that a job was asked for; a job without one leaves nothing."""
    queries.keep_result(session, job_id=job_id, measures=measures, series=series, trades=trades)


def standing_of(session: Session, *, strategy: str) -> dict[str, Any]:
    """What stands beside every result of a strategy: how often anybody looked, and what the gate says of its screener.

    `gate` is None where no version was judged.
    """
    versions = {row.model_version_id: row.version for row in find_versions(session, name=f"screener-{strategy}")}
    verdicts = newest_verdicts(session, model_version_ids=list(versions), as_of=date.max)
    newest = max(verdicts.values(), key=lambda row: (row.as_of, row.verdict_id), default=None)
    return {
        "trials": count_trials(session, kind="screener"),
        "backtests": queries.count_backtests(session, strategy=strategy),
        "gate": None
        if newest is None
        else {
            "model": f"screener-{strategy}",
            "version": versions[newest.model_version_id],
            "verdict": newest.verdict,
            "reason": newest.reason,
            "as_of": newest.as_of.isoformat(),
        },
    }


def archive(session: Session, *, backtest_id: int, actor: str, is_admin: bool) -> None:
    """Take a back-test off the list. NotFound, and NotAllowed for those of others, unless an admin does it."""
    row = queries.find_backtests(session, backtest_ids=[backtest_id]).get(backtest_id)
    if row is None:
        raise NotFound("back-test", backtest_id)
    if row.created_by != actor and not is_admin:
        raise NotAllowed(f"back-test {backtest_id} was asked for by {row.created_by}: only they or an admin archive it")
    queries.archive(session, backtest_id=backtest_id, at=clock.now())
