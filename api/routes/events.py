"""What happens, as it happens: one stream for everything that a page shows."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Header, Query, Request

from api.deps import desk, needs
from api.schemas.jobs import JobOut
from api.streams import BEGIN, PING, PING_S, EventStream, Hub, event
from api.word import Word
from auth.actor import Actor
from core.clock import now
from core.errors import InputError, NotAllowed, NotSignedIn, Unreachable
from database.queries import jobs as queries
from database.queries.accounts import accounts_seen

router = Word("events", tags=["events"])

# Topic -> the permission that it takes.
TOPICS = {"jobs": "jobs.read", "orders": "orders.read", "recommendations": "recommendations.read"}
# A job's last status is written in a transaction of its own: none takes longer to commit.
OVERLAP = timedelta(minutes=2)
REPLAYED_MAX = timedelta(hours=24)
_JOBS_MAX = 200
_GATHER_S = 0.3  # what changes within it is told in one


@router.get("", response_class=EventStream)
async def follow_events(
    request: Request,
    topics: Annotated[
        str | None,
        Query(max_length=100, description=f"Some of {', '.join(TOPICS)}, commas between; without it, all one may see."),
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=64, description="As the browser sends it.")] = None,
    actor: Actor = needs("jobs.read"),
) -> EventStream:
    """One stream a page. `jobs` carries a job's state whenever it changes, `orders` and `recommendations` the number
    of an account whose rows changed: read them again.

    `reset` names topics of which anything may have changed: it comes first, and whenever the stream may have missed
    something; read again what is shown. After it come the open jobs and those that ended since `Last-Event-ID`. So
    every change is told at least once, some twice. `signed-out` is the end of the caller's sign-in.
    """
    wanted = _wanted(topics, actor)
    hub: Hub = request.app.state.hub
    return EventStream(_follow(hub, actor, wanted, _since(last_event_id)))


async def _follow(hub: Hub, actor: Actor, topics: Collection[str], since: datetime) -> AsyncIterator[str]:
    with hub.subscribed(topics, user_id=actor.user_id) as subscription:
        yield BEGIN
        await hub.listening()
        subscription.miss()
        while True:
            missed, changed = subscription.take()
            at = now()
            try:
                told = await hub.read(lambda: _look(actor, topics, changed, since if missed else None))  # noqa: B023
            except Unreachable:
                told, missed = [], False
                subscription.miss()
                yield PING
                await asyncio.sleep(_GATHER_S)
            except NotSignedIn as error:
                yield event("signed-out", {"detail": str(error)})
                return
            if missed:
                yield event("reset", {"topics": sorted(topics)}, id=at.isoformat())
                since = at
            for topic, data in told:
                yield event(topic, data, id=at.isoformat())
            if not await subscription.wait(PING_S):
                yield PING
            elif not missed:
                await asyncio.sleep(_GATHER_S)


def _look(
    actor: Actor, topics: Collection[str], changed: dict[str, set[int]], since: datetime | None
) -> list[tuple[str, Any]]:
    """What changed of what the actor may see; with `since`, the jobs that changed after it. NotSignedIn."""
    told: list[tuple[str, Any]] = []
    with desk(actor) as session:
        if since is not None and "jobs" in topics:
            recent = queries.jobs_changed_since(session, at=since - OVERLAP, limit=_JOBS_MAX)
            told += [("jobs", JobOut.of(job)) for job in reversed(recent)]
        elif changed.get("jobs"):
            told += [("jobs", JobOut.of(job)) for job in queries.jobs_numbered(session, job_ids=changed["jobs"])]
        for topic in ("recommendations", "orders"):
            seen = accounts_seen(session, account_ids=changed[topic]) if changed.get(topic) else []
            told += [(topic, {"account_id": account_id}) for account_id in seen]
    return told


def _wanted(topics: str | None, actor: Actor) -> list[str]:
    if topics is None:
        return [topic for topic, permission in TOPICS.items() if actor.may(permission)]
    words = [word.strip() for word in topics.split(",") if word.strip()]
    unknown = [word for word in words if word not in TOPICS]
    if unknown or not words:
        raise InputError(f"topics is {topics!r}: give some of {', '.join(TOPICS)}, commas between")
    for word in words:
        if not actor.may(TOPICS[word]):
            raise NotAllowed(f"the role {actor.role} has no right {TOPICS[word]}: leave the topic {word} out")
    return words


def _since(last_event_id: str | None) -> datetime:
    """When the caller last heard something; now where it says nothing that can be read."""
    at = now()
    try:
        heard = datetime.fromisoformat(last_event_id or "")
    except ValueError:
        return at
    return at if heard.tzinfo is None else min(at, max(heard, at - REPLAYED_MAX))
