"""An order's timeline in words: what each step means, and what proved it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.queries.kill_switches import engaged_switches, leaving
from database.session import Session
from database.tables.orders import OrderEvent
from trading.kill_switch import stopped_by
from trading.order import MOVES, STARTS

_WORDS = ("reason", "error", "decided_by", "canceled_by")


@dataclass(frozen=True)
class Step:
    """One move; `meaning` is the state table's sentence, `because` what the evidence says in words."""

    at: datetime
    from_state: str | None
    to_state: str
    meaning: str
    because: str | None
    evidence: dict[str, Any]


def tell_steps(events: Sequence[OrderEvent]) -> list[Step]:
    """The timeline, oldest first."""
    return [
        Step(
            at=event.at,
            from_state=event.from_state,
            to_state=event.to_state,
            meaning=_meaning(event),
            because="; ".join(str(event.evidence[word]) for word in _WORDS if event.evidence.get(word)) or None,
            evidence=event.evidence,
        )
        for event in events
    ]


def why_it_waits(session: Session, *, client_order_id: str, state: str) -> str | None:
    """The kill switch that holds an approved order back, in a sentence; None where none does."""
    if state not in {"planned", "intent"}:
        return None
    known = leaving(session, client_order_ids=[client_order_id])[client_order_id]
    return stopped_by(engaged_switches(session), client_id=known.client_id, strategy=known.strategy)


def _meaning(event: OrderEvent) -> str:
    if event.from_state is None:
        assert event.to_state in STARTS, f"no order starts as {event.to_state}"
        return "made from a recommendation" if event.to_state == "planned" else "placed outside the platform"
    return MOVES[event.from_state, event.to_state]
