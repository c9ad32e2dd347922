"""What an advisor's hand does in one transaction: the decision, and the job that carries it out."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import Refused
from core.jobs import CancelOrders, SendApproved
from database.session import Session
from jobs.service import submit
from trading import approval as approvals
from trading import cancel as cancels
from trading.approval import Approval
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


def _send(session: Session, approval: Approval, actor: str, user_id: int) -> int:
    job = SendApproved(as_of=approval.as_of, book=approval.book, account_ids=approval.account_ids)
    alone = approval.account_ids[0] if len(approval.account_ids) == 1 else None
    return submit(session, job, actor=actor, requested_by=user_id, account_id=alone, is_private=True)
