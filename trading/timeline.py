"""Moves orders through the state table, with the evidence of each move kept."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.clock import now
from core.errors import TransitionRefused
from database.queries import orders as queries
from database.session import Session
from trading.order import STARTS, require_move


@dataclass(frozen=True)
class Move:
    """One order's step, and what proves it."""

    order_id: int
    from_state: str
    to_state: str
    evidence: dict[str, Any] = field(default_factory=dict)


def start_orders(session: Session, *, order_ids: Sequence[int], state: str, evidence: dict[str, Any]) -> None:
    """Begin the timeline of new orders."""
    assert state in STARTS, f"an order cannot start as {state}"
    at = now()
    queries.insert_events(
        session,
        events=[
            {"order_id": order_id, "at": at, "from_state": None, "to_state": state, "evidence": evidence}
            for order_id in order_ids
        ],
    )


def move_orders(session: Session, moves: Sequence[Move]) -> None:
    """Make the moves, in order for each order, and add them to the timelines.

    Raises TransitionRefused for a move that the state table does not hold, and when an order is no longer where the
    move starts: someone else has moved it meanwhile.
    """
    at = now()
    events = []
    rounds: list[dict[tuple[str, str], list[int]]] = []
    steps: dict[int, int] = defaultdict(int)
    for move in moves:
        require_move(move.from_state, move.to_state)
        if steps[move.order_id] == len(rounds):
            rounds.append(defaultdict(list))
        rounds[steps[move.order_id]][move.from_state, move.to_state].append(move.order_id)
        steps[move.order_id] += 1
        events.append(
            {
                "order_id": move.order_id,
                "at": at,
                "from_state": move.from_state,
                "to_state": move.to_state,
                "evidence": move.evidence,
            }
        )
    for step in rounds:
        for (from_state, to_state), order_ids in step.items():
            moved = queries.move_orders(session, order_ids=order_ids, from_state=from_state, to_state=to_state)
            if len(moved) != len(order_ids):
                missing = sorted(set(order_ids) - set(moved))
                raise TransitionRefused(f"orders {missing} are no longer {from_state!r}: they were moved meanwhile")
    queries.insert_events(session, events=events)
