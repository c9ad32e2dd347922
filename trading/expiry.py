"""When a proposal is void: at the open that it was made for, on the clock of whoever made it.

A night that runs in its own time proposes in the evening for the next morning: from that open on, by the clock on the
wall, its proposals are void, and so are orders that were approved and not yet sent. A night of the past (a demo, a
replay, a night caught up with) proposes when its open is long over by that clock; there the book's own time counts,
which stands still until its next night settles (`trading.settlement` makes what is older void). A live account never
trades late, so that its proposals of a past night are void from the start.
"""

from datetime import date, datetime

from core.clock import now
from database.queries import orders as queries
from database.queries.orders import RecommendationRow
from database.session import Session
from market_data.calendars import is_session, next_session, session_open


def expires_at(as_of: date, *, kind: str) -> datetime | None:
    """From when proposals made now, after the session `as_of`, are void; None where only the book's next night says."""
    if not is_session(as_of):
        return None
    opens_at = session_open(next_session(as_of))
    return opens_at if now() < opens_at or kind == "live" else None


def is_void(row: RecommendationRow) -> bool:
    """Whether the proposal is expired, written down or not."""
    return row.status == "expired" or (
        row.status == "proposed" and row.expires_at is not None and row.expires_at <= now()
    )


def expire_due(session: Session) -> int:
    """Write down which proposals are void by now; lists and decisions know it before. Returns how many."""
    return queries.expire_due(session)
