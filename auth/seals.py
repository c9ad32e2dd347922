"""The audit's chain: each row is hashed together with the one sealed before it, so that no later hand goes unseen.

Rows are sealed shortly after their commit, in the order of their numbers, by one process at a time: writers never wait
for one another, and a row that was committed late is sealed late.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any

from auth.anchors import Anchor, keep_anchor
from core.clock import now
from database.queries import audit as queries
from database.session import Session, advisory_lock

BATCH_ROWS = 2_000
# No transaction stays open while so many later rows are sealed, nor for so long.
LOOK_BACK_ROWS = 2_000
LATE_AT_MOST = timedelta(hours=1)
WHOLE_EVERY = timedelta(hours=1)
FIRST_HASH = "0" * 64


@dataclass(frozen=True)
class BadRow:
    """Where the chain first breaks: the seal, the audit row that it holds (None where none is known), and why."""

    seal_id: int | None
    audit_id: int | None
    reason: str


@dataclass(frozen=True)
class Verification:
    """What a look along the chain found: `checked` seals recomputed, `anchors` met; `bad` is None where none is."""

    sealed: int
    waiting: int
    checked: int
    anchors: int
    bad: BadRow | None


class _WholeLooks:
    """When this process last looked for unsealed rows in the whole table and not only among the newest."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._lock = Lock()

    def is_due(self) -> bool:
        with self._lock:
            due = self._at is None or not timedelta(0) <= now() - self._at < WHOLE_EVERY
            if due:
                self._at = now()
            return due


_whole_looks = _WholeLooks()


def seal(session: Session) -> int:
    """Seal the rows that are committed and not sealed yet, at most BATCH_ROWS; how many that were.

    The end of the chain that was committed before is anchored outside the database, at most once a minute.
    """
    advisory_lock(session, "audit seals")
    end = queries.newest_seal(session)
    if end is not None:
        keep_anchor(seal_id=end.seal_id, hash_hex=end.hash)
    beyond = 0 if _whole_looks.is_due() else queries.highest_sealed(session) - LOOK_BACK_ROWS
    rows = queries.unsealed(session, beyond=beyond, limit=BATCH_ROWS)
    seals = list(_link(rows, seal_id=end.seal_id if end else 0, previous=end.hash if end else FIRST_HASH))
    queries.add_seals(session, seals)
    return len(seals)


def verify(session: Session, anchors: Sequence[Anchor] = (), *, newest: int | None = None) -> Verification:
    """Recompute the chain, or its `newest` seals, against the rows and against anchors; changes nothing.

    Finds rows edited, removed, inserted or put elsewhere; with anchors also a tail cut off and a chain written anew.
    """
    sealed, waiting = queries.count_sealed(session)
    end = queries.newest_seal(session)
    walk = _Walk(anchors, start=0 if newest is None or end is None else max(0, end.seal_id - newest))
    bad = _foreign_anchor(anchors) or walk.follow(session) or walk.missing_end() or walk.unsealed(session)
    return Verification(sealed=sealed, waiting=waiting, checked=walk.checked, anchors=walk.anchors_met, bad=bad)


def _link(rows: Iterable[Any], *, seal_id: int, previous: str) -> Iterator[dict[str, Any]]:
    sealed_at = now()
    for row in rows:
        seal_id += 1
        link = _hash(previous, seal_id, sealed_at, row)
        yield {
            "seal_id": seal_id,
            "audit_id": row.audit_id,
            "previous_hash": previous,
            "hash": link,
            "sealed_at": sealed_at,
        }
        previous = link


