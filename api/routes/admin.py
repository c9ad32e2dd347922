"""The machinery, for admins: who did what, whether that record is sound, how all is set, and how it stands."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime

from api.deps import Cursor, Limit, desk, needs
from api.schemas.admin import (
    AuditOut,
    NightOut,
    NightStepOut,
    OpenWorkOut,
    PartOut,
    PipelineOut,
    SettingOut,
    SystemHealthOut,
    VerificationOut,
    WaitingOut,
)
from api.schemas.page import Page
from api.sheets import ANSWERS, csv_response
from api.word import Word
from auth.actor import Actor
from auth.anchors import read_anchors
from auth.audit import look, record
from auth.seals import verify
from core.clock import now
from core.config import get_settings, shown_settings
from core.errors import TooLarge
from database.paging import Row
from database.queries.audit import audit_page
from jobs import machinery
from jobs.machinery import Night, Part

router = Word("admin", tags=["admin"])

EXPORTED_ROWS_MAX = 50_000
_WORST = ("bad", "watch", "unknown", "good")
_COLUMNS = tuple(AuditOut.model_fields)

_Word = Annotated[str | None, Query(max_length=64, pattern=r"^[\x20-\x7e]+$")]
_Moment = Annotated[AwareDatetime | None, Query(description="With an offset, as 2026-03-02T09:30:00Z.")]


def _read_filter(
    who: Annotated[str | None, Query(alias="actor", max_length=254, examples=["ada@firm.example"])] = None,
    action: _Word = None,
    subject: _Word = None,
    subject_id: _Word = None,
    from_at: _Moment = None,
    to_at: _Moment = None,
) -> Mapping[str, Any]:
    """Which records are looked for; all of it must fit, word for word."""
    return {
        "actor": who,
        "action": action,
        "subject": subject,
        "subject_id": subject_id,
        "from_at": from_at,
        "to_at": to_at,
    }


Filter = Annotated[Mapping[str, Any], Depends(_read_filter)]


@router.get("/audit")
def list_audit(
    wanted: Filter,
    sort: Literal["at", "-at"] = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("audit.read"),
) -> Page[AuditOut]:
    """Who changed or saw what, the newest first."""
    with desk(actor) as session:
        look(session, actor=actor.email, subject="audit", subject_id="all")
        found = audit_page(session, sort=sort, limit=limit, cursor=cursor, **wanted)
        return Page[AuditOut].of(found, _record)


@router.get("/audit/export", responses=ANSWERS, response_class=Response)
def export_audit(wanted: Filter, actor: Actor = needs("audit.read")) -> Response:
    """The records as a file, the newest first; 413 where more fit than one file holds."""
    with desk(actor) as session:
        found = audit_page(session, sort="-at", limit=EXPORTED_ROWS_MAX, cursor=None, **wanted)
        if found.next is not None:
            raise TooLarge(f"more than {EXPORTED_ROWS_MAX} records fit: narrow from_at and to_at, or name an actor")
        after = {name: str(value) for name, value in wanted.items() if value is not None}
        record(session, actor=actor.email, action="export", subject="audit", subject_id="all", after=after)
        return csv_response("audit.csv", _COLUMNS, _cells(found.rows))


@router.get("/audit/verification")
def verify_audit(
    newest: Annotated[int, Query(ge=1, le=100_000, description="How many seals, from the end of the chain.")] = 10_000,
    actor: Actor = needs("audit.read"),
) -> VerificationOut:
    """Recompute the end of the chain and hold it against the anchors; `acis audit verify` goes along the whole."""
    file = get_settings().audit_anchor_file
    anchors = read_anchors(file) if file.is_file() else []
    with desk(actor) as session:
        return VerificationOut.model_validate(verify(session, anchors, newest=newest))


@router.get("/settings")
def list_settings(actor: Actor = needs("admin.read")) -> list[SettingOut]:
    """Every setting in force, where it comes from, secrets masked."""
    with desk(actor):  # whoever was signed out a minute ago is shown nothing
        return [SettingOut.model_validate(one) for one in shown_settings()]


@router.get("/health")
async def show_system_health(request: Request, actor: Actor = needs("admin.read")) -> SystemHealthOut:
    """How each part of the machinery stands; what cannot be known is `unknown`."""
    redis = _redis(await request.app.state.rates.answers())
    parts = [*await run_in_threadpool(_look_over, actor), redis]
    worst = min((part.state for part in parts), key=_WORST.index)
    return SystemHealthOut(state=worst, at=now(), parts=[PartOut.model_validate(part) for part in parts])


@router.get("/pipeline")
def show_pipeline(
    nights: Annotated[int, Query(ge=1, le=60, description="How many nights back.")] = 10,
    actor: Actor = needs("admin.read"),
) -> PipelineOut:
    """How far the newest nights came, step by step, what runs now, and what waits."""
    with desk(actor) as session:
        return PipelineOut(
            nights=[_night(night) for night in machinery.nights(session, limit=nights)],
            work=[OpenWorkOut.model_validate(job) for job in machinery.open_work(session)],
            waiting=WaitingOut(**machinery.waiting(session)),
        )


def _record(row: Row[Any]) -> AuditOut:
    said = {name: getattr(row.AuditRecord, name) for name in _COLUMNS if name != "seal_id"}
    return AuditOut(**said, seal_id=row.seal_id)


def _cells(rows: Sequence[Row[Any]]) -> Iterator[list[Any]]:
    for row in rows:
        cells = _record(row).model_dump(mode="json")
        for name in ("before", "after"):
            cells[name] = None if cells[name] is None else json.dumps(cells[name], ensure_ascii=False)
        yield [cells[name] for name in _COLUMNS]


def _look_over(actor: Actor) -> list[Part]:
    with desk(actor) as session:
        return machinery.look_over(session)


def _redis(answers: bool) -> Part:
    if answers:
        return Part("redis", "good", "it answers")
    return Part("redis", "watch", "it does not answer: each process counts calls for itself, jobs go without messages")


def _night(night: Night) -> NightOut:
    run, steps = night.run, [NightStepOut.model_validate(step) for step in night.steps]
    return NightOut(
        run_id=run.run_id,
        as_of=run.as_of,
        status=run.status,
        attempt=run.attempt,
        error=run.error,
        code_commit=run.code_commit,
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds=round(sum(step.seconds or 0.0 for step in steps), 4),
        counts=night.counts,
        steps=steps,
    )
