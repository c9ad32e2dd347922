"""Reports on clients: asked for, listed, read as figures or as a page to print."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from api.deps import Cursor, Limit, desk, needs
from api.once import Once, do_once
from api.schemas.page import Page
from api.schemas.reports import ReportHead, ReportIn, ReportOut, ReportSort
from auth.actor import Actor
from auth.audit import look
from core.errors import NotFound, Refused
from database.queries import reports as queries
from database.session import Session
from database.tables.reports import Report
from portfolios.reports import ask_for_report

router = APIRouter(tags=["reports"])

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
# The page carries its own style and nothing else: no script, no picture, no form, no frame around it.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
}


@router.post("/clients/{client_id}/reports", response_model=ReportHead, status_code=202)
def make_client_report(client_id: Id, wanted: ReportIn, once: Once, actor: Actor = needs("reports.write")) -> Response:
    """Ask for a report on a client; its job fills it in."""

    def work(session: Session) -> BaseModel:
        report = ask_for_report(
            session,
            client_id=client_id,
            from_on=wanted.from_on,
            to_on=wanted.to_on,
            actor=actor.email,
            requested_by=actor.user_id,
        )
        return ReportHead.model_validate(queries.report_head(session, report_id=report.report_id))

    return do_once(once, actor, work, status=202, headers=_location)


@router.get("/reports")
def list_reports(
    client_id: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="On one client.")] = None,
    sort: ReportSort = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("portfolio.read"),
) -> Page[ReportHead]:
    """Reports on the clients that the caller may see."""
    with desk(actor) as session:
        page = queries.reports_page(session, client_id=client_id, sort=sort, limit=limit, cursor=cursor)
        return Page.of(page, ReportHead.model_validate)


@router.get("/reports/{report_id}")
def show_report(report_id: Id, actor: Actor = needs("portfolio.read")) -> ReportOut:
    """A report as figures."""
    with desk(actor) as session:
        report = _find(session, actor, report_id)
        head = ReportHead.model_validate(queries.report_head(session, report_id=report_id))
        return ReportOut(**head.model_dump(), content=report.content)


@router.get("/reports/{report_id}/page", response_class=HTMLResponse)
def show_report_page(report_id: Id, actor: Actor = needs("portfolio.read")) -> Response:
    """A report as a page of HTML that can be printed."""
    with desk(actor) as session:
        report = _find(session, actor, report_id)
        if report.page is None:
            raise Refused(f"report {report_id} is not ready: wait for its job {report.job_id}")
        return HTMLResponse(report.page, headers=_PAGE_HEADERS)


def _find(session: Session, actor: Actor, report_id: int) -> Report:
    report = queries.find_report(session, report_id=report_id)
    if report is None:
        raise NotFound("report", report_id)
    look(session, actor=actor.email, subject="report", subject_id=report_id)
    return report


def _location(answer: BaseModel) -> dict[str, str]:
    assert isinstance(answer, ReportHead)
    return {"Location": f"/api/v1/reports/{answer.report_id}"}
