"""A job's run of one session: done once, its answer kept, a failure noted and tried again next time."""

from collections.abc import Callable
from datetime import date
from typing import Any

from core.version import code_commit
from database.queries import runs
from database.session import transaction
from market_data.calendars import require_session
from market_data.service import latest_session

Answer = dict[str, Any]
Seconds = dict[str, float]


def session_asked_for(as_of: date | None) -> date:
    """`as_of`, which must be a session, or the newest one that has bars. NotASession, DataMissing."""
    if as_of is not None:
        return require_session(as_of)
    with transaction() as session:
        return latest_session(session)


def run_once(job: str, as_of: date, book: str, work: Callable[[], tuple[Answer, Seconds]]) -> Answer:
    """What `work` answers, with its seconds by step kept beside it; of a run that has succeeded, what was kept.

    Refused while another process is at it.
    """
    with runs.exclusive_run(job, as_of, book):
        with transaction() as session:
            done = runs.find_run(session, job=job, as_of=as_of, book=book)
            if done is not None and done.status == "succeeded":
                return done.result
            run = runs.claim_run(session, job=job, as_of=as_of, book=book, code_commit=code_commit())
        try:
            answer, seconds = work()
        except Exception as error:
            with transaction() as session:
                runs.fail_run(session, run_id=run.run_id, error=str(error))
            raise
        with transaction() as session:
            runs.finish_run(session, run_id=run.run_id, steps=seconds, result=answer)
    return answer
