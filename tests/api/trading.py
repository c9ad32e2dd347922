"""What the tests of the trading desk share: keys, jobs done at once, a night that waits for a person."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import count

from sqlalchemy import text

from core.jobs import KINDS, CancelOrders, SendApproved
from database.queries.orders import RecommendationRow
from database.session import transaction
from mlops.jobs.cancel_orders import cancel_orders
from mlops.jobs.send_approved import send
from tests.api.conftest import Firm
from tests.factories.proposals import open_account, propose

_keys = count(1)


def once() -> dict[str, str]:
    """A key that is new for each piece of work."""
    return {"Idempotency-Key": f"test-{next(_keys)}"}


def run_job(job_id: int) -> None:
    """Do at once what a worker would do."""
    with transaction() as session:
        row = session.execute(text("select name, payload from jobs where job_id = :id"), {"id": job_id}).one()
    job = KINDS[row.name].model_validate(row.payload)
    if isinstance(job, SendApproved):
        send(job)
    elif isinstance(job, CancelOrders):
        cancel_orders(job)
    else:
        raise AssertionError(f"no test does {row.name}")


def propose_for_both(
    firm: Firm, weights: Mapping[int, Decimal], *, autonomous: bool = False
) -> dict[str, list[RecommendationRow]]:
    """The same night's proposals in both advisors' accounts."""
    with transaction() as session:
        accounts = [
            open_account(session, firm.accounts[role], autonomous=autonomous) for role in ("advisor", "other_advisor")
        ]
        rows = propose(session, accounts, weights)
    return {role: rows[firm.accounts[role]] for role in ("advisor", "other_advisor")}
