"""Another quantity for a proposed trade: a person's word, under the same rules."""

from dataclasses import dataclass
from decimal import Decimal

from auth.audit import record
from core.errors import InputError, Refused
from core.money import ZERO, weight
from database.queries import orders as queries
from database.queries.orders import RecommendationRow
from database.session import Session
from trading.judgement import Judged, hold_recommendations, judge


@dataclass(frozen=True)
class Revised:
    """What a change of quantity came to."""

    recommendation_id: int
    quantity_before: Decimal
    quantity: Decimal
    weight_after: Decimal


def change_quantity(session: Session, *, recommendation_id: int, quantity: Decimal, actor: str) -> Revised:
    """Set a proposal's quantity: whole shares, and the rules asked again on all that waits in its account.

    What the night proposed is kept. InputError for no whole number, NotFound, and Refused where the proposal is void
    or decided, or where a rule objects: to it, or because of it to another proposal of the account.
    """
    if quantity <= 0 or quantity != quantity.to_integral_value():
        raise InputError(f"quantity is {quantity}: give a whole number of shares, or reject the recommendation")
    (row,) = hold_recommendations(session, recommendation_ids=[recommendation_id])
    (alone,) = judge(session, [row._replace(quantity=quantity)])
    _require_none(row, [one.reason for one in alone.objections if one.rule == "undecidable"])
    if quantity == row.quantity:
        return Revised(recommendation_id, row.quantity, row.quantity, row.weight_after)
    judged = _judge_account(session, row, quantity)
    after = _weight_after(judged, row, quantity)
    queries.set_quantity(session, recommendation_id=recommendation_id, quantity=quantity, weight_after=after)
    queries.replace_checks(session, checks=[check for check in judged.checks if check[0] == recommendation_id])
    record(
        session,
        actor=actor,
        action="change",
        subject="recommendation",
        subject_id=recommendation_id,
        before={"quantity": row.quantity},
        after={"quantity": quantity},
    )
    return Revised(recommendation_id, row.quantity, quantity, after)


def _judge_account(session: Session, row: RecommendationRow, quantity: Decimal) -> Judged:
    """All proposals of the account's night with the new quantity; Refused where it makes a rule object anew."""
    waiting = queries.recommendations_on(
        session, account_ids=[row.account_id], session_on=row.session_on, statuses=("proposed",)
    )
    changed = [
        other._replace(quantity=quantity) if other.recommendation_id == row.recommendation_id else other
        for other in waiting
    ]
    (before,), (judged,) = judge(session, waiting), judge(session, changed)
    known = {(one.recommendation_id, one.rule) for one in before.objections}
    own = [f"{one.reason} ({one.rule})" for one in judged.objections if one.recommendation_id == row.recommendation_id]
    _require_none(row, own)
    others = [
        f"recommendation {one.recommendation_id} could then not be traded: {one.reason} ({one.rule})"
        for one in judged.objections
        if (one.recommendation_id, one.rule) not in known
    ]
    _require_none(row, others)
    return judged


def _require_none(row: RecommendationRow, reasons: list[str]) -> None:
    if reasons:
        raise Refused(f"recommendation {row.recommendation_id} keeps its {row.quantity:f} shares: {'; '.join(reasons)}")


def _weight_after(judged: Judged, row: RecommendationRow, quantity: Decimal) -> Decimal:
    portfolio = judged.portfolio
    assert portfolio is not None, "an account without a portfolio has objections"
    held = portfolio.holdings.get(row.instrument_id, ZERO)
    change = quantity if row.side == "buy" else -quantity
    return weight((held + change) * row.reference_price / portfolio.value_usd)
