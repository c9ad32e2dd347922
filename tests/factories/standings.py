"""Clients with accounts and how those stand, to list and page through; some of it unknown."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from random import Random

from sqlalchemy.orm import Session

from database.tables.accounts import AutonomousSetting
from database.tables.standings import AccountStanding
from tests.factories.accounts import create_account, create_client, create_mandate

TOLERANCES = ("conservative", "balanced", "growth")


def create_listed_clients(
    session: Session, *, clients: int, seed: int = 1, as_of: date = date(2017, 6, 30)
) -> Sequence[int]:
    """Clients with none, one or two accounts; returns their ids. Values repeat, so that ties occur."""
    random = Random(seed)
    ids = []
    for number in range(clients):
        client = create_client(
            session, name=f"Person {number // 2:03d}{'ab'[number % 2]}", risk_tolerance=TOLERANCES[number % 3]
        )
        ids.append(client.client_id)
        for _ in range(random.choice((0, 1, 1, 2))):
            account = create_account(session, client=client)
            create_mandate(session, account)
            session.add(AutonomousSetting(account_id=account.account_id, enabled=random.random() < 0.5))
            if random.random() < 0.8:
                session.add(
                    AccountStanding(
                        account_id=account.account_id,
                        session_on=as_of,
                        value_usd=Decimal(random.choice((100_000, 250_000, 1_000_000))),
                        cash_usd=Decimal(random.choice((0, 5_000))),
                        day_change_usd=random.choice((None, Decimal("-12.34"), Decimal("56.78"))),
                        year_return=random.choice((None, Decimal("0.05"), Decimal("-0.02"))),
                        drift=random.choice((None, Decimal("0.01"), Decimal("0.30"))),
                        off_plan_count=random.choice((None, 0, 3)),
                        health_score=random.choice((None, Decimal("55.5"), Decimal("90.0"))),
                    )
                )
    session.flush()
    return ids
