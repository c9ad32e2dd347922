"""Recommendations: what the nights propose, why, and what is decided about it."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.once import Once, do_once
from api.schemas.page import Page
from api.schemas.practice import Reason
from api.schemas.recommendations import (
    ApprovalOut,
    Effect,
    ManyApprovals,
    Preview,
    QuantityChange,
    RecommendationOut,
    RecommendationShown,
    RecommendationStatus,
    Rejected,
    Rejections,
    Selection,
    Side,
)
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from core.errors import InputError, NotFound
from database.queries import recommendations as lists
from database.queries.orders import RecommendationRow, find_recommendations
from database.session import Session
from trading import desk as trading_desk
from trading import summary
from trading.approval import reject
from trading.revision import change_quantity
from trading.why import explain_recommendation

router = Word("recommendations", tags=["recommendations"])
_SELECTED_MAX = 2000
RecommendationId = Annotated[int, Path(ge=1, le=2**63 - 1)]
NumberAsked = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Status = Annotated[list[RecommendationStatus] | None, Query(description="One or more; without it, all.")]
Sort = Annotated[
    str,
    Query(
        max_length=32,
        description="recommendation_id, session_on, client, symbol, value_usd or weight_after; `-` before it: the"
        " other way.",
    ),
]


@router.get("")
def list_recommendations(
    search: Search = None,
    status: Status = None,
    client_id: NumberAsked = None,
    account_id: NumberAsked = None,
    session_on: date | None = None,
    side: Side | None = None,
    strategy: Annotated[str | None, Query(max_length=32)] = None,
    symbol: Annotated[str | None, Query(max_length=16)] = None,
    sort: Sort = "-recommendation_id",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("recommendations.read"),
) -> Page[RecommendationOut]:
    """Recommendations of the firm's accounts, the newest first unless sorted otherwise; never a replay's."""
    filters = lists.Filters(
        statuses=status,
        client_id=client_id,
        account_id=account_id,
        session_on=session_on,
        side=side,
        strategy=strategy,
        symbol=symbol,
        search=search,
    )
    with desk(actor) as session:
        rows = lists.page_of_recommendations(session, filters=filters, sort=sort, limit=limit, cursor=cursor)
        return Page[RecommendationOut].of(rows, RecommendationOut.model_validate)


@router.get("/accounts")
def list_recommendation_effects(
    search: Search = None,
    status: Status = None,
    client_id: NumberAsked = None,
    session_on: date | None = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Accounts of a page.")] = 20,
    cursor: Cursor = None,
    actor: Actor = needs("recommendations.read"),
) -> Page[Effect]:
    """What waits for a decision, account by account: trades, weights of cash before and after, cost, tax, objections.

    Without `status`, of what is proposed.
    """
    filters = lists.Filters(statuses=status or ["proposed"], client_id=client_id, session_on=session_on, search=search)
    with desk(actor) as session:
        page = lists.page_of_accounts_waiting(session, filters=filters, limit=limit, cursor=cursor)
        ids = [key for row in page.rows for key in row.recommendation_ids]
        effects = summary.summarise(session, find_recommendations(session, recommendation_ids=ids))
        return Page[Effect](items=[_effect(one) for one in effects], next=page.next, total=page.total)


@router.post("/approvals/preview")
def preview_approvals(choice: Selection, actor: Actor = needs("recommendations.read")) -> Preview:
    """What approving would do, account by account, and what stands in its way; changes nothing."""
    with desk(actor) as session:
        rows = _chosen(session, choice)
        effects = summary.summarise(session, rows)
        return Preview(
            fingerprint=summary.fingerprint(rows),
            recommendation_ids=[row.recommendation_id for row in rows],
            accounts=[_effect(one) for one in effects],
            approvable=sum(len(one.recommendation_ids) for one in effects if not one.objections),
            buy_usd=sum((one.buy_usd for one in effects), Decimal(0)),
            sell_usd=sum((one.sell_usd for one in effects), Decimal(0)),
            cost_usd=sum((one.cost_usd for one in effects), Decimal(0)),
            tax_usd_max=sum((one.tax_usd_max for one in effects), Decimal(0)),
        )


@router.post("/approvals", status_code=202, response_model=ApprovalOut)
def approve_recommendations(
    choice: ManyApprovals, once: Once, actor: Actor = needs("recommendations.decide")
) -> Response:
    """Approve many: each account whole or not at all; the job sends the orders. 409 where nothing can be approved."""

    def work(session: Session) -> ApprovalOut:
        done = trading_desk.approve_many(
            session,
            recommendation_ids=[row.recommendation_id for row in _chosen(session, choice)],
            shown=choice.fingerprint,
            actor=actor.email,
            user_id=actor.user_id,
        )
        return _approved(done)

    return do_once(once, actor, work, status=202)


@router.post("/rejections")
def reject_recommendations(given: Rejections, actor: Actor = needs("recommendations.decide")) -> Rejected:
    """Reject many, with one reason; all of them or none."""
    with desk(actor) as session:
        ids = given.recommendation_ids
        return Rejected(rejected=reject(session, recommendation_ids=ids, actor=actor.email, reason=given.reason))


@router.get("/{recommendation_id}")
def show_recommendation(
    recommendation_id: RecommendationId, actor: Actor = needs("recommendations.read")
) -> RecommendationShown:
    """One recommendation with the whole why: regime, strategy, score, model and gate, weights, rules, run and data."""
    with desk(actor) as session:
        return _shown(session, recommendation_id, actor)


@router.patch("/{recommendation_id}")
def change_recommendation(
    recommendation_id: RecommendationId, given: QuantityChange, actor: Actor = needs("recommendations.decide")
) -> RecommendationShown:
    """Another quantity, in whole shares; the rules are asked again on all that waits in the account."""
    with desk(actor) as session:
        change_quantity(session, recommendation_id=recommendation_id, quantity=given.quantity, actor=actor.email)
        return _shown(session, recommendation_id, actor)


@router.post("/{recommendation_id}/approval", status_code=202, response_model=ApprovalOut)
def approve_recommendation(
    recommendation_id: RecommendationId, once: Once, actor: Actor = needs("recommendations.decide")
) -> Response:
    """Approve one: its order is made here and now, and the job sends it. 409 with the reason where a rule objects."""

    def work(session: Session) -> ApprovalOut:
        return _approved(
            trading_desk.approve(session, recommendation_id=recommendation_id, actor=actor.email, user_id=actor.user_id)
        )

    return do_once(once, actor, work, status=202)


@router.post("/{recommendation_id}/rejection")
def reject_recommendation(
    recommendation_id: RecommendationId, given: Reason, actor: Actor = needs("recommendations.decide")
) -> RecommendationOut:
    """Reject one, with the reason. A no is always possible, a halted account and a kill switch stop a yes only."""
    with desk(actor) as session:
        reject(session, recommendation_ids=[recommendation_id], actor=actor.email, reason=given.reason)
        return RecommendationOut.model_validate(lists.find_shown(session, recommendation_id=recommendation_id))


def _chosen(session: Session, choice: Selection) -> list[RecommendationRow]:
    """The chosen recommendations; NotFound for a number that is not there, InputError for too many or none."""
    if choice.filter is None:
        ids = sorted(set(choice.recommendation_ids or ()))
    else:
        filters = lists.Filters(statuses=["proposed"], **choice.filter.model_dump())
        ids = lists.matching_ids(session, filters=filters, limit=_SELECTED_MAX + 1)
        if not ids:
            raise InputError("filter leaves no proposed recommendation: list them to see what there is")
        if len(ids) > _SELECTED_MAX:
            raise InputError(f"filter leaves more than {_SELECTED_MAX} recommendations: narrow it, by client for one")
    rows = find_recommendations(session, recommendation_ids=ids)
    missing = sorted(set(ids) - {row.recommendation_id for row in rows})
    if missing:
        raise NotFound("recommendation", missing[0])
    return rows


def _shown(session: Session, recommendation_id: int, actor: Actor) -> RecommendationShown:
    row = lists.find_shown(session, recommendation_id=recommendation_id)
    if row is None:
        raise NotFound("recommendation", recommendation_id)
    look(session, actor=actor.email, subject="account", subject_id=row.account_id)
    (effect,) = summary.summarise(session, find_recommendations(session, recommendation_ids=[recommendation_id]))
    return RecommendationShown.model_validate(
        {
            **row._mapping,
            "cost_usd": effect.cost_usd if effect.value_usd is not None else None,
            "gain": effect.gain,
            "tax_usd_max": effect.tax_usd_max,
            "objections": effect.objections,
            "why": explain_recommendation(session, recommendation_id=recommendation_id),
        }
    )


def _effect(one: summary.Effect) -> Effect:
    own: dict[str, Any] = {**vars(one), **one.holder._asdict()}
    return Effect.model_validate(own)


def _approved(done: trading_desk.Ordered) -> ApprovalOut:
    return ApprovalOut.model_validate({**vars(done.approval), "job_id": done.job_id})
