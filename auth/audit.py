"""The audit trail: who changed or saw what, append-only (the database refuses anything else)."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID

from core.clock import now
from core.log import current_address, current_request_id
from database.queries import audit as queries
from database.session import Session, after_commit
from database.tables.audit import AuditRecord

LOOK_LASTS = timedelta(seconds=60)
_LOOKS_KEPT = 10_000
_Look = tuple[str, str, str]


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    subject_id: int | str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note one change in the transaction that makes it, so neither exists without the other.

    `subject` names the table's noun (`mandate`), `before` and `after` its state; dates and Decimals become text.
    Which request asked for it, and from where, is taken from what the log knows.
    """
    queries.append(
        session,
        actor=actor,
        action=action,
        subject=subject,
        subject_id=str(subject_id),
        before=_plain(before),
        after=_plain(after),
        request_id=current_request_id(),
        address=current_address(),
    )


def look(session: Session, *, actor: str, subject: str, subject_id: int | str) -> None:
    """Note that somebody was shown a client's data (`subject` and its number), in the transaction that shows them.

    The same person looking at the same subject again within a minute is one look.
    """
    key = (actor, subject, str(subject_id))
    if not _recent.holds(key):
        record(session, actor=actor, action="look", subject=subject, subject_id=subject_id)
        # A look that was rolled back was not recorded: only a committed one stands for those after it.
        after_commit(session, lambda: _recent.keep(key))


def read_trail(session: Session, *, subject: str, subject_id: int | str) -> list[AuditRecord]:
    """Everything that happened to one subject, oldest first."""
    return queries.history(session, subject=subject, subject_id=str(subject_id))


class _RecentLooks:
    """The looks of the last minute that this process recorded, the newest `_LOOKS_KEPT` of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[_Look, datetime] = OrderedDict()
        self._lock = Lock()

    def holds(self, key: _Look) -> bool:
        with self._lock:
            seen = self._seen.get(key)
        return seen is not None and timedelta(0) <= now() - seen < LOOK_LASTS

    def keep(self, key: _Look) -> None:
        with self._lock:
            self._seen[key] = now()
            self._seen.move_to_end(key)
            if len(self._seen) > _LOOKS_KEPT:
                self._seen.popitem(last=False)


_recent = _RecentLooks()


def _plain(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {str(key): _plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple | set | frozenset):
        return [_plain(value) for value in (sorted(state) if isinstance(state, set | frozenset) else state)]
    return str(state) if isinstance(state, Decimal | date | datetime | UUID) else state
