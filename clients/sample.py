"""The demo's households: made-up people with typical mandates."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from clients.people import Opening, add_client
from clients.practice import PAPER_BOOK
from clients.restrictions import restrict
from database.queries import households as queries
from database.session import Session
from database.tables.accounts import Account

SAMPLE_STRATEGIES = ("momentum_largecap",)


def sample_clients(session: Session, *, opened_on: date, actor: str = "sample") -> list[Account]:
    """Three households; those that exist already, by their names, stay as they are.

    The second client's trades wait for a person, the others' accounts trade by themselves. Needs the instruments
    loaded (one client excludes a ticker and a sector). Opening deposits are booked by
    `trading.service.open_paper_account`.
    """
    return [
        _sample_client(
            session,
            household="Alder household",
            name="Ruth Alder",
            risk_tolerance="conservative",
            opened_on=opened_on,
            actor=actor,
            restrictions=(("ticker", "MO", "no tobacco"), ("sector", "Energy", "works in the industry")),
        ),
        _sample_client(
            session,
            household="Birch household",
            name="Tomas Birch",
            risk_tolerance="balanced",
            opened_on=opened_on,
            actor=actor,
            autonomous=False,
        ),
        _sample_client(
            session,
            household="Cedar household",
            name="Imani Cedar",
            risk_tolerance="growth",
            opened_on=opened_on,
            actor=actor,
            limits={"preferred_strategy": "momentum_largecap"},
        ),
    ]


def _sample_client(
    session: Session,
    *,
    household: str,
    name: str,
    risk_tolerance: str,
    opened_on: date,
    actor: str,
    limits: Mapping[str, Any] | None = None,
    restrictions: Sequence[tuple[str, str, str]] = (),
    autonomous: bool = True,
) -> Account:
    standing = queries.first_account_named(session, household=household, client=name, book=PAPER_BOOK)
    if standing is not None:
        return standing
    _, account = add_client(
        session,
        household=household,
        name=name,
        risk_tolerance=risk_tolerance,
        opening=Opening(opened_on=opened_on, limits=limits, known_strategies=SAMPLE_STRATEGIES, autonomous=autonomous),
        actor=actor,
    )
    assert account is not None
    for kind, value, reason in restrictions:
        restrict(session, account_id=account.account_id, kind=kind, value=value, reason=reason, actor=actor)
    return account
