"""Work that a caller may ask for twice and that happens once: the answer is stored in the transaction of the effect.

Of fifty parallel requests with one key the first does the work; the others wait for its commit and get its answer. In
one process they wait without thread or connection, so that a crowd does not keep others out; between processes they
wait in the database. A process that dies in the middle leaves neither the effect nor the key.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Annotated, TypeVar
from weakref import WeakValueDictionary

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.cookies import session_cookie
from api.deps import desk
from auth.actor import Actor
from core.errors import KeyReused, StillAtWork
from database.queries import idempotency as queries
from database.session import Session

Answer = TypeVar("Answer", bound=BaseModel)
WAIT_S_MAX = 15.0
_JSON = "application/json"
_RETRY_S = 2
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class OnceKey:
    """The caller's key and what it stands for."""

    def __init__(self, key: str, fingerprint: str) -> None:
        self.key = key
        self.fingerprint = fingerprint


async def _read_key(
    request: Request,
    idempotency_key: Annotated[
        str,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Any string that is new for each new piece of work; a repeat with the same one has no second"
            " effect and gets the same answer.",
        ),
    ],
) -> AsyncIterator[OnceKey]:
    digest = sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    turn = _turn(request, idempotency_key)
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            await turn.acquire()
    except TimeoutError as error:
        raise StillAtWork(
            f"the work asked for with Idempotency-Key {idempotency_key!r} has not ended yet: ask again with it later",
            retry_after_s=_RETRY_S,
        ) from error
    try:
        yield OnceKey(idempotency_key, digest.hexdigest())
    finally:
        turn.release()


def _turn(request: Request, key: str) -> asyncio.Lock:
    """The lock of this caller's key, alive as long as somebody holds it or waits."""
    who = request.headers.get("authorization") or request.cookies.get(session_cookie()) or ""
    name = sha256(f"{who}\n{key}".encode()).hexdigest()
    return _turns.setdefault(name, asyncio.Lock())


Once = Annotated[OnceKey, Depends(_read_key, scope="function")]


def do_once(
    once: OnceKey,
    actor: Actor,
    work: Callable[[Session], Answer],
    *,
    status: int = 200,
    headers: Callable[[Answer], dict[str, str]] = lambda answer: {},
) -> Response:
    """The answer of `work`, done in the actor's transaction, or the one that the key already got.

    KeyReused where the key stood for another request. Errors of `work` are not stored: the key is free again.
    """
    with desk(actor) as session:
        stored = queries.take_key(session, user_id=actor.user_id, key=once.key, fingerprint=once.fingerprint)
        if stored is not None:
            if stored.fingerprint != once.fingerprint or stored.status is None:
                raise KeyReused(once.key)
            repeated = {**(stored.headers or {}), "Idempotency-Replayed": "true"}
            return Response(stored.body, status_code=stored.status, media_type=_JSON, headers=repeated)
        answer = work(session)
        body, extra = answer.model_dump_json().encode(), headers(answer)
        queries.keep_answer(session, user_id=actor.user_id, key=once.key, status=status, headers=dict(extra), body=body)
    return Response(body, status_code=status, media_type=_JSON, headers=extra)
