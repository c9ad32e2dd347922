"""One night, step by step: the only order in which the platform's verbs run.

Paper and replay call this same function, and live will; they differ in the book and in the brokers of its accounts.
Each step is a transaction of its own and safe to repeat, so a night that was cut off is simply run again.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from clients.service import PAPER_BOOK
from core.errors import DataMissing
from core.jobs import Nightly
from core.log import get_logger
from core.progress import Progress, silent
from core.version import code_commit
from database.queries import runs
from database.queries.accounts import accounts_in_book
from database.queries.roles import versions_in_service
from database.session import Session, transaction
from features.service import build_features
from market_data.service import Universe, require_session, universe_on
from ml_models.outcomes import outcomes
from ml_models.service import ScoreBatch, score_night
from mlops.sending import send_approved
from portfolios.standings import keep_standings
from quant.service import RegimeReading, detect_regime
from registry.drift import read_drift
from registry.service import Candidate, drift_is_wanted, judge_candidates
from registry.serving import title
from registry.shadow import Finding, keep_ledger, review
from rl_trading.service import Allocation, allocate_night
from strategies.service import StrategyChoice, Target, choose_strategy, set_targets
from trading.service import (
    ClientReport,
    approve_autonomous,
    book_report,
    check_orders,
    propose_orders,
    reconcile_book,
    settle_book,
    value_accounts,
)

JOB = "nightly"
STEPS = Nightly.steps
_log = get_logger("mlops")


@dataclass(frozen=True)
class Decision:
    """What the night decided for everybody, before any account."""

    universe: Universe
    judged: list[Candidate]
    scores: list[ScoreBatch]
    scorers: dict[int, str]
    regime: RegimeReading
    allocations: list[Allocation]
    reviewed: list[Finding]
    choice: StrategyChoice


class Clockwork:
    """Times the night's steps, each in a transaction of its own, and tells the listener."""

    def __init__(self, run_id: int, progress: Progress) -> None:
        self.run_id = run_id
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[Session]:
        """One step: commits at its end; its seconds are stored with the run."""
        self._progress(f"night: {name}", STEPS.index(name), len(STEPS))
        begun = time.perf_counter()
        with transaction() as session:
            yield session
            self.seconds[name] = round(time.perf_counter() - begun, 4)
            runs.keep_steps(session, run_id=self.run_id, steps=self.seconds)


def run_night(*, as_of: date, book: str = PAPER_BOOK, progress: Progress = silent) -> dict[str, Any]:
    """Run the night of the session `as_of` for the accounts of `book`; returns its report as JSON-ready data.

    A night that has succeeded is not run again: its stored report comes back. One that was cut off or failed is
    carried on. Raises NotASession, DataMissing, or Refused (another process is at it, or the book has lived past that
    date).
    """
    require_session(as_of)
    with runs.exclusive_run(JOB, as_of, book):
        with transaction() as session:
            done = runs.find_run(session, job=JOB, as_of=as_of, book=book)
            if done is not None and done.status == "succeeded":
                return done.result
            _require_accounts(session, as_of, book)
            run = runs.claim_run(session, job=JOB, as_of=as_of, book=book, code_commit=code_commit())
        try:
            clockwork = Clockwork(run.run_id, progress)
            decision = decide(as_of, clockwork)
            reports, targets = trade(as_of, book, clockwork)
            result = _report(run.run_id, run.code_commit, as_of, book, decision, targets, reports, clockwork.seconds)
        except Exception as error:
            with transaction() as session:
                runs.fail_run(session, run_id=run.run_id, error=str(error))
            raise
        with transaction() as session:
            runs.finish_run(session, run_id=run.run_id, steps=clockwork.seconds, result=result)
    _log.info("night done", as_of=str(as_of), book=book, run_id=run.run_id)
    return result


def decide(as_of: date, clockwork: Clockwork) -> Decision:
    """From bars to the strategy chosen: the part of the night that is the same for every book."""
    with clockwork.step("features"):
        build_features()
    with clockwork.step("universe") as session:
        universe = universe_on(session, as_of=as_of)
    with clockwork.step("drift") as session:
        if drift_is_wanted(session, as_of=as_of):
            _look_for_drift(session, as_of)
    with clockwork.step("judging") as session:
        judged = judge_candidates(session, as_of=as_of)
    with clockwork.step("scores") as session:
        scores = score_night(session, as_of=as_of)
        in_service = versions_in_service(session, kind="screener", as_of=as_of)
        scorers = {model.model_version_id: title(model) for model in in_service}
    with clockwork.step("regime") as session:
        regime = detect_regime(session, as_of=as_of)
    with clockwork.step("allocations") as session:
        allocations = allocate_night(session, as_of=as_of)
    with clockwork.step("shadow") as session:
        keep_ledger(session, as_of=as_of)
    with clockwork.step("review") as session:
        reviewed = review(session, as_of=as_of)
    with clockwork.step("strategy") as session:
        choice = choose_strategy(session, as_of=as_of)
    return Decision(universe, judged, scores, scorers, regime, allocations, reviewed, choice)


