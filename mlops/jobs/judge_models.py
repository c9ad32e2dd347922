"""Let the gate judge the versions of a date anew; its word then decides who serves and who runs in shadow."""

from dataclasses import asdict
from datetime import date
from typing import Any

from core.jobs import JudgeModels, Ticket
from core.progress import Progress, silent
from database.queries.runs import exclusive_run
from database.session import transaction
from market_data.service import latest_session
from registry.service import Candidate, judge_candidates

_BOOK = "models"  # models belong to no account's book


def run_judge_models(*, as_of: date | None = None, progress: Progress = silent) -> list[Candidate]:
    """Judge every version that may serve on `as_of` (default: the newest session) from all that was known by then.

    A version whose evidence has not changed keeps its verdict; a second run changes nothing.
    """
    with transaction() as session:
        day = as_of or latest_session(session)
    with exclusive_run(JudgeModels.name, day, _BOOK):
        progress("judge models", 0, 1)
        with transaction() as session:
            candidates = judge_candidates(session, as_of=day, anew=True)
        progress("judge models", 1, 1)
    return candidates


def perform(job: JudgeModels, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return {"judged": [asdict(one) for one in run_judge_models(as_of=job.as_of, progress=ticket.progress)]}