def _hash(previous: str, seal_id: int, sealed_at: datetime, row: Any) -> str:
    told = [
        previous,
        seal_id,
        sealed_at.astimezone(UTC).isoformat(),
        row.audit_id,
        row.at.astimezone(UTC).isoformat(),
        row.actor,
        row.action,
        row.subject,
        row.subject_id,
        row.before,
        row.after,
        row.request_id,
        row.address,
    ]
    return sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _foreign_anchor(anchors: Sequence[Anchor]) -> BadRow | None:
    for anchor in anchors:
        if not anchor.is_ours:
            return BadRow(None, None, f"line {anchor.line} of the anchors is damaged, or no key of the firm signed it")
    return None


class _Walk:
    """A way along the chain, seal by seal: what was passed, and what the next one must fit."""

    def __init__(self, anchors: Sequence[Anchor], *, start: int) -> None:
        # Of one seal there may be several: whoever wrote the chain anew was anchored too, and the older one tells.
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            if anchor.seal_id > start:
                self._anchors.setdefault(anchor.seal_id, []).append(anchor)
        self._start = self._seal_id = self._proved = start
        self._previous: str | None = FIRST_HASH if start == 0 else None
        self._newest_at: datetime | None = None
        self._after_proved: int | None = None
        self.checked = self.anchors_met = 0

    def follow(self, session: Session) -> BadRow | None:
        """Go from seal to seal; the first that does not fit."""
        while links := queries.links(session, beyond=self._seal_id, limit=BATCH_ROWS):
            for link in links:
                bad = self._misfit(link) or self._against_anchor(link)
                if bad is not None:
                    return bad
                self._pass(link)
        return None

    def missing_end(self) -> BadRow | None:
        """The first seal after the end that an anchor still knows."""
        highest = max(self._anchors, default=0)
        if highest <= self._seal_id:
            return None
        newest = self._anchors[highest][0]
        return BadRow(
            self._seal_id + 1,
            None,
            f"the chain ends at seal {self._seal_id}, but its end was seal {newest.seal_id} on {newest.at.isoformat()}",
        )

    def unsealed(self, session: Session) -> BadRow | None:
        """A row that waits for its seal and tells of a time long before that of sealed ones."""
        if self._newest_at is None:
            return None
        audit_id = queries.unsealed_before(session, self._newest_at - LATE_AT_MOST)
        return None if audit_id is None else BadRow(None, audit_id, _INSERTED)

    def _misfit(self, link: Any) -> BadRow | None:
        if link.seal_id != self._seal_id + 1:
            return BadRow(self._seal_id + 1, None, "the seal is not there: it was removed, and its row with it or not")
        if link.audit_id is None:
            return BadRow(link.seal_id, link.held_id, "the row that was sealed is not there any more")
        if self._previous is not None and link.previous_hash != self._previous:
            return BadRow(link.seal_id, link.held_id, "the seal does not follow on the one before it")
        if link.hash != _hash(link.previous_hash, link.seal_id, link.sealed_at, link):
            return BadRow(link.seal_id, link.held_id, "the row, or its seal, is not what was sealed")
        if self._newest_at is not None and link.at < self._newest_at - LATE_AT_MOST:
            return BadRow(link.seal_id, link.held_id, _INSERTED)
        return None

    def _against_anchor(self, link: Any) -> BadRow | None:
        anchor = next((one for one in self._anchors.get(link.seal_id, ()) if one.hash != link.hash), None)
        if anchor is None:
            return None
        first = link.held_id if self._after_proved is None else self._after_proved
        return BadRow(
            self._proved + 1,
            first,
            f"the chain was written anew: between here and seal {link.seal_id} a row is not what it was"
            f" on {anchor.at.isoformat()}",
        )

    def _pass(self, link: Any) -> None:
        self._seal_id, self._previous = link.seal_id, link.hash
        self._newest_at = link.at if self._newest_at is None else max(self._newest_at, link.at)
        self.checked += 1
        if link.seal_id in self._anchors:
            self.anchors_met += 1
            self._proved, self._after_proved = link.seal_id, None
        elif self._after_proved is None:
            self._after_proved = link.held_id


_INSERTED = "the row tells of a time long before that of rows sealed before it: it was put in later"
