"""A night in a process of its own that kills itself: `python -m tests.trading.killed_night BOOK DATE LABEL`.

LABEL names the verb after whose commit the process dies, or `inside:` and the verb in whose open transaction it does.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import date

from core.clock import fixed_clock
from database.session import Session, transaction
from tests.conftest import NOW
from trading import service


def run_night(as_of: date, book: str, at: Callable[[str], None]) -> None:
    """The night as the job runs it, one transaction a verb; `at` is told `inside:verb` and `verb` as they pass."""
    sent: list[service.Answer] = []
    claims: list[service.Claim] = []

    def step(name: str, verb: Callable[[Session], object]) -> None:
        with transaction() as session:
            verb(session)
            at(f"inside:{name}")
        at(name)

    def send(session: Session) -> None:
        sent.extend(service.send_orders(session, claims=claims))

    step("settle_book", lambda session: service.settle_book(session, as_of=as_of, book=book))
    step("propose_orders", lambda session: service.propose_orders(session, as_of=as_of, book=book))
    step("check_orders", lambda session: service.check_orders(session, as_of=as_of, book=book))
    step("approve_autonomous", lambda session: service.approve_autonomous(session, as_of=as_of, book=book))
    step("claim_orders", lambda session: claims.extend(service.claim_orders(session, as_of=as_of, book=book)))
    step("send_orders", send)
    step("record_answers", lambda session: service.record_answers(session, answers=sent))
    step("reconcile_book", lambda session: service.reconcile_book(session, as_of=as_of, book=book))
    step("value_accounts", lambda session: service.value_accounts(session, as_of=as_of, book=book))


def kill_at(label: str) -> Callable[[str], None]:
    """Die by SIGKILL, as a power cut would have it, when `label` passes."""

    def at(passed: str) -> None:
        if passed == label:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


if __name__ == "__main__":
    with fixed_clock(NOW):
        run_night(date.fromisoformat(sys.argv[2]), sys.argv[1], kill_at(sys.argv[3]))
