"""Holdings from a file: looked at first, then booked, and undone while nothing has touched them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from api.deps import Cursor, Limit, desk, needs
from api.once import Once, do_once
from api.schemas.imports import ImportApplied, ImportApply, ImportMode, ImportOut, ImportRowOut, ImportShown, RowStatus
from api.schemas.page import Page
from api.sheets import ANSWERS, csv_response
from api.uploads import File, takes_file
from auth.actor import Actor
from auth.audit import look
from clients import service
from clients.holdings_file import BYTES_MAX, TEMPLATE
from core.errors import InputError, NotFound, TooLarge
from core.jobs import ApplyImport
from database.queries import holding_imports as lists
from database.session import Session
from jobs.service import submit
from portfolios import standings
from trading import imports

router = APIRouter(tags=["imports"])
_PROBLEMS_SHOWN = 50
_FORM_BYTES = 10_000


@router.get("/imports/template.csv", response_class=Response, responses=ANSWERS)
def show_import_template(actor: Actor = needs("clients.read")) -> Response:  # noqa: ARG001
    """A file to begin with: its columns, and two holdings."""
    columns, *rows = (line.split(",") for line in TEMPLATE.splitlines())
    return csv_response("holdings.csv", columns, rows)


@router.post(
    "/accounts/{account_id}/imports",
    status_code=201,
    response_model=ImportShown,
    openapi_extra=takes_file(TEMPLATE, bytes_max=BYTES_MAX + _FORM_BYTES),
)
def preview_import(
    account_id: int,
    file: File,
    mode: Annotated[
        ImportMode, Query(description="replace: the file is the whole truth; add: its lots come in on top.")
    ] = "replace",
    file_name: Annotated[str | None, Query(max_length=255, description="Where the body itself is the file.")] = None,
    actor: Actor = needs("clients.write"),
) -> ImportShown:
    """Read a broker's export and show what it would change; nothing is booked. A preview before this is out of date."""
    if len(file.content) > BYTES_MAX:
        raise TooLarge(f"the file is larger than {BYTES_MAX:,} bytes: split it")
    with desk(actor) as session:
        brought = imports.preview_import(
            session,
            account_id=account_id,
            content=file.content,
            file_name=file.file_name or file_name or "holdings.csv",
            mode=mode,
            as_of=service.practice_date(session),
            actor=actor.email,
        )
        return _shown(session, brought.holding_import_id)


@router.get("/imports")
def list_imports(
    account_id: int | None = None,
    client_id: int | None = None,
    status: Annotated[list[Literal["previewed", "applied", "undone", "superseded"]] | None, Query(max_length=4)] = None,
    sort: Annotated[str, Query(max_length=32, description="created_at or client; `-` before it: the other way.")] = (
        "-created_at"
    ),
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[ImportOut]:
    """Imports, newest first."""
    with desk(actor) as session:
        rows = lists.page_imports(
            session,
            account_id=account_id,
            client_id=client_id,
            statuses=status or (),
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return Page[ImportOut].of(rows, ImportOut.of)


@router.get("/imports/{import_id}")
def show_import(import_id: int, actor: Actor = needs("clients.read")) -> ImportShown:
    """One import with what it would change or has changed."""
    with desk(actor) as session:
        brought = imports.find_import(session, import_id=import_id)
        look(session, actor=actor.email, subject="account", subject_id=brought.account_id)
        return _shown(session, import_id)


@router.get("/imports/{import_id}/rows")
def list_import_rows(
    import_id: int,
    status: RowStatus | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    actor: Actor = needs("clients.read"),
) -> Page[ImportRowOut]:
    """The rows of the file in their order, all or those of one status."""
    with desk(actor) as session:
        brought = imports.find_import(session, import_id=import_id)
        look(session, actor=actor.email, subject="account", subject_id=brought.account_id)
        rows = lists.rows_of_import(session, import_id=import_id, status=status, after=_line(cursor), limit=limit + 1)
        counts = brought.changes["counts"]
        return Page[ImportRowOut](
            items=[ImportRowOut.model_validate(row) for row in rows[:limit]],
            next=str(rows[limit - 1]["number"]) if len(rows) > limit else None,
            total=None if cursor else counts[status] if status else sum(counts.values()),
        )


@router.get("/imports/{import_id}/errors.csv", response_class=Response, responses=ANSWERS)
def download_import_errors(import_id: int, actor: Actor = needs("clients.read")) -> Response:
    """Every mistake of the file as CSV: line, symbol, field, value, remedy."""
    with desk(actor) as session:
        brought = imports.find_import(session, import_id=import_id)
        look(session, actor=actor.email, subject="account", subject_id=brought.account_id)
        mistakes = [
            (row["number"], row["symbol"], error["field"], error["value"], error["remedy"])
            for row in brought.rows
            for error in row["errors"]
        ]
    return csv_response(f"import-{import_id}-errors.csv", ("row", "symbol", "field", "value", "remedy"), mistakes)


@router.post("/imports/{import_id}/apply", response_model=ImportApplied)
def apply_import(import_id: int, given: ImportApply, once: Once, actor: Actor = needs("clients.write")) -> Response:
    """Book what the preview showed: at once, or by a job where the file is large (`job_id`).

    Refused where rows have mistakes (unless skipped), and where the account's holdings have changed since the preview.
    """

    def work(session: Session) -> ImportApplied:
        brought = imports.require_applicable(session, import_id=import_id, skip_errors=given.skip_errors)
        if _is_large(brought.changes["counts"]):
            job_id = submit(
                session,
                ApplyImport(import_id=import_id, skip_errors=given.skip_errors),
                actor=actor.email,
                requested_by=actor.user_id,
                account_id=brought.account_id,
            )
            return ImportApplied(job_id=job_id, booked=None)
        as_of = service.practice_date(session)
        imports.apply_import(
            session, import_id=import_id, skip_errors=given.skip_errors, as_of=as_of, actor=actor.email
        )
        standings.refresh(session, account_ids=[brought.account_id], as_of=as_of)
        return ImportApplied(job_id=None, booked=_shown(session, import_id))

    return do_once(once, actor, work)


@router.post("/imports/{import_id}/undo", response_model=ImportShown)
def undo_import(import_id: int, once: Once, actor: Actor = needs("clients.write")) -> Response:
    """Reverse a booked import; refused once some of its shares were sold, split or taken out."""

    def work(session: Session) -> ImportShown:
        as_of = service.practice_date(session)
        brought = imports.undo_import(session, import_id=import_id, as_of=as_of, actor=actor.email)
        standings.refresh(session, account_ids=[brought.account_id], as_of=as_of)
        return _shown(session, import_id)

    return do_once(once, actor, work)


def _shown(session: Session, import_id: int) -> ImportShown:
    brought = imports.find_import(session, import_id=import_id)
    row = lists.import_row(session, import_id=import_id)
    if row is None:
        raise NotFound("import", import_id)
    problems = lists.rows_of_import(session, import_id=import_id, status="error", after=0, limit=_PROBLEMS_SHOWN)
    counts = brought.changes["counts"]
    return ImportShown.show(row, brought.changes, problems, is_job=_is_large(counts))


def _is_large(counts: dict[str, int]) -> bool:
    return sum(counts.values()) > imports.ROWS_AT_ONCE_MAX


def _line(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 9:
        raise InputError("cursor is not one of ours: take `next` of the page before, or leave it out")
    return int(cursor)
