"""What somebody looks at: an account, a client, a household or the practice, as of a day, in a version.

The version moves with whatever could change an answer: bookings, valuations, mandates, targets, restrictions, names,
loaded market data, the code. It is read from the rows themselves, so nothing has to be told that something changed.
"""

from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Literal

from clients.practice import practice_date
from core.errors import InputError, NotFound
from core.version import code_commit
from database.queries import portfolios as queries
from database.queries.portfolios import AccountRow
from database.session import Session
from portfolios.book import Moment

Kind = Literal["account", "client", "household", "practice"]


@dataclass(frozen=True)
class View:
    """`accounts` of the firm's own book, closed ones last; of a client without any there is one row without account."""

    kind: Kind
    key: int | None
    rows: tuple[AccountRow, ...]
    moment: Moment
    version: str

    @property
    def accounts(self) -> list[AccountRow]:
        """Those that hold something now: not closed, unless it is the closed one that is looked at."""
        real = [row for row in self.rows if row.account_id is not None]
        return real if self.kind == "account" else [row for row in real if row.status != "closed"]

    @property
    def account_ids(self) -> list[int]:
        """Every account's number, closed ones too: the past includes them."""
        return [row.account_id for row in self.rows if row.account_id is not None]


def open_view(session: Session, *, kind: Kind, key: int | None = None, as_of: date | None = None) -> View:
    """What may be seen of it. NotFound for what is not there or not theirs, InputError for a day yet to be lived."""
    rows = queries.accounts_of(session, kind=kind, key=key)
    if not rows and kind != "practice":
        raise NotFound(kind, key or 0)
    lived = practice_date(session)
    if as_of is not None and as_of > lived:
        raise InputError(
            f"as_of is {as_of}, but the firm has lived to {lived}: give {lived} or earlier, or leave it out"
        )
    moment = Moment(lived, date.max) if as_of is None else Moment(as_of, as_of)
    parts = [kind, key, moment, code_commit(), *(row.mark for row in rows)]
    version = sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
    return View(kind, key, tuple(rows), moment, version)
