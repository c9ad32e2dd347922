"""Kill switches: what is stopped, stop it, let it go on. Rows in the database and nothing else."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.deps import Cursor, Limit, desk, needs
from api.once import Once, do_once
from api.schemas.kill_switches import (
    KillSwitchEngaged,
    KillSwitchIn,
    KillSwitchOut,
    KillSwitchRelease,
    KillSwitchReleased,
)
from api.schemas.page import Page
from api.word import Word
from auth.actor import Actor
from core.errors import NotAllowed, NotFound
from database.paging import Row
from database.queries import kill_switches as lists
from database.queries.households import find_client
from database.session import Session
from strategies.library import STRATEGIES
from trading import desk as trading_desk
from trading import kill_switch

router = Word("kill-switches", tags=["kill switches"])
SwitchId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_FIRM = "kill_switches.firm"


@router.get("")
def list_kill_switches(
    engaged: Annotated[bool | None, Query(description="Only those that are on, or off; without it, all.")] = None,
    sort: Annotated[str, Query(max_length=32, description="engaged_at or scope; `-` before it: the other way.")] = (
        "-engaged_at"
    ),
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("autonomous.read"),
) -> Page[KillSwitchOut]:
    """Switches that were thrown, the newest first; those of clients are seen by whoever sees the client."""
    with desk(actor) as session:
        rows = lists.page_of_switches(session, engaged=engaged, sort=sort, limit=limit, cursor=cursor)
        return Page[KillSwitchOut].of(rows, _out)


@router.post("", status_code=201, response_model=KillSwitchEngaged)
def engage_kill_switch(given: KillSwitchIn, once: Once, actor: Actor = needs("recommendations.decide")) -> Response:
    """Stop every order of a client, a strategy or the firm; only an admin stops a strategy or everything."""

    def work(session: Session) -> KillSwitchEngaged:
        _require_right(actor, given.scope)
        if given.client_id is not None and find_client(session, client_id=given.client_id) is None:
            raise NotFound("client", given.client_id)
        thrown = kill_switch.engage(
            session,
            scope=given.scope,
            client_id=given.client_id,
            strategy=given.strategy,
            reason=given.reason,
            known_strategies=STRATEGIES,
            actor=actor.email,
        )
        return KillSwitchEngaged.model_validate(thrown)

    return do_once(once, actor, work, status=201)


@router.post("/{kill_switch_id}/release", response_model=KillSwitchReleased)
def release_kill_switch(
    kill_switch_id: SwitchId, given: KillSwitchRelease, once: Once, actor: Actor = needs("recommendations.decide")
) -> Response:
    """Let orders leave again, with the reason; the word `everything` must be typed where all was stopped."""

    def work(session: Session) -> KillSwitchReleased:
        switch = lists.find_switch(session, kill_switch_id=kill_switch_id)
        if switch is None:
            raise NotFound("kill switch", kill_switch_id)
        _require_right(actor, switch.scope)
        done = trading_desk.release(
            session,
            kill_switch_id=kill_switch_id,
            reason=given.reason,
            typed=given.typed,
            is_sending=given.send_waiting,
            actor=actor.email,
            user_id=actor.user_id,
        )
        return KillSwitchReleased.model_validate(done)

    return do_once(once, actor, work)


def _require_right(actor: Actor, scope: str) -> None:
    if scope != "client" and not actor.may(_FIRM):
        raise NotAllowed(f"the role {actor.role} throws switches of single clients only: ask an admin for {scope!r}")


def _out(row: Row[Any]) -> KillSwitchOut:
    columns = {name: getattr(row.KillSwitch, name) for name in KillSwitchOut.model_fields if name != "client"}
    return KillSwitchOut.model_validate({**columns, "client": row.client})
