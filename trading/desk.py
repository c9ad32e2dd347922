"""What an advisor's hand does in one transaction: the decision, and the job that carries it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from core.errors import Refused
from core.jobs import CancelOrders, Nightly, SendApproved
from database.queries.kill_switches import engaged_switches, waiting_orders
from database.session import Session
from jobs.service import submit
from trading import approval as approvals
from trading import cancel as cancels
from trading import kill_switch
from trading.approval import Approval
from trading.autonomy import night_to_run
from trading.judgement import hold_recommendations
from trading.summary import fingerprint


@dataclass(frozen=True)
class Ordered:
    """Orders that will be sent by the job, and the accounts of which nothing was approved."""

    approval: Approval
    job_id: int


@dataclass(frozen=True)
class Asked:
    """A wish to cancel; `job_id` is the job that asks the broker, where one has to be asked."""

    order_id: int
    state: str
    job_id: int | None


@dataclass(frozen=True)
class Released:
    """A switch that is off, the approved orders that nothing holds back any more, and the job that sends them."""

    kill_switch_id: int
    waiting_order_ids: tuple[int, ...]
    job_id: int | None


@dataclass(frozen=True)
class Night:
    """The job that runs a night, and the night."""

    job_id: int
    as_of: date


def approve(session: Session, *, recommendation_id: int, actor: str, user_id: int) -> Ordered:
    """Approve one recommendation and have its order sent. NotFound, or Refused with the rules' reasons."""
    approval = approvals.approve(session, recommendation_ids=[recommendation_id], actor=actor)
    return Ordered(approval, _send(session, approval, actor, user_id))


def approve_many(
    session: Session, *, recommendation_ids: Sequence[int], shown: str | None, actor: str, user_id: int
) -> Ordered:
    """Approve what the rules let pass, each account whole or not at all, and have the orders sent.

    `shown` is the fingerprint of the summary that the advisor saw: Refused where the choice is another by now, and
    where nothing could be approved.
    """
    if shown is not None and fingerprint(hold_recommendations(session, recommendation_ids=recommendation_ids)) != shown:
        raise Refused("the recommendations have changed since their summary was shown: look at the new one first")
    approval = approvals.approve_accounts(session, recommendation_ids=recommendation_ids, actor=actor)
    if not approval.order_ids:
        raise Refused(f"nothing was approved: {'; '.join(approvals.sentences(approval.refused))}")
    return Ordered(approval, _send(session, approval, actor, user_id))


def cancel(session: Session, *, order_id: int, reason: str | None, actor: str, user_id: int) -> Asked:
    """Take an order back: at once, or by a job that asks its broker."""
    done = cancels.cancel(session, order_id=order_id, actor=actor, reason=reason)
    if not done.is_asked:
        return Asked(order_id, done.state, None)
    job = CancelOrders(order_ids=(order_id,))
    return Asked(
        order_id,
        done.state,
        submit(session, job, actor=actor, requested_by=user_id, account_id=done.account_id, is_private=True),
    )


def release(
    session: Session,
    *,
    kill_switch_id: int,
    reason: str,
    typed: str | None,
    is_sending: bool,
    actor: str,
    user_id: int,
) -> Released:
    """Release a switch. What it held back waits, or is sent where the caller says so; nothing leaves by itself."""
    kill_switch.release(session, kill_switch_id=kill_switch_id, reason=reason, actor=actor, typed=typed)
    switches = engaged_switches(session)
    waiting = [
        order
        for order in waiting_orders(session)
        if not kill_switch.stopped_by(switches, client_id=order.client_id, strategy=order.strategy)
    ]
    job_id = None
    nights = {(order.session_on, order.book) for order in waiting}
    if is_sending and nights:
        # Of older nights nothing leaves any more: their orders expire when the next night settles.
        as_of, book = max(nights)
        accounts = {order.account_id for order in waiting if (order.session_on, order.book) == (as_of, book)}
        job = SendApproved(as_of=as_of, book=book, account_ids=tuple(sorted(accounts)))
        job_id = submit(session, job, actor=actor, requested_by=user_id, is_private=True)
    return Released(kill_switch_id, tuple(order.order_id for order in waiting), job_id)


def run_night(session: Session, *, actor: str, user_id: int) -> Night:
    """Ask for the night at hand beside the timetable. DataMissing where there are no bars for one."""
    as_of = night_to_run(session)
    return Night(submit(session, Nightly(as_of=as_of), actor=actor, requested_by=user_id), as_of)


def _send(session: Session, approval: Approval, actor: str, user_id: int) -> int:
    job = SendApproved(as_of=approval.as_of, book=approval.book, account_ids=approval.account_ids)
    alone = approval.account_ids[0] if len(approval.account_ids) == 1 else None
    return submit(session, job, actor=actor, requested_by=user_id, account_id=alone, is_private=True)