def _look_for_drift(session: Session, as_of: date) -> None:
    """Read drift before the gate asks for it; where it cannot be read it stays unknown, which the gate can bear."""
    try:
        read_drift(session, as_of=as_of, outcomes=outcomes(as_of=as_of))
    except DataMissing as error:
        _log.warning("drift is not known", as_of=str(as_of), why=str(error))


def trade(as_of: date, book: str, clockwork: Clockwork) -> tuple[list[ClientReport], list[Target]]:
    """From targets to fills and valuations, for the accounts of one book."""
    with clockwork.step("settling") as session:
        settle_book(session, as_of=as_of, book=book)
    with clockwork.step("targets") as session:
        targets = set_targets(session, as_of=as_of, book=book)
    with clockwork.step("proposals") as session:
        propose_orders(session, as_of=as_of, book=book)
    with clockwork.step("checks") as session:
        check_orders(session, as_of=as_of, book=book)
    with clockwork.step("approval") as session:
        approve_autonomous(session, as_of=as_of, book=book)
    with clockwork.step("sending"):
        send_approved(as_of, book)
    with clockwork.step("fills") as session:
        reconcile_book(session, as_of=as_of, book=book)
    with clockwork.step("valuation") as session:
        value_accounts(session, as_of=as_of, book=book)
        reports = book_report(session, as_of=as_of, book=book)
    with clockwork.step("standings") as session:
        keep_standings(session, as_of=as_of, book=book)
    return reports, targets


def _require_accounts(session: Session, as_of: date, book: str) -> None:
    if accounts_in_book(session, book=book, as_of=as_of):
        return
    opened = [account.opened_on for account in accounts_in_book(session, book=book)]
    if not opened:
        raise DataMissing(f"book {book!r} has no accounts: `acis client add NAME` opens one, `acis demo` makes samples")
    raise DataMissing(
        f"as_of is {as_of}, but the first account of book {book!r} opens on {min(opened)}:"
        f" give a later date, or look back with `acis replay --from {as_of} --to {as_of}`"
    )


def _report(
    run_id: int,
    commit: str,
    as_of: date,
    book: str,
    decision: Decision,
    targets: list[Target],
    reports: list[ClientReport],
    seconds: dict[str, float],
) -> dict[str, Any]:
    universe, choice = decision.universe, decision.choice
    scored = {batch.strategy: batch for batch in decision.scores}
    weighed = {allocation.strategy: allocation for allocation in decision.allocations}
    return {
        "run_id": run_id,
        "as_of": as_of.isoformat(),
        "book": book,
        "code_commit": commit,
        "regime": {
            "label": decision.regime.label,
            "detector": decision.regime.detector,
            "probabilities": decision.regime.probabilities,
            "other_detectors": decision.regime.other_labels,
        },
        "strategy": {"name": choice.strategy, "reason": choice.reason},
        "counts": {
            "universe": len(universe.instrument_ids),
            "index_members": universe.members,
            "screened": scored[choice.strategy].scored_count,
            "targets": len(targets),
            "target_positions": max((len(target.weights) for target in targets), default=0),
            "orders": sum(report.orders for report in reports),
            "refused": sum(report.refused for report in reports),
            "fills": sum(report.fills for report in reports),
            "waiting": sum(report.waiting for report in reports),
        },
        "strategies": [
            {
                "strategy": name,
                "status": batch.status,
                "reason": batch.reason,
                "scored_by": _scorer(decision, batch),
                "scored_reason": batch.source_reason or None,
                "eligible": batch.eligible_count,
                "screened": batch.scored_count,
                "allocator": weighed[name].allocator if name in weighed else None,
                "allocator_reason": weighed[name].reason if name in weighed else None,
            }
            for name, batch in sorted(scored.items())
        ],
        "models": {
            "judged": [asdict(candidate) for candidate in decision.judged],
            "shadow": [asdict(finding) for finding in decision.reviewed],
        },
        "clients": [_client(report, targets) for report in reports],
        "seconds": {**seconds, "total": round(sum(seconds.values()), 4)},
    }


def _scorer(decision: Decision, batch: ScoreBatch) -> str | None:
    """The model version that scored, or the plain rule; nobody where the strategy was refused."""
    if batch.status == "refused":
        return None
    return "plain rule" if batch.model_version_id is None else decision.scorers[batch.model_version_id]


def _client(report: ClientReport, targets: list[Target]) -> dict[str, Any]:
    """A client's report as JSON: money as decimal text would be exact but awkward, so as numbers of USD and cents."""
    target = next((target for target in targets if target.account_id == report.account_id), None)
    by_rule = Counter(refusal.rule for refusal in report.refusals)
    numbers = {
        name: float(value) if name.endswith("_usd") else value
        for name, value in asdict(report).items()
        if name != "refusals"
    }
    return {
        **numbers,
        "strategy": target.strategy if target else None,
        "strategy_reason": target.reason if target else None,
        "refused_by_rule": dict(sorted(by_rule.items())),
        "refusals": [{**asdict(refusal), "quantity": int(refusal.quantity)} for refusal in report.refusals],
    }
