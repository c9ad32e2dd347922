"""What holdings bring by themselves: dividends in cash on the ex-date, and splits.

Bars are split-adjusted, so a split changes holdings only when the bars were restated after the shares were bought.
Whether they were is read from the evidence: the open that the purchase was filled at (of shares brought in: the close
that their import was shown), against the same session's price as the bars hold it now. Equal: the shares are on
today's basis already. Their ratio equals the split's: the lots are restated by it, the fraction of a share is paid out
in cash. Anything else is no split, and halts the account.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from core.errors import IntegrityBroken
from core.money import ZERO, money
from database.queries import positions as queries
from database.queries.instruments import instruments_by_id
from database.queries.positions import Entitlement, SplitLot
from database.session import Session
from trading.ledger import Entry, Line, book_entries, dividend_entry
from trading.portfolio import read_prices

_TOLERANCE = Decimal("0.02")
_SHARE_STEP = Decimal("0.000001")


def credit_dividends(
    session: Session, *, account_ids: Sequence[int], as_of: date, closed: Mapping[int, date]
) -> dict[int, Decimal]:
    """Book the dividends gone ex since each account's last valuation; returns what was credited, by account."""
    due: dict[int, list[Entitlement]] = defaultdict(list)
    for entitlement in queries.entitlements(session, account_ids=account_ids, as_of=as_of):
        if money(entitlement.quantity * entitlement.amount_usd) > 0:
            due[entitlement.account_id].append(entitlement)
    if not due:
        return {}
    symbols = instruments_by_id(session, ids={row.instrument_id for rows in due.values() for row in rows})
    credited: dict[int, Decimal] = {}
    for account_id, rows in due.items():
        entries = [
            dividend_entry(
                instrument_id=row.instrument_id,
                symbol=symbols[row.instrument_id].symbol,
                ex_on=row.ex_on,
                shares=row.quantity,
                amount_usd=row.amount_usd,
            )
            for row in rows
        ]
        new = book_entries(session, account_id=account_id, entries=entries, closed_on=closed.get(account_id))
        credited[account_id] = sum((entry.lines[0].amount_usd for entry in entries if entry.source_key in new), ZERO)
    return credited


def lots_to_split(session: Session, *, account_ids: Sequence[int], as_of: date) -> list[tuple[int, list[SplitLot]]]:
    """Per account the open lots bought before a split that has gone ex and is not booked."""
    lots: dict[int, list[SplitLot]] = defaultdict(list)
    for lot in queries.lots_before_splits(session, account_ids=account_ids, as_of=as_of):
        lots[lot.account_id].append(lot)
    return list(lots.items())


def apply_splits(session: Session, *, account_id: int, lots: Sequence[SplitLot], closed_on: date | None) -> int:
    """Restate those of an account's lots whose bars were restated; returns by how many splits that was.

    Raises IntegrityBroken where bars were restated by something else than the split.
    """
    groups: dict[tuple[date, int], list[SplitLot]] = defaultdict(list)
    for lot in lots:
        if _restated(lot):
            groups[lot.ex_on, lot.instrument_id].append(lot)
    for (ex_on, instrument_id), group in groups.items():
        facts = read_prices(session, instrument_ids={instrument_id}, as_of=ex_on)[instrument_id]
        _split(session, account_id, ex_on, instrument_id, group, facts.close, closed_on)
    return len(groups)


def _restated(lot: SplitLot) -> bool:
    now = Decimal(str(lot.price_now))
    if abs(lot.price_then / now - 1) <= _TOLERANCE:
        return False
    if abs(lot.price_then / (now * lot.ratio) - 1) <= _TOLERANCE:
        return True
    raise IntegrityBroken(
        f"lot {lot.lot_id} of instrument {lot.instrument_id} was taken in at a price of {lot.price_then}, which the"
        f" bars now give as {now}; the split of {lot.ex_on} by {lot.ratio} does not explain that"
    )


def _split(
    session: Session,
    account_id: int,
    ex_on: date,
    instrument_id: int,
    lots: Sequence[SplitLot],
    close: Decimal,
    closed_on: date | None,
) -> None:
    """Restate the lots; whole shares stay, the fraction is paid out of the newest lot at the ex-date's close."""
    before = sum((lot.remaining for lot in lots), ZERO)
    cost = sum((lot.remaining_cost_usd for lot in lots), ZERO)
    after = [(lot.remaining * lot.ratio).quantize(_SHARE_STEP) for lot in lots]
    whole = sum(after, ZERO).to_integral_value(ROUND_FLOOR)
    fraction = sum(after, ZERO) - whole
    paid = money(fraction * close)
    gone = money(lots[-1].remaining_cost_usd * min(fraction / after[-1], Decimal(1)))
    after[-1] -= fraction
    if after[-1] < 0:
        raise IntegrityBroken(
            f"the split of {ex_on} leaves less than a share of instrument {instrument_id}'s newest lot"
        )
    entry = Entry(
        booked_on=ex_on,
        kind="split",
        source_key=f"split:{instrument_id}:{ex_on}",
        memo=f"split by {lots[0].ratio.normalize():f}: {before.normalize():f} shares become {whole:f} and {paid} USD",
        lines=(
            Line("securities", -cost, instrument_id, -before),
            Line("securities", cost - gone, instrument_id, whole),
            Line("cash", paid),
            Line("realised_gains", gone - paid, instrument_id),
        ),
    )
    if not book_entries(session, account_id=account_id, entries=[entry], closed_on=closed_on):
        return
    queries.update_lots(
        session, lots=[_restate(lot, kept, ex_on) for lot, kept in zip(lots[:-1], after[:-1], strict=True)]
    )
    newest = _restate(lots[-1], after[-1], ex_on)
    newest["remaining_cost_usd"] = lots[-1].remaining_cost_usd - gone
    queries.update_lots(session, lots=[newest])
    change = {"account_id": account_id, "instrument_id": instrument_id, "quantity": whole - before, "cost_usd": -gone}
    queries.add_to_positions(session, changes=[change])


def _restate(lot: SplitLot, remaining: Decimal, ex_on: date) -> dict[str, Any]:
    return {
        "lot_id": lot.lot_id,
        "quantity": max((lot.quantity * lot.ratio).quantize(_SHARE_STEP), remaining),
        "remaining": remaining,
        "remaining_cost_usd": lot.remaining_cost_usd,
        "closed_on": None if remaining > 0 else ex_on,
    }
