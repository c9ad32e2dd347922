"""What the dispatcher sees to from time to time beside the jobs: a name, how often, and the verb."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from auth.seals import seal
from core.clock import now
from database.queries import idempotency
from database.session import Session
from jobs.dispatch import forget_old_events
from trading.expiry import expire_due

KEYS_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Chore:
    """Every so many seconds, in a transaction of its own; doing it twice is doing it once."""

    every_s: float
    work: Callable[[Session], object]


def _forget_keys(session: Session) -> None:
    idempotency.delete_old_keys(session, before=now() - KEYS_KEPT)


CHORES = {
    "let proposals expire": Chore(30.0, expire_due),
    "seal the audit trail": Chore(2.0, seal),
    "forget progress and lines of old jobs": Chore(600.0, forget_old_events),
    "forget old idempotency keys": Chore(600.0, _forget_keys),
}
