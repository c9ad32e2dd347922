"""Stops orders from leaving: for one client, for one strategy, or for everything. Rows in PostgreSQL, nothing else.

A switch is read where proposals are judged, where they are approved, where orders are claimed, and once more in the
moment before a broker is called. There the senders share a turn that the switcher waits for, so that an order leaves
either before the switch was thrown or not at all. What cannot be read stops everything: the reading raises, and its
caller sends nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from auth.audit import record
from core.errors import InputError, NotFound, Refused, UnknownName
from database.queries import kill_switches as queries
from database.session import Session
from database.tables.kill_switches import KillSwitch

SCOPES = ("client", "strategy", "everything")
EVERYTHING = "everything"
_WAIT_MS = 1000


@dataclass(frozen=True)
class Thrown:
    """A switch that is on. `is_settled`: nothing under way at that moment can leave any more; where it is not, one
    call to a broker was still open after a second, and only what that call holds may still arrive."""

    kill_switch_id: int
    is_settled: bool


def engage(
    session: Session,
    *,
    scope: str,
    reason: str,
    actor: str,
    client_id: int | None = None,
    strategy: str | None = None,
    known_strategies: Collection[str] = (),
) -> Thrown:
    """Throw a switch: once this transaction has committed no order under it leaves.

    InputError where scope, client and strategy do not fit together, UnknownName for a strategy that nobody follows;
    Refused where it is on already.
    """
    reason = _reason(reason)
    wanted = {"client": (True, False), "strategy": (False, True), EVERYTHING: (False, False)}[scope]
    if (client_id is not None, strategy is not None) != wanted:
        raise InputError(
            f"scope is {scope!r} with client_id {client_id} and strategy {strategy!r}: name the client for 'client',"
            " the strategy for 'strategy', neither for 'everything'"
        )
    if strategy is not None and strategy not in known_strategies:
        raise UnknownName("strategy", strategy, list(known_strategies))
    is_settled = queries.take_turn_to_switch(session, wait_ms=_WAIT_MS)
    key = queries.engage(session, scope=scope, client_id=client_id, strategy=strategy, reason=reason, engaged_by=actor)
    if key is None:
        raise Refused(f"the kill switch for {_target(scope, strategy)} is on already: release it first, or leave it on")
    after = {"scope": scope, "client_id": client_id, "strategy": strategy, "reason": reason}
    record(session, actor=actor, action="engage", subject="kill_switch", subject_id=key, after=after)
    return Thrown(key, is_settled)


def release(session: Session, *, kill_switch_id: int, reason: str, actor: str, typed: str | None = None) -> KillSwitch:
    """Let orders leave again. For everything the word itself must be `typed`. What was withheld waits to be sent anew.

    NotFound, InputError without the typed word, Refused where it is off already.
    """
    reason = _reason(reason)
    switch = queries.find_switch(session, kill_switch_id=kill_switch_id, is_locked=True)
    if switch is None:
        raise NotFound("kill switch", kill_switch_id)
    if switch.released_at is not None:
        raise Refused(f"kill switch {kill_switch_id} was released by {switch.released_by} already")
    if switch.scope == EVERYTHING and typed != EVERYTHING:
        raise InputError(f"typed is {typed!r}: type {EVERYTHING!r} to let the whole firm trade again")
    queries.release(session, kill_switch_id=kill_switch_id, released_by=actor, reason=reason)
    before = {"scope": switch.scope, "client_id": switch.client_id, "strategy": switch.strategy}
    record(
        session,
        actor=actor,
        action="release",
        subject="kill_switch",
        subject_id=kill_switch_id,
        before=before,
        after={"reason": reason},
    )
    return switch


def stopped_by(switches: Sequence[KillSwitch], *, client_id: int, strategy: str | None) -> str | None:
    """Why nothing may leave for this client and strategy, in a sentence; None where it may."""
    for switch in switches:
        if switch.scope == EVERYTHING or switch.client_id == client_id or (strategy and switch.strategy == strategy):
            return (
                f"the kill switch for {_target(switch.scope, switch.strategy)} is on since"
                f" {switch.engaged_at:%Y-%m-%d %H:%M} UTC: {switch.reason}"
            )
    return None


def _target(scope: str, strategy: str | None) -> str:
    return {"client": "this client", "strategy": f"strategy {strategy}", EVERYTHING: "everything"}[scope]


def _reason(reason: str) -> str:
    stripped = reason.strip()
    if not stripped:
        raise InputError("reason is empty: say why, those who come later will ask")
    return stripped
