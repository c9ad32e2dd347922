"""What approving a choice of recommendations would do, account by account: trades, cost, tax, cash, and objections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from core.money import ZERO, money, weight
from database.queries.orders import RecommendationRow
from database.queries.positions import OpenLot
from database.queries.recommendations import Holder, lots_of
from database.session import Session
from trading.estimate import Gain, cost_usd, gain_of_sale
from trading.judgement import Judged, Objection, judge
from trading.portfolio import Portfolio
from trading.risk_rule import PriceFacts


@dataclass(frozen=True)
class Effect:
    """One account before and after; None where its value cannot be known. Amounts at reference prices.

    `gain` is what the sales realise by the open lots, `tax_usd_max` the most that may be due on it: nothing in accounts
    that are not taxable.
    """

    holder: Holder
    recommendation_ids: tuple[int, ...]
    buys: int
    sells: int
    buy_usd: Decimal
    sell_usd: Decimal
    cost_usd: Decimal
    gain: Gain
    tax_usd_max: Decimal
    value_usd: Decimal | None
    cash_usd_before: Decimal | None
    cash_usd_after: Decimal | None
    cash_weight_before: Decimal | None
    cash_weight_after: Decimal | None
    turnover: Decimal | None
    objections: tuple[Objection, ...]


def summarise(session: Session, rows: Sequence[RecommendationRow]) -> list[Effect]:
    """What approving the recommendations would do, by client and account; changes nothing."""
    judged = judge(session, rows)
    sold = [row for row in rows if row.side == "sell"]
    lots = lots_of(
        session, account_ids={row.account_id for row in sold}, instrument_ids={row.instrument_id for row in sold}
    )
    return [_effect(one, lots) for one in judged]


def fingerprint(rows: Sequence[RecommendationRow]) -> str:
    """Names a choice with its quantities: another one, or the same with one quantity changed, has another name."""
    content = ",".join(f"{row.recommendation_id}:{row.quantity.normalize():f}" for row in sorted(rows))
    return sha256(content.encode()).hexdigest()[:32]


def estimate(
    row: RecommendationRow, *, facts: PriceFacts | None, lots: Sequence[OpenLot]
) -> tuple[Decimal | None, Gain]:
    """Cost of one recommendation (None without a price), and the gain that it would realise."""
    cost = None
    if facts is not None:
        cost = cost_usd(quantity=row.quantity, price=row.reference_price, average_volume=facts.average_volume)
    if row.side == "buy":
        return cost, Gain()
    return cost, gain_of_sale(lots, quantity=row.quantity, price=row.reference_price, sold_on=row.session_on)


def _effect(one: Judged, lots: Mapping[tuple[int, int], Sequence[OpenLot]]) -> Effect:
    costs, gain = ZERO, Gain()
    prices = {} if one.portfolio is None else one.portfolio.prices
    for row in one.chosen:
        own = lots.get((row.account_id, row.instrument_id), ())
        cost, realised = estimate(row, facts=prices.get(row.instrument_id), lots=own)
        costs, gain = costs + (cost or ZERO), gain + realised
    buys = [row for row in one.chosen if row.side == "buy"]
    buy_usd = money(sum((row.quantity * row.reference_price for row in buys), ZERO))
    sell_usd = money(sum((row.quantity * row.reference_price for row in one.chosen), ZERO)) - buy_usd
    before, after, value = _cash(one.portfolio, sell_usd - buy_usd - costs)
    return Effect(
        holder=one.holder,
        recommendation_ids=tuple(row.recommendation_id for row in one.chosen),
        buys=len(buys),
        sells=len(one.chosen) - len(buys),
        buy_usd=buy_usd,
        sell_usd=sell_usd,
        cost_usd=costs,
        gain=gain,
        tax_usd_max=gain.tax_usd_max if one.holder.taxation == "taxable" else ZERO,
        value_usd=value,
        cash_usd_before=before,
        cash_usd_after=after,
        cash_weight_before=_share(before, value),
        cash_weight_after=_share(after, value),
        turnover=_share(buy_usd + sell_usd, value),
        objections=one.objections,
    )


def _cash(portfolio: Portfolio | None, change: Decimal) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Cash that no order under way may still take, the same after the change, and the account's value."""
    if portfolio is None:
        return None, None, None
    free = portfolio.cash_usd - money(portfolio.reserved_usd)
    return free, free + change, portfolio.value_usd


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or not whole else weight(part / whole)
