"""Every rule judges every recommendation; each verdict is stored, and one refusal is enough."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from core.money import ZERO, money
from database.queries.orders import RecommendationRow
from trading.portfolio import Portfolio
from trading.risk_rule import Basket, Limits, Proposal, Verdict
from trading.risk_rules import RISK_RULES

StoredCheck = tuple[int, str, bool, str, str, str]


def make_basket(
    portfolio: Portfolio,
    recommendations: Sequence[RecommendationRow],
    *,
    as_of: date,
    executes_on: date | None,
    stopped_by: str | None,
    traded_usd: Decimal = ZERO,
) -> Basket:
    """What the rules look at for one account and night."""
    mandate = portfolio.mandate
    proposals = tuple(
        Proposal(
            recommendation_id=row.recommendation_id,
            instrument_id=row.instrument_id,
            symbol=portfolio.listings[row.instrument_id].symbol,
            sector=portfolio.listings[row.instrument_id].sector,
            side=row.side,
            quantity=row.quantity,
            price=row.reference_price,
            value_usd=money(row.quantity * row.reference_price),
        )
        for row in recommendations
    )
    return Basket(
        as_of=as_of,
        executes_on=executes_on,
        status=portfolio.account.status,
        status_reason=portfolio.account.halted_reason,
        cash_usd=portfolio.cash_usd,
        reserved_usd=portfolio.reserved_usd,
        value_usd=portfolio.value_usd,
        holdings=portfolio.holdings,
        prices=portfolio.prices,
        sectors={key: listing.sector for key, listing in portfolio.listings.items()},
        restricted=portfolio.restricted,
        limits=Limits(
            cash_weight_min=mandate.cash_weight_min,
            position_weight_max=mandate.position_weight_max,
            sector_weight_max=mandate.sector_weight_max,
            turnover_max=mandate.turnover_max,
        ),
        proposals=proposals,
        stopped_by=stopped_by,
        traded_usd=traded_usd,
    )


def judge_basket(basket: Basket) -> list[dict[str, Verdict]]:
    """The verdict of each rule on each proposal, in the basket's order.

    Rules are asked in the order of the list; `basket.standing` shrinks as they refuse.
    """
    standing = {proposal.recommendation_id for proposal in basket.proposals}
    verdicts: list[dict[str, Verdict]] = [{} for _ in basket.proposals]
    for name, judge in RISK_RULES.items():
        basket.standing = standing
        for proposal, found, verdict in zip(basket.proposals, verdicts, judge(basket), strict=True):
            found[name] = verdict
            if not verdict.passed:
                standing = standing - {proposal.recommendation_id}
    basket.standing = standing
    return verdicts


def stored_checks(basket: Basket, verdicts: Sequence[dict[str, Verdict]]) -> list[StoredCheck]:
    """The verdicts as rows of the checks table."""
    return [
        (proposal.recommendation_id, rule, verdict.passed, verdict.measured, verdict.allowed, verdict.reason)
        for proposal, by_rule in zip(basket.proposals, verdicts, strict=True)
        for rule, verdict in by_rule.items()
    ]
