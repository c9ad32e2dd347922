"""Whether the code as it stands was probed for leaks, and with what result.

A leak is anything by which a decision knows what was known only later. An audit counts for the very sources that it
ran over: one changed line on the path from data to orders, or in the probes, and the answer is `not_run` again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any, Literal

from core.config import REPOSITORY
from core.version import code_commit
from database.queries.leak_audits import add_leak_audit, newest_leak_audit
from database.session import Session
from database.tables.leak_audits import LeakAudit

Status = Literal["clean", "found", "not_run"]

# Everything between the stored data and the targets, and the probes themselves. Read as text: some of it imports
# libraries that this room may not.
PROBED = (
    "database/queries/bars.py",
    "database/queries/corporate_actions.py",
    "database/queries/fundamentals.py",
    "database/queries/index_memberships.py",
    "database/queries/instruments.py",
    "database/queries/macro_series.py",
    "database/queries/scores.py",
    "features",
    "quant",
    "ml_models",
    "rl_trading",
    "strategies",
    "mlops/leaks",
)


@dataclass(frozen=True)
class LeakState:
    """What is known about the code that runs now, with the reason in a sentence; None where no audit ran."""

    status: Status
    code_hash: str
    reason: str
    leak_audit_id: int | None
    as_of: date | None


@cache
def probed_code_hash() -> str:
    """SHA-256 over the source of every module on the path from data to targets, and of the probes."""
    digest = sha256()
    for place in PROBED:
        path = REPOSITORY / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(str(file.relative_to(REPOSITORY)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def record_leak_audit(session: Session, *, as_of: date, probes: Sequence[Mapping[str, Any]]) -> LeakAudit:
    """Store one run of the probes over the code as it is.

    Each of `probes` holds at least name, status (clean, found or not_run) and is_required. The run is clean when none
    found anything and all required ones ran: a probe that did not run proves nothing.
    """
    found = any(probe["status"] == "found" for probe in probes)
    complete = all(probe["status"] == "clean" for probe in probes if probe["is_required"])
    return add_leak_audit(
        session,
        LeakAudit(
            as_of=as_of,
            code_hash=probed_code_hash(),
            is_clean=bool(probes) and complete and not found,
            probes=[dict(probe) for probe in probes],
            code_commit=code_commit(),
        ),
    )


def leak_state(session: Session) -> LeakState:
    """The newest audit of the code that runs now: `not_run` where there is none or it is not complete."""
    code_hash = probed_code_hash()
    audit = newest_leak_audit(session, code_hash=code_hash)
    if audit is None:
        reason = "the code as it is was never probed for leaks: run `acis audit leaks`"
        return LeakState("not_run", code_hash, reason, None, None)
    found = [probe["name"] for probe in audit.probes if probe["status"] == "found"]
    left_out = [probe["name"] for probe in audit.probes if probe["is_required"] and probe["status"] == "not_run"]
    status: Status = "found" if found else "clean" if audit.is_clean else "not_run"
    clean = sum(probe["status"] == "clean" for probe in audit.probes)
    reason = {
        "found": f"the leak probes found something: {', '.join(found)}",
        "clean": f"{clean} of {len(audit.probes)} leak probes ran and found nothing",
        "not_run": f"leak probes that must run did not: {', '.join(left_out) or 'all'}",
    }[status]
    return LeakState(status, code_hash, reason, audit.leak_audit_id, audit.as_of)
