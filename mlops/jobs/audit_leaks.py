"""Probe the decision path for leaks and keep the result beside the code's hash, so that the gate can ask for it."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from core.clock import today_in_new_york
from core.jobs import AuditLeaks, Ticket
from core.progress import Progress, silent
from core.version import code_commit
from database.queries.bars import last_session_on
from database.session import transaction
from mlops.leaks.audit import ProbeReport, run_probes
from mlops.leaks.page import page_of
from registry.alerts import raise_alert, settle_alerts
from registry.leaks import leak_state, record_leak_audit

SUBJECT = "leak probes"


@dataclass(frozen=True)
class LeakReport:
    """One audit. `status`: clean, found or not_run, as the gate will read it; `code_hash` of what was probed."""

    leak_audit_id: int
    as_of: date
    status: str
    reason: str
    code_hash: str
    code_commit: str
    is_deep: bool
    probes: tuple[ProbeReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "probes": [probe.as_dict() for probe in self.probes]}

    def page(self) -> str:
        """As a page of Markdown."""
        return page_of(
            self.probes,
            as_of=self.as_of,
            verdict=self.status,
            reason=self.reason,
            code_hash=self.code_hash,
            code_commit=self.code_commit,
        )


def run_audit_leaks(*, as_of: date | None = None, is_deep: bool = False, progress: Progress = silent) -> LeakReport:
    """Run every leak probe, store the result, and raise an alert where something was found.

    Without `as_of` stored rows up to the newest bars are looked at; an empty database leaves them out and says so.
    """
    if as_of is None:
        with transaction() as session:
            as_of = last_session_on(session) or today_in_new_york()
    reports = run_probes(as_of=as_of, is_deep=is_deep, progress=progress)
    with transaction() as session:
        audit = record_leak_audit(session, as_of=as_of, probes=[report.as_dict() for report in reports])
        state = leak_state(session)
        if state.status == "found":
            raise_alert(session, severity="critical", subject=SUBJECT, text=state.reason)
        elif state.status == "clean":
            settle_alerts(session, subject=SUBJECT)
    return LeakReport(
        leak_audit_id=audit.leak_audit_id,
        as_of=as_of,
        status=state.status,
        reason=state.reason,
        code_hash=state.code_hash,
        code_commit=code_commit(),
        is_deep=is_deep,
        probes=tuple(reports),
    )


def perform(job: AuditLeaks, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    report = run_audit_leaks(as_of=job.as_of, is_deep=job.is_deep, progress=ticket.progress)
    return {"leak_audit_id": report.leak_audit_id, "status": report.status, "reason": report.reason}
