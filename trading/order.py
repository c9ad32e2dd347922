"""An order's states, and the moves between them, as data: any other move is refused."""

import hashlib
from collections.abc import Mapping

from core.errors import TransitionRefused
from database.tables.orders import STATES

STARTS = frozenset({"planned", "external"})
OPEN = frozenset({"planned", "intent", "sending", "accepted", "partial", "unknown"})
AT_BROKER = frozenset({"sending", "accepted", "partial", "unknown"})
TERMINAL = frozenset({"filled", "canceled", "rejected", "expired"})

MOVES: Mapping[tuple[str, str], str] = {
    ("planned", "intent"): "approved: it is to be sent",
    ("planned", "canceled"): "withdrawn before approval",
    ("planned", "expired"): "its session passed before approval",
    ("intent", "sending"): "claimed and committed; the broker is called next",
    ("intent", "canceled"): "withdrawn before it was sent",
    ("intent", "expired"): "its session passed before it was sent",
    ("sending", "accepted"): "the broker has it",
    ("sending", "partial"): "the broker's first answer holds a part of the fill",
    ("sending", "filled"): "the broker's first answer holds the whole fill",
    ("sending", "rejected"): "the broker refuses it",
    ("sending", "unknown"): "no answer, or one that cannot be read: it may or may not be there",
    ("sending", "intent"): "withheld before the broker was called: a kill switch was thrown after the claim",
    ("sending", "canceled"): "withdrawn after the claim, before the broker was called",
    ("unknown", "intent"): "proof that the broker never had it: it may be sent, under the same id",
    ("unknown", "accepted"): "found at the broker",
    ("unknown", "partial"): "found at the broker, partly filled",
    ("unknown", "filled"): "found at the broker, filled",
    ("unknown", "canceled"): "found at the broker, canceled",
    ("unknown", "rejected"): "found at the broker, refused",
    ("unknown", "expired"): "its session passed and the broker never had it, or let it expire",
    ("accepted", "partial"): "a part is filled",
    ("accepted", "filled"): "all is filled",
    ("accepted", "canceled"): "canceled before any fill",
    ("accepted", "rejected"): "the broker or the exchange refuses it after all",
    ("accepted", "expired"): "no fill in its time",
    ("accepted", "unknown"): "the broker answers with a status that we cannot read",
    ("partial", "partial"): "more of it is filled",
    ("partial", "filled"): "the rest is filled",
    ("partial", "canceled"): "the rest is canceled",
    ("partial", "expired"): "the rest found no fill in its time",
    ("partial", "unknown"): "the broker answers with a status that we cannot read",
    ("canceled", "partial"): "real world: a fill overtook the cancel",
    ("canceled", "filled"): "real world: the whole fill overtook the cancel",
    ("expired", "partial"): "real world: a late report of a fill before expiry",
    ("expired", "filled"): "real world: a late report of the whole fill before expiry",
    ("external", "partial"): "placed outside the platform, partly filled",
    ("external", "filled"): "placed outside the platform, filled",
    ("external", "canceled"): "placed outside the platform, canceled",
}


def require_move(from_state: str, to_state: str) -> str:
    """The note of a permitted move; raises TransitionRefused for any other."""
    note = MOVES.get((from_state, to_state))
    if note is None:
        allowed = sorted(to for start, to in MOVES if start == from_state)
        raise TransitionRefused(
            f"an order cannot move from {from_state!r} to {to_state!r}; from there it may become"
            f" {', '.join(allowed) or 'nothing: the state is final'}"
        )
    return note


def client_order_id(*, account_id: int, target_id: int, instrument_id: int, attempt: int = 1) -> str:
    """Our id of one leg of one plan: the same inputs give the same id, so a repeated send is recognised.

    `attempt` rises only after proof that the attempt before it is dead.
    """
    digest = hashlib.sha256(f"{account_id}|{target_id}|{instrument_id}|{attempt}".encode()).hexdigest()
    return f"acis-{digest[:32]}"


assert {state for move in MOVES for state in move} == set(STATES), "the state table and the schema disagree"
