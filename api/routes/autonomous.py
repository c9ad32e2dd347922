"""Accounts that trade by themselves: settings, limits, pause, resume, decisions, and the night at hand."""

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.once import Once, do_once
from api.schemas.autonomous import AutonomousChange, AutonomousOut, AutonomousOverview, Mode, NightAsked
from api.schemas.page import Page
from api.schemas.practice import Reason
from api.schemas.recommendations import RecommendationOut
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from clients.practice import practice_date
from core.clock import now
from core.errors import NotFound
from core.jobs import Nightly
from database.queries import autonomous as lists
from database.queries import recommendations
from database.queries.kill_switches import engaged_switches
from database.session import Session
from jobs.timetable import entry_named, next_due
from trading import autonomy
from trading import desk as trading_desk
from trading.approval import AUTONOMOUS
from trading.proposal import RULES

router = Word("autonomous", tags=["autonomous"])
AccountId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("")
def list_autonomous(
    search: Search = None,
    mode: Mode | None = None,
    client_id: Number = None,
    sort: Annotated[str, Query(max_length=32, description="client, mode or changed_at; `-` before it.")] = "client",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("autonomous.read"),
) -> Page[AutonomousOut]:
    """Every open account: whether it trades by itself, within which limits, and what its last night came to."""
    with desk(actor) as session:
        rows = lists.page_of_accounts(
            session,
            session_on=practice_date(session),
            mode=mode,
            client_id=client_id,
            search=search,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return Page[AutonomousOut].of(rows, AutonomousOut.model_validate)


@router.get("/overview")
def show_autonomous_overview(actor: Actor = needs("autonomous.read")) -> AutonomousOverview:
    """Who is on automatic, when the next night runs, and how many kill switches are on."""
    with desk(actor) as session:
        next_on, next_at = next_due(entry_named(Nightly.name), now())
        return AutonomousOverview.model_validate(
            {
                **lists.count_modes(session),
                "last_night_on": practice_date(session),
                "next_run_at": next_at,
                "next_night_on": next_on,
                "engaged_kill_switches": len(engaged_switches(session)),
            }
        )


@router.get("/decisions")
def list_autonomous_decisions(
    account_id: Number = None,
    client_id: Number = None,
    session_on: date | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("autonomous.read"),
) -> Page[RecommendationOut]:
    """What was decided without a person, the newest first: approved by the account's autonomy, refused by the rules."""
    filters = recommendations.Filters(
        account_id=account_id, client_id=client_id, session_on=session_on, decided_by=(AUTONOMOUS, RULES)
    )
    with desk(actor) as session:
        rows = recommendations.page_of_recommendations(
            session, filters=filters, sort="-recommendation_id", limit=limit, cursor=cursor
        )
        return Page[RecommendationOut].of(rows, RecommendationOut.model_validate)


@router.post("/run", status_code=202, response_model=NightAsked)
def run_night(once: Once, actor: Actor = needs("autonomous.write")) -> Response:
    """Run the night at hand now, beside the timetable: today's where its bars are there, else the book's next one."""

    def work(session: Session) -> NightAsked:
        return NightAsked.model_validate(trading_desk.run_night(session, actor=actor.email, user_id=actor.user_id))

    return do_once(once, actor, work, status=202)


@router.get("/{account_id}")
def show_autonomous(account_id: AccountId, actor: Actor = needs("autonomous.read")) -> AutonomousOut:
    """One account's settings and its last night."""
    with desk(actor) as session:
        look(session, actor=actor.email, subject="account", subject_id=account_id)
        return _shown(session, account_id)


@router.patch("/{account_id}")
def change_autonomous(
    account_id: AccountId, given: AutonomousChange, actor: Actor = needs("autonomous.write")
) -> AutonomousOut:
    """Switch it on or off, set or lift its limits; null lifts one."""
    names = {"is_enabled": "enabled"}
    changes: dict[str, Any] = {names.get(key, key): getattr(given, key) for key in given.model_fields_set}
    if changes.get("enabled", True) is None:
        del changes["enabled"]
    with desk(actor) as session:
        autonomy.change_settings(session, account_id=account_id, changes=changes, actor=actor.email)
        return _shown(session, account_id)


@router.post("/{account_id}/pause")
def pause_autonomous(account_id: AccountId, given: Reason, actor: Actor = needs("autonomous.write")) -> AutonomousOut:
    """Let nothing be traded in it without a person, with the reason, until it is resumed."""
    with desk(actor) as session:
        autonomy.pause(session, account_id=account_id, reason=given.reason, actor=actor.email)
        return _shown(session, account_id)


@router.post("/{account_id}/resume")
def resume_autonomous(account_id: AccountId, actor: Actor = needs("autonomous.write")) -> AutonomousOut:
    """Let it trade by itself again."""
    with desk(actor) as session:
        autonomy.resume(session, account_id=account_id, actor=actor.email)
        return _shown(session, account_id)


def _shown(session: Session, account_id: int) -> AutonomousOut:
    row = lists.find_shown(session, account_id=account_id, session_on=practice_date(session))
    if row is None:
        raise NotFound("account", account_id)
    return AutonomousOut.model_validate(row)
