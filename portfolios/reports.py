"""Reports on clients: asked for in one transaction, made by a job in another."""

from datetime import date, timedelta
from typing import Any

from auth.audit import record
from core.errors import DataMissing, InputError
from core.jobs import MakeReport
from core.progress import Progress, silent
from database.queries import reports as queries
from database.session import Session
from database.tables.reports import Report
from jobs.service import submit
from portfolios.content import write_content
from portfolios.page import write_page
from portfolios.view import open_view

DAYS_MAX = 366 * 10


def ask_for_report(
    session: Session, *, client_id: int, from_on: date | None, to_on: date | None, actor: str, requested_by: int | None
) -> Report:
    """A report over the days after `from_on` up to `to_on`; without them, over the year up to now.

    NotFound for a client that may not be seen, InputError for days that are no period.
    """
    view = open_view(session, kind="client", key=client_id, as_of=to_on)
    end = view.moment.as_of
    start = from_on or date(end.year - 1, 12, 31)
    if start >= end:
        raise InputError(f"from_on is {start} and to_on is {end}: the first must be earlier than the last")
    if end - start > timedelta(days=DAYS_MAX):
        raise InputError(f"from_on is {start}, more than ten years before {end}: give a later day")
    job_id = submit(
        session,
        MakeReport(client_id=client_id, from_on=start, to_on=end),
        actor=actor,
        requested_by=requested_by,
        client_id=client_id,
    )
    report = queries.add_report(session, client_id=client_id, job_id=job_id, from_on=start, to_on=end, created_by=actor)
    after = {"client_id": client_id, "from_on": start, "to_on": end}
    record(session, actor=actor, action="add", subject="report", subject_id=report.report_id, after=after)
    return report


def make_report(session: Session, *, job_id: int, progress: Progress = silent) -> dict[str, Any]:
    """Fill in the report that the job was asked for; made twice, it is the same. DataMissing where there is none."""
    report = queries.report_of_job(session, job_id=job_id)
    if report is None:
        raise DataMissing(f"no report belongs to job {job_id}: ask for the report, not for its job")
    progress("figures", 0, 2)
    view = open_view(session, kind="client", key=report.client_id, as_of=report.to_on)
    content = write_content(session, view, from_on=report.from_on)
    progress("page", 1, 2)
    queries.fill_report(session, report_id=report.report_id, content=content, page=write_page(content))
    progress("page", 2, 2)
    return {"report_id": report.report_id, "client_id": report.client_id}
