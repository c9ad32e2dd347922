"""Positions, the tax lots they are made of, and valuations."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, select, text, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.positions import AccountValuation, LotClosing, Position, TaxLot


class Holding(NamedTuple):
    """Shares and cost of one position."""

    quantity: Decimal
    cost_usd: Decimal


class OpenLot(NamedTuple):
    """A lot with shares left."""

    lot_id: int
    instrument_id: int
    opened_on: date
    remaining: Decimal
    remaining_cost_usd: Decimal


class ReturnedLot(NamedTuple):
    """A lot that is opened again, with what it holds then."""

    lot_id: int
    instrument_id: int
    remaining: Decimal
    remaining_cost_usd: Decimal


class Entitlement(NamedTuple):
    """Shares that an account held at the close before an ex-date, and what a share is due."""

    account_id: int
    instrument_id: int
    ex_on: date
    amount_usd: Decimal
    quantity: Decimal


class SplitLot(NamedTuple):
    """An open lot held before a split, with a price of then as it was seen and as the bars say now."""

    account_id: int
    instrument_id: int
    ex_on: date
    ratio: Decimal
    lot_id: int
    remaining: Decimal
    remaining_cost_usd: Decimal
    quantity: Decimal
    price_then: Decimal
    price_now: float


def positions_of(session: Session, *, account_ids: Collection[int]) -> dict[int, dict[int, Holding]]:
    """Positions by account and instrument."""
    found: dict[int, dict[int, Holding]] = {account_id: {} for account_id in account_ids}
    query = select(Position.account_id, Position.instrument_id, Position.quantity, Position.cost_usd).where(
        Position.account_id.in_(account_ids)
    )
    for account_id, instrument_id, quantity, cost_usd in session.execute(query):
        found[account_id][instrument_id] = Holding(quantity, cost_usd)
    return found


def open_lots(session: Session, *, account_id: int, instrument_ids: Collection[int]) -> list[OpenLot]:
    """Lots with shares left, oldest first (the order in which sales close them), locked until the transaction ends."""
    query = (
        select(TaxLot.lot_id, TaxLot.instrument_id, TaxLot.opened_on, TaxLot.remaining, TaxLot.remaining_cost_usd)
        .where(TaxLot.account_id == account_id, TaxLot.instrument_id.in_(instrument_ids), TaxLot.remaining > 0)
        .order_by(TaxLot.instrument_id, TaxLot.opened_on, TaxLot.lot_id)
        .with_for_update()
    )
    return [OpenLot._make(row) for row in session.execute(query)]


def all_open_lots(session: Session, *, account_id: int) -> list[OpenLot]:
    """Every lot of the account with shares left, by instrument, oldest first; locked until the transaction ends."""
    query = (
        select(TaxLot.lot_id, TaxLot.instrument_id, TaxLot.opened_on, TaxLot.remaining, TaxLot.remaining_cost_usd)
        .where(TaxLot.account_id == account_id, TaxLot.remaining > 0)
        .order_by(TaxLot.instrument_id, TaxLot.opened_on, TaxLot.lot_id)
        .with_for_update()
    )
    return [OpenLot._make(row) for row in session.execute(query)]


def lots_of_entry(session: Session, *, entry_id: int) -> list[OpenLot]:
    """The lots that a transfer brought in, as they are now; locked until the transaction ends."""
    query = (
        select(TaxLot.lot_id, TaxLot.instrument_id, TaxLot.opened_on, TaxLot.remaining, TaxLot.remaining_cost_usd)
        .where(TaxLot.entry_id == entry_id)
        .order_by(TaxLot.lot_id)
        .with_for_update()
    )
    return [OpenLot._make(row) for row in session.execute(query)]


def closed_lots(session: Session, *, lot_ids: Collection[int]) -> set[int]:
    """Those of `lot_ids` that hold nothing any more."""
    query = select(TaxLot.lot_id).where(TaxLot.lot_id.in_(lot_ids), TaxLot.remaining == 0)
    return set(session.scalars(query))


def split_since(session: Session, *, instrument_ids: Collection[int], after_on: date, until_on: date) -> set[int]:
    """Those of `instrument_ids` that were split after one day and not after another."""
    rows = session.execute(
        text("""
            select distinct instrument_id from corporate_actions
            where kind = 'split' and instrument_id = any(:ids) and ex_on > :after_on and ex_on <= :until_on
        """),
        {"ids": list(instrument_ids), "after_on": after_on, "until_on": until_on},
    )
    return set(rows.scalars())


def insert_lots(session: Session, *, lots: Sequence[Mapping[str, Any]]) -> None:
    """Open lots."""
    if lots:
        session.execute(plain_insert(TaxLot), list(lots))


def insert_closings(session: Session, *, closings: Sequence[Mapping[str, Any]]) -> None:
    """Note which part of which lot a sale closed."""
    if closings:
        session.execute(plain_insert(LotClosing), list(closings))


def update_lots(session: Session, *, lots: Sequence[Mapping[str, Any]]) -> None:
    """Set remaining, remaining_cost_usd and closed_on (and quantity where given) of lots by lot_id."""
    if lots:
        session.execute(update(TaxLot), list(lots))


def add_to_positions(session: Session, *, changes: Sequence[Mapping[str, Any]]) -> None:
    """Add signed quantity and cost_usd to (account_id, instrument_id); a position that comes to zero is gone."""
    if not changes:
        return
    opened = [change for change in changes if change["quantity"] > 0]
    if opened:
        query = insert(Position)
        session.execute(
            query.on_conflict_do_update(
                index_elements=["account_id", "instrument_id"],
                set_={
                    "quantity": Position.quantity + query.excluded.quantity,
                    "cost_usd": Position.cost_usd + query.excluded.cost_usd,
                },
            ),
            list(opened),
        )
    reduced = [
        {"a": change["account_id"], "i": change["instrument_id"], "q": change["quantity"], "c": change["cost_usd"]}
        for change in changes
        if change["quantity"] <= 0
    ]
    if reduced:
        session.execute(
            text("delete from positions where account_id = :a and instrument_id = :i and quantity + :q = 0"), reduced
        )
        session.connection().execute(
            update(Position)
            .where(Position.account_id == bindparam("a"), Position.instrument_id == bindparam("i"))
            .values(quantity=Position.quantity + bindparam("q"), cost_usd=Position.cost_usd + bindparam("c")),
            reduced,
        )


def position_faults(session: Session, *, account_ids: Collection[int]) -> dict[int, list[str]]:
    """Where positions and the sum of open lots differ, by account; empty when the books agree."""
    rows = session.execute(
        text("""
            with held as (select * from positions where account_id = any(:ids)),
            lots as (
                select account_id, instrument_id, sum(remaining) as quantity, sum(remaining_cost_usd) as cost_usd
                from tax_lots where account_id = any(:ids) and remaining > 0 group by 1, 2
            )
            select account_id, instrument_id, held.quantity, lots.quantity, held.cost_usd, lots.cost_usd
            from held full join lots using (account_id, instrument_id)
            where held.quantity is distinct from lots.quantity or held.cost_usd is distinct from lots.cost_usd
        """),
        {"ids": list(account_ids)},
    )
    found: dict[int, list[str]] = {}
    for account_id, instrument_id, quantity, in_lots, cost, lot_cost in rows:
        found.setdefault(account_id, []).append(
            f"instrument {instrument_id}: position {quantity} at {cost} USD, open lots {in_lots} at {lot_cost} USD"
        )
    return found


def entitlements(session: Session, *, account_ids: Collection[int], as_of: date) -> list[Entitlement]:
    """Dividends gone ex since each account's last valuation, not after `as_of`, on shares held before the ex-date.

    Shares that were brought in are held from their transfer on, whenever they were bought.
    """
    rows = session.execute(
        text("""
            with valued as (
                select a.id as account_id, coalesce(max(v.session_on), '-infinity') as last_on
                from unnest(cast(:ids as bigint[])) as a (id)
                left join account_valuations v on v.account_id = a.id
                group by 1
            )
            select l.account_id, c.instrument_id, c.ex_on, c.amount_usd,
                   sum(l.quantity - coalesce(x.quantity, 0)) as quantity
            from valued
            join corporate_actions c on c.kind = 'dividend' and c.ex_on <= :as_of and c.ex_on > valued.last_on
                and c.ex_on > (select min(opened_on) from tax_lots where account_id = valued.account_id)
            join tax_lots l on l.account_id = valued.account_id and l.instrument_id = c.instrument_id
                and l.opened_on < c.ex_on and (l.closed_on is null or l.closed_on >= c.ex_on)
            left join journal_entries e on e.entry_id = l.entry_id
            left join lateral (
                select sum(quantity) as quantity from lot_closings where lot_id = l.lot_id and closed_on < c.ex_on
            ) as x on true
            where e.entry_id is null or e.booked_on < c.ex_on
            group by 1, 2, 3, 4
            having sum(l.quantity - coalesce(x.quantity, 0)) > 0
            order by 1, 3, 2
        """),
        {"ids": list(account_ids), "as_of": as_of},
    )
    return [Entitlement._make(row) for row in rows]


def lots_before_splits(session: Session, *, account_ids: Collection[int], as_of: date) -> list[SplitLot]:
    """Open lots held before a split that went ex not after `as_of`, with a price of then as it was and as bars say now.

    Of a purchase it is the open that it was filled at; of shares brought in, the close that their import was shown.
    """
    rows = session.execute(
        text("""
            with seen as (
                select l.lot_id, f.session_on, f.market_price as price, true as at_open
                from tax_lots l join fills f on f.fill_id = l.fill_id
                where l.account_id = any(:ids) and l.remaining > 0
                union all
                select l.lot_id, (p.quote ->> 0)::date, (p.quote ->> 1)::numeric, false
                from tax_lots l
                join journal_entries e on e.entry_id = l.entry_id
                join holding_imports h on e.source_key = 'import:' || h.holding_import_id
                cross join lateral (select h.changes -> 'prices' -> l.instrument_id::text as quote) as p
                where l.account_id = any(:ids) and l.remaining > 0
            )
            select l.account_id, l.instrument_id, c.ex_on, c.ratio, l.lot_id, l.remaining, l.remaining_cost_usd,
                   l.quantity, seen.price, case when seen.at_open then b.open else b.close end
            from corporate_actions c
            join tax_lots l on l.instrument_id = c.instrument_id and l.remaining > 0 and l.account_id = any(:ids)
            join seen on seen.lot_id = l.lot_id and seen.session_on < c.ex_on
            join daily_bars b on b.instrument_id = l.instrument_id and b.session_on = seen.session_on
            where c.kind = 'split' and c.ex_on <= :as_of
              and not exists (
                  select from journal_entries e where e.account_id = l.account_id
                  and e.source_key = 'split:' || c.instrument_id || ':' || c.ex_on)
            order by l.account_id, c.ex_on, l.instrument_id, l.opened_on, l.lot_id
        """),
        {"ids": list(account_ids), "as_of": as_of},
    )
    return [SplitLot._make(row) for row in rows]


def last_valued_on(session: Session, *, account_ids: Collection[int]) -> dict[int, date]:
    """The newest session on which each account was valued."""
    rows = session.execute(
        text("select account_id, max(session_on) from account_valuations where account_id = any(:ids) group by 1"),
        {"ids": list(account_ids)},
    )
    return {row[0]: row[1] for row in rows}


def valuations_on(session: Session, *, account_ids: Collection[int], session_on: date) -> dict[int, AccountValuation]:
    """The valuations of one session by account."""
    query = select(AccountValuation).where(
        AccountValuation.account_id.in_(account_ids), AccountValuation.session_on == session_on
    )
    return {row.account_id: row for row in session.scalars(query)}


def values_around(
    session: Session, *, account_id: int, before_on: date, until_on: date
) -> tuple[Decimal | None, Decimal | None]:
    """What the account was worth at its last valuation before one day, and at its last not after another."""
    row = session.execute(
        text("""
            select (select cash_usd + securities_usd from account_valuations
                    where account_id = :account_id and session_on < :before_on order by session_on desc limit 1),
                   (select cash_usd + securities_usd from account_valuations
                    where account_id = :account_id and session_on <= :until_on order by session_on desc limit 1)
        """),
        {"account_id": account_id, "before_on": before_on, "until_on": until_on},
    ).one()
    return row[0], row[1]


def insert_valuations(session: Session, *, valuations: Sequence[Mapping[str, Any]]) -> int:
    """Add valuations; sessions valued before stay as they are. Returns how many were new."""
    if not valuations:
        return 0
    rows = session.execute(
        insert(AccountValuation).on_conflict_do_nothing().returning(AccountValuation.account_id), list(valuations)
    )
    return len(rows.all())


def valuation_history(session: Session, *, account_id: int) -> list[Row[Any]]:
    """session_on, cash_usd, securities_usd of every valued session, oldest first."""
    query = (
        select(AccountValuation.session_on, AccountValuation.cash_usd, AccountValuation.securities_usd)
        .where(AccountValuation.account_id == account_id)
        .order_by(AccountValuation.session_on)
    )
    return list(session.execute(query))
