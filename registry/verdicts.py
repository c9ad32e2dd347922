"""The gate's word on a version, stored: from which evidence, as of which date, and why."""

from datetime import date

from core.version import code_commit
from database.queries.verdicts import add_verdict, newest_verdict
from database.session import Session, advisory_lock
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from registry.evidence import Circumstances, Docket, drift_of_inputs, gather, summary, summary_hash
from registry.gate import judge

# A version in service gathers evidence day by day; four times a year the gate looks at it again.
REJUDGED_AFTER_DAYS = 91


def judge_version(session: Session, *, model: ModelVersion, as_of: date) -> GateVerdict:
    """Judge a version on all that was known on `as_of`, and store the verdict with its evidence.

    The same evidence gives the verdict that is stored already. All trials count: nobody can say how many there were.
    """
    return judge_by_docket(session, model, Docket(session, kind=model.kind, as_of=as_of))


def judge_by_docket(session: Session, model: ModelVersion, docket: Docket) -> GateVerdict:
    """The same for one of several versions that are judged on one date."""
    advisory_lock(session, f"acis:verdict:{model.model_version_id}")
    now = docket.circumstances(drift_of_inputs(session, model, as_of=docket.as_of))
    evidence = gather(session, model, docket, now)
    content = summary(evidence, now, trial_id=model.trial_id)
    digest = summary_hash(content)
    newest = newest_verdict(session, model_version_id=model.model_version_id, as_of=docket.as_of)
    if newest is not None and newest.evidence_hash == digest:
        return newest
    verdict = judge(evidence)
    return add_verdict(
        session,
        GateVerdict(
            model_version_id=model.model_version_id,
            as_of=docket.as_of,
            verdict=verdict.verdict,
            reason=verdict.reason,
            checks=[check.as_dict() for check in verdict.checks],
            evidence=content,
            evidence_hash=digest,
            trials=now.trials,
            code_commit=code_commit(),
        ),
    )


def is_due(model: ModelVersion, newest: GateVerdict | None, now: Circumstances, *, as_of: date) -> bool:
    """Whether the gate has something new to say: never judged in service, long ago, or under other circumstances."""
    if newest is None or newest.as_of < model.valid_from_on or (as_of - newest.as_of).days >= REJUDGED_AFTER_DAYS:
        return True
    return bool(newest.evidence.get("circumstances") != now.as_dict())
