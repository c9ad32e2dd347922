"""Reports on clients: asked for, filled in by their job, listed."""

from datetime import date
from typing import Any

from sqlalchemy import select, update

from database.paging import Page, read_page
from database.session import Session
from database.tables.households import Client
from database.tables.jobs import QueuedJob
from database.tables.reports import Report

_HEAD = (
    Report.report_id,
    Report.client_id,
    Client.name.label("client"),
    Report.job_id,
    QueuedJob.status,
    QueuedJob.error,
    Report.from_on,
    Report.to_on,
    Report.page.is_not(None).label("is_ready"),
    Report.created_by,
    Report.created_at,
)


def add_report(session: Session, *, client_id: int, job_id: int, from_on: date, to_on: date, created_by: str) -> Report:
    """A report that its job is to fill in."""
    report = Report(client_id=client_id, job_id=job_id, from_on=from_on, to_on=to_on, created_by=created_by)
    session.add(report)
    session.flush()
    return report


def report_of_job(session: Session, *, job_id: int) -> Report | None:
    """The report that a job was asked for."""
    return session.scalar(select(Report).where(Report.job_id == job_id))


def fill_report(session: Session, *, report_id: int, content: dict[str, Any], page: str) -> None:
    """Put in what the report says; a second attempt replaces the first."""
    session.execute(update(Report).where(Report.report_id == report_id).values(content=content, page=page))


def find_report(session: Session, *, report_id: int) -> Report | None:
    """One report, if it may be seen."""
    return session.get(Report, report_id)


def report_head(session: Session, *, report_id: int) -> Any | None:
    """A report without its content, with its client's name and its job's state."""
    query = select(*_HEAD).join(Client, Client.client_id == Report.client_id)
    return session.execute(
        query.join(QueuedJob, QueuedJob.job_id == Report.job_id).where(Report.report_id == report_id)
    ).first()


def reports_page(session: Session, *, client_id: int | None, sort: str, limit: int, cursor: str | None) -> Page:
    """Reports without their content, by `created_at`, `to_on` or `client`."""
    query = (
        select(*_HEAD)
        .join(Client, Client.client_id == Report.client_id)
        .join(QueuedJob, QueuedJob.job_id == Report.job_id)
    )
    if client_id is not None:
        query = query.where(Report.client_id == client_id)
    return read_page(
        session,
        query,
        sorts={"created_at": Report.created_at, "to_on": Report.to_on, "client": Client.name},
        key=Report.report_id,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
